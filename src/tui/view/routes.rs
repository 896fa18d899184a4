//! Where a canary is served: the hosts, the ways in, and the weights as the routes have them beside what the status says.

use super::canvas::piece;
use super::paper::Paper;
use crate::api::Strategy;
use crate::api::routes::{Rule, Way};
use crate::cluster::entrances::{Entrance, Gateway};
use crate::tui::model::Model;
use crate::tui::reading::Served;
use crate::tui::row::{Key, Row};
use crate::tui::theme::Role;

/// Most routes that are told one by one.
const MOST: usize = 40;

/// Writes it.
pub fn write(paper: &mut Paper, model: &Model, canary: &Key, served: &Served) {
    let glyphs = paper.glyphs();
    paper.field(0, "Carried by", Role::Text, &served.object);
    match &served.way {
        Ok(way) => {
            paper.field(0, "Hosts", Role::Text, &listed(&way.hosts, "none: another object delegates to it"));
            paper.field(0, "Gateways", Role::Text, &listed(&way.gateways, "none"));
        }
        Err(why) => paper.say(0, Some((glyphs.warning, Role::Warn)), Role::Warn, &format!("{}: {why}.", served.object)),
    }
    paper.heading("How it is reached");
    if served.entrances.is_empty() {
        let text = "From inside the mesh alone: no gateway is named.";
        paper.say(2, Some((glyphs.dot, Role::Dim)), Role::Text, text);
    }
    for entrance in &served.entrances {
        reached(paper, entrance);
    }
    let inside = format!("inside the cluster at {}:{}", apex(served), served.port);
    paper.say(2, Some((glyphs.dot, Role::Dim)), Role::Text, &inside);
    if let Some(row) = model.named(canary) {
        weights(paper, row, served);
    }
    if let Ok(way) = &served.way {
        rules(paper, way, served);
    }
}

fn listed(texts: &[String], none: &str) -> String {
    if texts.is_empty() { none.to_string() } else { texts.join(", ") }
}

/// The Service that clients use.
fn apex(served: &Served) -> &str {
    let [primary, _] = &served.services;
    primary.strip_suffix("-primary").unwrap_or(primary)
}

fn reached(paper: &mut Paper, entrance: &Entrance) {
    let glyphs = paper.glyphs();
    let name = format!("gateway {}/{}", entrance.namespace, entrance.name);
    let gateway: &Gateway = match &entrance.gateway {
        Ok(gateway) => gateway,
        Err(why) => return paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Text, &format!("{name}: {why}")),
    };
    paper.say(2, Some((glyphs.dot, Role::Dim)), Role::Strong, &name);
    for server in &gateway.servers {
        paper.field(4, "takes in", Role::Text, server);
    }
    for address in &gateway.services {
        let found = !address.from_outside.is_empty();
        let text = match (found, address.kind.as_str()) {
            (true, _) => address.from_outside.join(", "),
            (false, "LoadBalancer") => "none yet: its load balancer has not given one".into(),
            (false, "NodePort") => "any node's, at its node port".into(),
            (false, _) => "none from outside the cluster".into(),
        };
        paper.field(4, "address", if found { Role::Strong } else { Role::Warn }, &text);
        let by = format!("Service {}, {}, ports {}", address.service, address.kind, address.ports.join(", "));
        paper.field(4, "by", Role::Dim, &by);
    }
    if gateway.services.is_empty() {
        let labels: Vec<String> = gateway.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let text = format!("not found: no Service is seen that leads to pods with {}", labels.join(", "));
        paper.field(4, "address", Role::Warn, &text);
        gateway.unseen.iter().for_each(|text| paper.field(4, "unseen", Role::Warn, text));
    }
}

/// The weights of both, as the routes have them and as the status says, with a mark where they differ.
fn weights(paper: &mut Paper, row: &Row, served: &Served) {
    let glyphs = paper.glyphs();
    paper.heading("Weights");
    let cell = |text: String, role| piece(format!("{text:>9}"), role);
    let line = |name: &str, of_routes: String, of_status: String, host: &str, role, differs: bool| {
        vec![
            piece(format!("  {name:<8}"), role),
            cell(of_routes, Role::Strong),
            cell(of_status, Role::Text),
            piece(format!(" {} ", if differs { glyphs.warning } else { " " }), Role::Warn),
            piece(host.to_string(), Role::Dim),
        ]
    };
    let heading = ["ROUTES", "STATUS"].map(|name| format!("{name:>9}")).concat();
    paper.row(vec![piece(format!("{}{heading}", " ".repeat(10)), Role::Dim)]);
    let percent = |weight: u8| format!("{weight} %");
    let [primary, canary] = &served.services;
    let live = served.live.weights;
    let says = row.status_weight.min(100);
    let differs = live.is_some_and(|weights| weights.canary != says);
    let dash = || glyphs.dash.to_string();
    let of_routes = [live.map(|weights| weights.primary), live.map(|weights| weights.canary)];
    let [to_primary, to_canary] = of_routes.map(|weight| weight.map_or_else(dash, percent));
    paper.row(line("primary", to_primary, percent(100 - says), primary, Role::Primary, differs));
    paper.row(line("canary", to_canary, percent(says), canary, Role::Canary, differs));
    if differs {
        let text = "The routes and the status differ: somebody's hand was on the routes, or a step is being taken.";
        paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Warn, text);
    }
    if live.is_none() {
        let text = "The routes lead to neither of them.";
        paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Warn, text);
    }
    if served.live.everyone {
        let text = "The canary stands in for a primary without pods: it serves everybody.";
        paper.say(2, Some((glyphs.warning, Role::Warn)), Role::Warn, text);
    }
    if served.live.mirrored {
        let text = "Requests are copied to the canary; its answers reach nobody.";
        paper.say(2, Some((glyphs.half, Role::Active)), Role::Text, text);
    }
    if served.strategy == Strategy::AbTesting {
        let text = "The canary serves only those who meet the conditions below (A/B).";
        paper.say(2, Some((glyphs.dot, Role::Dim)), Role::Text, text);
    }
    if let Some(affinity) = &served.affinity {
        let now = match &served.live.cookies.canary {
            Some(cookie) => format!("now {cookie}"),
            None => "none is given now".into(),
        };
        let text = format!(
            "Users stay with the version that answered first, by the cookie {} for {} s: {now}.",
            affinity.cookie, affinity.max_age
        );
        paper.say(2, Some((glyphs.dot, Role::Dim)), Role::Text, &text);
    }
}

fn rules(paper: &mut Paper, way: &Way, served: &Served) {
    paper.heading("Routes, in the order in which they are tried");
    for (at, rule) in way.rules.iter().take(MOST).enumerate() {
        self::rule(paper, at + 1, rule, served);
    }
    let more = way.rules.len().saturating_sub(MOST);
    if more > 0 {
        paper.say(2, None, Role::Dim, &format!("{} {more} more routes", paper.glyphs().cut));
    }
    if way.rules.is_empty() {
        paper.say(2, None, Role::Warn, "There are none.");
    }
}

fn rule(paper: &mut Paper, number: usize, rule: &Rule, served: &Served) {
    let glyphs = paper.glyphs();
    let number = format!("{number}.");
    if rule.conditions.is_empty() {
        paper.say(2, None, Role::Text, &format!("{number} every request"));
    }
    for (at, condition) in rule.conditions.iter().enumerate() {
        let before = if at == 0 { format!("{number} where") } else { format!("{} or", " ".repeat(number.len())) };
        paper.say(2, None, Role::Text, &format!("{before} {condition}"));
    }
    let [primary, canary] = &served.services;
    for to in &rule.to {
        let role = if to.host == *primary {
            Role::Primary
        } else if to.host == *canary {
            Role::Canary
        } else {
            Role::Text
        };
        paper.say(6, None, role, &format!("{:>5} %  {}", super::figures::number(to.weight), to.host));
    }
    for (host, percent) in &rule.mirrors {
        let text = format!("copies of {} % to {host}", super::figures::number(*percent));
        paper.say(6, Some((glyphs.half, Role::Active)), Role::Text, &text);
    }
    for cookie in &rule.cookies {
        paper.field(6, "cookie", Role::Dim, cookie);
    }
}

//! The shapes in which receivers take an alert, as Flagger sends them. Pure: nothing is sent from here.

use super::Message;
use crate::api::Severity;
use reqwest::Url;
use serde_json::{Value, json};

/// What stands at an AlertProvider's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    Slack,
    Teams,
    Discord,
    Rocket,
    GoogleChat,
    /// Anything else that takes JSON: the alert as it is. Flagger has no such type.
    Webhook,
}

impl Receiver {
    /// With the names of `spec.type`.
    pub const NAMED: [(&'static str, Receiver); 6] = [
        ("slack", Receiver::Slack),
        ("msteams", Receiver::Teams),
        ("discord", Receiver::Discord),
        ("rocket", Receiver::Rocket),
        ("gchat", Receiver::GoogleChat),
        ("webhook", Receiver::Webhook),
    ];

    /// The receiver of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, receiver)| *receiver)
    }

    /// Where to post: Discord takes Slack's form beside its own.
    pub fn address(self, mut address: Url) -> Url {
        if self == Receiver::Discord && !address.path().trim_end_matches('/').ends_with("/slack") {
            address.set_path(&format!("{}/slack", address.path().trim_end_matches('/')));
        }
        address
    }

    /// What to post.
    pub fn body(self, message: &Message, channel: &str, username: &str) -> Value {
        match self {
            Receiver::Slack | Receiver::Discord => slack(message, channel, username, ["good", "danger"]),
            Receiver::Rocket => slack(message, channel, username, ["#0076D7", "#FF0000"]),
            Receiver::Teams => teams(message),
            Receiver::GoogleChat => google_chat(message),
            Receiver::Webhook => as_it_is(message),
        }
    }
}

fn author(message: &Message) -> String {
    format!("{}.{}", message.name, message.namespace)
}

/// The second colour is an error's.
fn colour<'a>(message: &Message, [calm, grave]: [&'a str; 2]) -> &'a str {
    if message.severity == Severity::Error { grave } else { calm }
}

fn slack(message: &Message, channel: &str, username: &str, colours: [&str; 2]) -> Value {
    let field = |(title, value): &(&str, String)| json!({"title": title, "value": value, "short": false});
    json!({
        "channel": channel,
        "username": username,
        "icon_url": "",
        "icon_emoji": ":rocket:",
        "attachments": [{
            "color": colour(message, colours),
            "author_name": author(message),
            "text": message.text,
            "mrkdwn_in": ["text"],
            "fields": message.fields.iter().map(field).collect::<Vec<_>>(),
        }],
    })
}

fn as_it_is(message: &Message) -> Value {
    let fields: serde_json::Map<String, Value> =
        message.fields.iter().map(|(title, value)| (title.to_string(), json!(value))).collect();
    json!({
        "name": message.name,
        "namespace": message.namespace,
        "severity": message.severity.name(),
        "message": message.text,
        "fields": fields,
    })
}

fn teams(message: &Message) -> Value {
    let fact = |(title, value): &(&str, String)| json!({"name": title, "value": value});
    json!({
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": colour(message, ["0076D7", "FF0000"]),
        "summary": author(message),
        "sections": [{
            "activityTitle": message.text,
            "activitySubtitle": author(message),
            "facts": message.fields.iter().map(fact).collect::<Vec<_>>(),
        }],
    })
}

fn google_chat(message: &Message) -> Value {
    let paragraph = |text: String| json!({"widgets": [{"textParagraph": {"text": text}}]});
    let text = format!("<font color=\"{}\">{}</font>", colour(message, ["#0076D7", "#FF0000"]), plain(&message.text));
    let mut sections = vec![paragraph(text)];
    sections.extend(message.fields.iter().map(|(title, value)| {
        paragraph(format!("<b>{}</b><br><font color=\"#333333\">{}</font>", plain(title), plain(value)))
    }));
    json!({
        "cards": [{
            "header": {"title": "Flagger", "subtitle": author(message)},
            "sections": sections,
        }],
    })
}

/// Text that is no HTML.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(severity: Severity) -> Message {
        Message {
            name: "web".into(),
            namespace: "prod".into(),
            severity,
            text: "P99 <500ms> & falling".into(),
            fields: vec![("Target", "Deployment/web.prod".into())],
        }
    }

    fn body(receiver: Receiver, severity: Severity) -> Value {
        receiver.body(&message(severity), "general", "flagger")
    }

    #[test]
    fn slack_discord_and_rocket_take_an_attachment() {
        let expected = json!({
            "channel": "general", "username": "flagger", "icon_url": "", "icon_emoji": ":rocket:",
            "attachments": [{
                "color": "good", "author_name": "web.prod", "text": "P99 <500ms> & falling", "mrkdwn_in": ["text"],
                "fields": [{"title": "Target", "value": "Deployment/web.prod", "short": false}],
            }],
        });
        assert_eq!(body(Receiver::Slack, Severity::Warn), expected);
        assert_eq!(body(Receiver::Discord, Severity::Info), expected);
        for (receiver, calm, grave) in [(Receiver::Slack, "good", "danger"), (Receiver::Rocket, "#0076D7", "#FF0000")] {
            let colour = |severity| body(receiver, severity)["attachments"][0]["color"].clone();
            assert_eq!((colour(Severity::Warn), colour(Severity::Error)), (json!(calm), json!(grave)));
        }
    }

    #[test]
    fn any_other_webhook_takes_the_alert_as_it_is() {
        let expected = json!({
            "name": "web", "namespace": "prod", "severity": "error", "message": "P99 <500ms> & falling",
            "fields": {"Target": "Deployment/web.prod"},
        });
        assert_eq!(body(Receiver::Webhook, Severity::Error), expected);
    }

    #[test]
    fn teams_takes_a_card() {
        let expected = json!({
            "@type": "MessageCard", "@context": "http://schema.org/extensions", "themeColor": "FF0000",
            "summary": "web.prod",
            "sections": [{
                "activityTitle": "P99 <500ms> & falling", "activitySubtitle": "web.prod",
                "facts": [{"name": "Target", "value": "Deployment/web.prod"}],
            }],
        });
        assert_eq!(body(Receiver::Teams, Severity::Error), expected);
        assert_eq!(body(Receiver::Teams, Severity::Warn)["themeColor"], "0076D7");
    }

    #[test]
    fn google_chat_takes_a_card_whose_text_is_no_html() {
        let card = &body(Receiver::GoogleChat, Severity::Error)["cards"][0];
        assert_eq!((&card["header"]["title"], &card["header"]["subtitle"]), (&json!("Flagger"), &json!("web.prod")));
        let text =
            |at: usize| card["sections"][at]["widgets"][0]["textParagraph"]["text"].as_str().unwrap().to_string();
        assert_eq!(text(0), "<font color=\"#FF0000\">P99 &lt;500ms&gt; &amp; falling</font>");
        assert!(text(1).contains("Deployment/web.prod"), "{}", text(1));
    }

    #[test]
    fn discord_is_posted_to_in_slacks_form() {
        let at = |receiver: Receiver, url: &str| receiver.address(Url::parse(url).unwrap()).to_string();
        assert_eq!(at(Receiver::Discord, "https://d/api/webhooks/1/t"), "https://d/api/webhooks/1/t/slack");
        assert_eq!(at(Receiver::Discord, "https://d/api/webhooks/1/t/slack"), "https://d/api/webhooks/1/t/slack");
        assert_eq!(at(Receiver::Slack, "https://s/x"), "https://s/x");
    }
}

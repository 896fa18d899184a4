//! What the table of canaries looks like: over all namespaces, with thousands of rows, and where there is no cluster.

use crate::api::Phase;
use crate::tui::message::Msg;
use crate::tui::model::{Link, Model};
use crate::tui::row::Row;
use crate::tui::scene::{self, press, shot, text};
use crate::tui::update::update;
use crate::tui::{glyphs, switch};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn compare(name: &str, model: &Model) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text(&shot(model)));
    });
}

fn at_all_sizes(name: &str, scene: impl Fn(u16, u16) -> Model) {
    for (width, height) in SIZES {
        compare(&format!("{name}_{width}x{height}"), &scene(width, height));
    }
}

#[test]
fn all_namespaces_at_once() {
    at_all_sizes("everywhere", scene::everywhere);
    let mut ascii = scene::everywhere(80, 24);
    ascii.look.glyphs = &glyphs::ASCII;
    compare("everywhere_ascii", &ascii);
    assert!(shot(&ascii).content().iter().all(|cell| cell.symbol().is_ascii()));
}

fn hostile(width: u16, height: u16) -> Model {
    let mut model = scene::everywhere(width, height);
    let mut rows = model.rows.clone();
    rows[0].name = "a-canary-whose-name-is-as-long-as-kubernetes-lets-a-name-be-which-is-long".into();
    rows[1].namespace = "チームの名前空間\u{1b}[2J\u{202e}".into();
    rows[1].name = "カナリア".into();
    rows[2].primary.image = "gcr.io/jx/search:sha-0123456789abcdef0123456789abcdef01234567".into();
    model.selected = None;
    update(&mut model, Msg::Rows(rows));
    model
}

#[test]
fn long_and_wide_names_leave_the_columns_where_they_are() {
    at_all_sizes("everywhere_long", hostile);
    for (width, height) in SIZES {
        let screen = shot(&hostile(width, height));
        assert!(!screen.content().iter().any(|cell| cell.symbol().chars().any(char::is_control)));
    }
}

#[test]
fn thousands_of_canaries() {
    at_all_sizes("thousands", |width, height| {
        let mut model = scene::many(5000, width, height);
        press(&mut model, "G");
        model
    });
}

#[test]
fn a_frame_looks_at_no_more_rows_than_it_shows() {
    let mut model = scene::many(5000, 120, 40);
    let looked_at = model.index.looked_at;
    for keys in ["j", "<pgdn>", "G", "k", "<enter>", "<esc>", "?", "<esc>"] {
        press(&mut model, keys);
        shot(&model);
    }
    let made = |model: &Model| (model.index.looked_at - looked_at) / 5000;
    // The filter that Escape drops is no filter: all that may come of the keys is that.
    assert!(made(&model) <= 1, "the index is made of rows that have changed, not by drawing");
    // One row that changes costs one look at all of them, and a frame none.
    let (before, row) = (made(&model), model.row().cloned().unwrap());
    update(&mut model, Msg::Changed { whole: Vec::new(), rows: vec![row.into()], gone: Vec::new() });
    shot(&model);
    shot(&model);
    assert_eq!(made(&model), before + 1);
}

#[test]
fn the_filter_and_the_order_are_said() {
    let mut model = scene::everywhere(120, 40);
    press(&mut model, "/pay che");
    compare("everywhere_filter", &model);
    assert_eq!(model.shown(), 1);
    press(&mut model, "<esc>ooo");
    assert!(text(&shot(&model)).contains("by namespace"), "{}", text(&shot(&model)));
}

#[test]
fn what_needs_a_human_stands_first() {
    let model = scene::everywhere(120, 40);
    let order: Vec<String> = model.visible().map(|row: &Row| row.key().to_string()).collect();
    assert_eq!(order[..2], ["jx-staging/checkout", "payments/checkout"], "failed, then not driven");
    assert_eq!(model.visible().last().map(|row| row.phase), Some(Phase::Initialized));
}

#[test]
fn without_a_cluster_it_is_said_what_can_be_done() {
    let nowhere = |contexts: &'static [&'static str]| {
        move |width, height| {
            let mut model = scene::unheard(width, height);
            (model.context, model.namespace) = (String::new(), String::new());
            update(&mut model, Msg::Contexts(contexts.iter().map(|name| name.to_string()).collect()));
            let why = "cannot read the kubeconfig: failed to read kubeconfig from '/home/alice/.kube/config'. Give one \
                       with --kubeconfig FILE, or try: canary-tui --sandbox";
            let cluster = Link::Nowhere { why: why.into() };
            update(&mut model, Msg::Cluster { cluster, routes: Link::Connecting, missing: Vec::new() });
            model
        }
    };
    at_all_sizes("nowhere", nowhere(&[]));
    compare("nowhere_contexts", &nowhere(&["prod-eu", "prod-us"])(80, 24));
}

#[test]
fn a_place_that_is_gone_to_is_being_read() {
    at_all_sizes("going", |width, height| {
        let mut model = scene::at_rest(width, height);
        switch::to_namespace(&mut model, "payments");
        model
    });
    let mut model = scene::at_rest(80, 24);
    update(&mut model, Msg::Narrowed { namespace: "payments".into(), why: "canaries is forbidden".into() });
    compare("narrowed", &model);
}

#[test]
fn whoever_drives_is_asked_before_leaving() {
    let mut model = scene::progressing(80, 24);
    switch::to_context(&mut model, "prod-us");
    compare("ask_leave", &model);
}

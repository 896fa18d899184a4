//! The real program in a real terminal: what is found by its name, what the config file says, and where nothing or little
//! may be changed.

mod operator;
mod terminal;

use canary_tui::tui::theme::{Depth, Role, Theme};
use operator::{APP, Cluster, PATIENCE, start};
use ratatui::style::Color;
use std::time::Duration;
use terminal::Terminal;

/// Long enough that no check comes by itself while a test goes on.
const NEVER: Duration = Duration::from_secs(3600);
const SIZE: (u16, u16) = (120, 40);

/// Writes the operator's config file.
fn configure(cluster: &Cluster, text: &str) {
    let folder = cluster.home.path().join(".config/canary-tui");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.toml"), text).expect("a config file");
}

#[test]
fn a_promotion_is_found_by_its_name_and_keeps_its_reason() {
    let cluster = Cluster::start(NEVER);
    let mut console = cluster.console();
    start(&mut console, "1.1.0");
    console.type_keys(":");
    console.until_shows("╭ Commands");
    console.type_keys("prom");
    console.until("it is found", PATIENCE, |screen| screen.contains("▸ promote"));
    console.type_keys("\r");
    console.until_shows(&format!("Promote 1.1.0 of {APP} now?"));
    console.type_keys("ragreed\r");
    console.until("the reason stands in the question", PATIENCE, |screen| {
        screen.contains("Reason (r): agreed") && screen.contains("[ No (n, esc) ]")
    });
    console.type_keys("y");
    console.until_shows(&format!("promote {APP}: carried out"));
    console.type_keys("e");
    console.until("its Event tells the reason", PATIENCE, |screen| {
        screen.contains("esc close") && screen.contains("(agreed)")
    });
}

#[test]
fn nothing_leaves_a_console_that_is_read_only() {
    let cluster = Cluster::start(NEVER);
    let mut console = cluster.open(SIZE, &["--read-only"], &[]);
    console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
    console.until_shows("driver: nobody");
    let screen = console.screen();
    let footer = screen.lines().last().expect("a last line");
    assert!(screen.starts_with(" [RO]") && !footer.contains("abort") && footer.contains("q quit"), "{screen}");
    for key in ["a", "s", "p", "P", "n", "O"] {
        console.type_keys(key);
        console.until_shows("nothing is changed from here: --read-only was given");
        // A key that moves nothing takes the notice away.
        console.type_keys("y");
        console.until("it is gone", PATIENCE, |screen| !screen.contains("nothing is changed from here"));
    }
    console.type_keys("q");
    assert!(console.ended(PATIENCE).success());
    let asks = ["selfsubjectreviews.authentication.k8s.io", "selfsubjectaccessreviews.authorization.k8s.io"];
    let reads = ["get", "list", "watch"];
    for ((verb, resource), count) in cluster.sandbox.requests() {
        let harmless = reads.contains(&verb.as_str()) || asks.contains(&resource.as_str());
        assert!(harmless, "{count} times {verb} {resource}");
    }
}

#[test]
fn a_protected_context_wants_the_name_and_keys_are_the_operators() {
    let cluster = Cluster::start(NEVER);
    configure(
        &cluster,
        "theme = \"pink\"\nkeys.start = [\"ctrl-s\"]\n[contexts.\"sand*\"]\nprotected = true\ntheme = \"light\"\n",
    );
    let mut console = cluster.open(SIZE, &[], &[]);
    console.until_shows("config.toml:1:9: there is no theme \"pink\"");
    // The context's theme, and not the one of the whole file, which is none.
    let light = Theme::named("light", Depth::TwoFiftySix).expect("a built-in theme").style(Role::Text).bg;
    let Some(Color::Indexed(ground)) = light else { panic!("{light:?} is none of 256 colours") };
    console.until_written(format!("48;5;{ground}").as_bytes(), PATIENCE);
    console.until_shows("driver: this console");
    console.until("all are initialized", PATIENCE, |screen| screen.matches("Initialized").count() >= 3);
    console.until_shows("ctrl-s start");
    console.type_keys("\x13");
    console.until_shows("Start which version");
    console.type_keys("\r");
    console.until_shows(&format!("Type {APP} for Yes:"));
    console.type_keys("y\r");
    console.type_keys("wrong\r\r");
    console.until_shows(&format!("Type {APP} for Yes: wrong"));
    // Ctrl-U empties the line, as in a shell.
    console.type_keys(&format!("\x15{APP}\r"));
    console.until_shows("[ Yes (y) ]");
    console.type_keys("\r");
    console.until_shows(" % to 1.1.0");
}

#[test]
fn a_command_wants_the_name_on_a_protected_context_too() {
    let cluster = Cluster::start(NEVER);
    configure(&cluster, "[contexts.sandbox]\nprotected = true\n");
    let mut console = cluster.console();
    console.type_keys("s\r");
    console.until_shows(&format!("Type {APP} for Yes:"));
    console.type_keys(&format!("y{APP}\r\r"));
    console.until_shows(" % to 1.1.0");
    let kubeconfig = cluster.home.path().join("kubeconfig");
    let abort = ["--kubeconfig", kubeconfig.to_str().expect("a plain path"), "abort", APP];
    for (answer, code) in [("y", 1), (APP, 0)] {
        let mut command = Terminal::start(&abort, cluster.home.path(), SIZE, &[]);
        command.until_shows(&format!("Type {APP} for yes:"));
        command.type_keys(&format!("{answer}\r"));
        assert_eq!(command.ended(PATIENCE).exit_code(), code, "{answer}: {}", command.screen());
    }
    console.until_shows("✗ Failed");
}

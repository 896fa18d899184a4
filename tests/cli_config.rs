//! The real program's files: the config file, the log, and what shells and man are told.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program with a home of its own.
fn run(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canary-tui"));
    command.args(arguments).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
    command.output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_config_file_is_begun_checked_and_found() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join(".config/canary-tui/config.toml");
    let path = run(home.path(), &["config", "path"]);
    assert!(text(&path.stdout).contains(&format!("config  {}\n", file.display())), "{}", text(&path.stdout));
    let check = run(home.path(), &["config", "check"]);
    assert!(check.status.success() && text(&check.stdout).contains("it is not there"));

    assert!(run(home.path(), &["config", "init"]).status.success());
    let begun = std::fs::read_to_string(&file).expect("a config file");
    assert!(begun.contains("# abort = [\"a\"]"), "{begun}");
    assert!(run(home.path(), &["config", "check"]).status.success());
    let again = run(home.path(), &["config", "init"]);
    assert_eq!(again.status.code(), Some(2), "what is there stays");
    assert!(text(&again.stderr).contains("is there already"));

    std::fs::write(&file, "mouse = 1\nthem = \"dark\"\n").expect("a config file");
    let check = run(home.path(), &["config", "check"]);
    assert_eq!(check.status.code(), Some(1));
    let said = text(&check.stdout);
    assert!(said.contains(&format!("{}:1:9: this is to be true or false", file.display())), "{said}");
    assert!(said.contains(&format!("{}:2:1: there is no key \"them\" here: did you mean theme?", file.display())));

    let elsewhere = home.path().join("elsewhere");
    let mut command = Command::new(env!("CARGO_BIN_EXE_canary-tui"));
    command.args(["config", "path"]).env("HOME", home.path()).env("XDG_CONFIG_HOME", &elsewhere);
    let path = text(&command.output().expect("the program runs").stdout);
    assert!(path.contains(&format!("config  {}", elsewhere.join("canary-tui/config.toml").display())), "{path}");
}

/// A kubeconfig whose server nobody serves: what is refused is refused before anything is sent.
fn kubeconfig(home: &Path) -> String {
    let path = home.join("kubeconfig");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: prod-eu\n\
                clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n\
                users: [{name: u, user: {token: t}}]\n\
                contexts: [{name: prod-eu, context: {cluster: c, user: u}}]\n";
    std::fs::write(&path, text).expect("a kubeconfig");
    path.display().to_string()
}

#[test]
fn where_nothing_may_be_changed_the_commands_refuse() {
    let home = tempfile::tempdir().expect("a folder");
    let kubeconfig = kubeconfig(home.path());
    let verbs = ["start", "pause", "resume", "advance", "promote", "abort", "open", "release"];
    for verb in verbs {
        let refused = run(home.path(), &["--kubeconfig", &kubeconfig, verb, "web", "--yes", "--read-only"]);
        assert_eq!(refused.status.code(), Some(1), "{verb}: {}", text(&refused.stderr));
        let said = text(&refused.stdout);
        assert_eq!(said, format!("refused: {verb} of web: nothing is changed from here: --read-only was given\n"));
    }
    let folder = home.path().join(".config/canary-tui");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.toml"), "[contexts.\"prod-*\"]\nread-only = true\n").expect("a config file");
    let refused = run(home.path(), &["--kubeconfig", &kubeconfig, "abort", "web", "--yes"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stdout);
    assert!(said.contains("the config file makes context prod-eu read-only (line 2)"), "{said}");
    let driver = run(home.path(), &["--kubeconfig", &kubeconfig, "controller"]);
    assert_eq!(driver.status.code(), Some(2));
    assert!(text(&driver.stderr).contains("a controller changes the cluster"), "{}", text(&driver.stderr));
}

#[test]
fn shells_and_man_are_told_every_command() {
    let home = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(home.path(), &["completions", shell]);
        let said = text(&script.stdout);
        assert!(script.status.success() && said.contains("promote") && said.contains("read-only"), "{shell}");
    }
    let page = run(home.path(), &["man"]);
    let said = text(&page.stdout);
    assert!(said.starts_with(".ie") && said.contains(".TH canary"), "{}", &said[..200.min(said.len())]);
    for part in [".SH \"CANARY-TUI PROMOTE\"", ".SH \"CANARY-TUI CONFIG CHECK\"", "\\-\\-read\\-only"] {
        assert!(said.contains(part), "{part}");
    }
    assert!(!said.contains(".SH \"CANARY-TUI HELP\""));
}

#[test]
fn the_log_stays_in_its_folder_and_does_not_grow_for_ever() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".local/state/canary-tui");
    std::fs::create_dir_all(&folder).expect("a folder");
    for day in 1..=20 {
        std::fs::write(folder.join(format!("canary-tui.log.2020-01-{day:02}")), "old").expect("a log file");
    }
    let work = home.path().join("work");
    std::fs::create_dir(&work).expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_canary-tui"));
    command.args(["config", "path"]).current_dir(&work).env_clear().env("HOME", home.path());
    assert!(command.output().expect("the program runs").status.success());
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        entries.map(|name| name.to_string_lossy().into_owned()).collect::<Vec<String>>()
    };
    let files = names(&folder).into_iter().filter(|name| name.starts_with("canary-tui.log.")).count();
    assert!(files <= 7, "{:?}", names(&folder));
    assert_eq!(names(&work), Vec::<String>::new(), "nothing is left where the operator stood");
}

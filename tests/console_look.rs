//! The terminal itself under the real program: its ground and its colours, the mouse, the clipboard, and the shell that it
//! goes back to and comes back from.

mod operator;
mod terminal;

use operator::{APP, Cluster, PATIENCE};
use std::time::Duration;
use terminal::Terminal;

const SIZE: (u16, u16) = (120, 40);
/// Asks the terminal for its ground.
const QUESTION: &[u8] = b"\x1b]11;?\x1b\\";
/// Backgrounds of the built-in themes, as they are written.
const DARK: &[u8] = b"48;2;18;22;29";
const LIGHT: &[u8] = b"48;2;251;250;247";
const TRUE: (&str, &str) = ("COLORTERM", "truecolor");

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn observer(cluster: &Cluster, further: &[&str], environment: &[(&str, &str)]) -> Terminal {
    let arguments = [&["--no-controller"], further].concat();
    let console = cluster.open(SIZE, &arguments, environment);
    console.until_shows(APP);
    console
}

fn leave(mut console: Terminal) {
    console.type_keys("q");
    assert!(console.ended(PATIENCE).success());
    assert_eq!(console.taken(), (false, false));
}

#[test]
fn a_light_terminal_gets_the_light_theme_and_its_answer_is_no_key() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = cluster.open(SIZE, &["--no-controller"], &[TRUE]);
    console.until_written(QUESTION, PATIENCE);
    console.type_keys("\x1b]11;rgb:fdfd/f6f6/e3e3\x07");
    console.until_written(LIGHT, PATIENCE);
    console.until_shows(APP);
    // Its letters would have opened the events and asked for an abort.
    console.type_keys("?");
    console.until_shows("Give all traffic back");
    assert!(!console.screen().contains("does nothing now") && !console.screen().contains("Abort"));
    console.type_keys("\x1b");
    console.until("the help is closed", PATIENCE, |screen| !screen.contains("Give all traffic back"));
    leave(console);
}

#[test]
fn an_answer_that_comes_late_still_counts_and_still_is_no_key() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = observer(&cluster, &[], &[TRUE]);
    console.until_shows("Initialized");
    assert!(contains(&console.written().0, DARK), "until then it is taken for dark");
    // Torn apart on its way, as by a slow line.
    for part in ["\x1b]11;rgb:", "ffff/fff", "f/ffff", "\x1b\\"] {
        console.type_keys(part);
    }
    console.until_written(LIGHT, PATIENCE);
    let screen = console.screen();
    assert!(screen.contains(APP) && screen.contains("q quit"), "no key was pressed:\n{screen}");
    leave(console);
}

#[test]
fn a_theme_that_is_named_is_worn_and_nothing_is_asked() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let themes = cluster.home.path().join("config/canary-tui/themes");
    std::fs::create_dir_all(&themes).expect("a folder");
    std::fs::write(themes.join("mine.toml"), "[palette]\nground = \"#010203\"\n").expect("a file");
    std::fs::write(themes.join("wrong.toml"), "[roles]\nbad = { fg = \"rad\" }\n").expect("a file");
    let config = cluster.home.path().join("config").display().to_string();
    let environment = [TRUE, ("XDG_CONFIG_HOME", config.as_str())];
    let console = observer(&cluster, &["--theme", "mine"], &environment);
    let (bytes, _) = console.written();
    assert!(contains(&bytes, b"48;2;1;2;3") && !contains(&bytes, QUESTION));
    leave(console);
    for (name, what) in [("wrong", "wrong.toml:2:14: \"rad\" is no colour"), ("pink", "there is no theme \"pink\"")] {
        let mut refused = cluster.open(SIZE, &["--no-controller", "--theme", name], &environment);
        assert_eq!(refused.ended(PATIENCE).exit_code(), 2);
        let said = String::from_utf8_lossy(&refused.written().0).replace("\r\n", "");
        assert!(said.contains(what), "{said}");
        assert!(!said.contains("\x1b[?1049h"), "the terminal was never taken");
    }
}

#[test]
fn the_colours_are_as_many_as_are_asked_for() {
    let cluster = Cluster::start(Duration::from_secs(10));
    for (flag, seen, unseen) in [
        ("truecolor", &b"48;2;"[..], &b"48;5;"[..]),
        ("256", b"48;5;", b"48;2;"),
        ("16", b"\x1b[2J", b"48;5;"),
        // The selected row is reversed, whatever else it is.
        ("never", b"7m", b"8;5;"),
    ] {
        let console = observer(&cluster, &["--color", flag, "--ascii"], &[]);
        console.until_shows("Initialized");
        let (bytes, _) = console.written();
        assert!(contains(&bytes, seen) && !contains(&bytes, unseen), "{flag}");
        assert!(bytes.is_ascii(), "--ascii");
        leave(console);
    }
    // What the flag says goes before NO_COLOR.
    let console = observer(&cluster, &["--color", "always"], &[TRUE, ("NO_COLOR", "1")]);
    assert!(contains(&console.written().0, DARK));
    leave(console);
}

#[test]
fn the_mouse_is_taken_when_it_is_asked_for_and_given_back_at_the_end() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = observer(&cluster, &[], &[]);
    assert!(!contains(&console.written().0, b"\x1b[?1000h"));
    console.type_keys("m");
    console.until_shows("mouse on");
    console.until_written(b"\x1b[?1000h\x1b[?1006h", PATIENCE);
    // The second row: below the header, the frame, the heading and the first row. Then far outside.
    console.type_keys("\x1b[<0;10;5M\x1b[<0;10;5m\x1b[<0;900;900M\x1b[<64;900;900M");
    console.until_shows("▸ jx-production-");
    console.until("the second app is selected", PATIENCE, |screen| {
        let second = screen.lines().nth(4).unwrap_or_default();
        second.contains('▸')
    });
    leave(console);
    let mut console = observer(&cluster, &[], &[]);
    console.type_keys("m");
    console.until_shows("mouse on");
    console.signal("TERM");
    assert!(console.ended(PATIENCE).success());
    let (bytes, _) = console.written();
    let (on, off) = (b"\x1b[?1000h", b"\x1b[?1000l");
    let last = |part: &[u8]| bytes.windows(part.len()).rposition(|window| window == part);
    assert!(last(off) > last(on), "it is off when the shell comes back");
}

#[test]
fn a_name_is_copied_through_whatever_stands_in_between() {
    let cluster = Cluster::start(Duration::from_secs(10));
    // Base64 of jx-production-myapp.
    let plain = "\x1b]52;c;angtcHJvZHVjdGlvbi1teWFwcA==";
    let tmux = "\x1bPtmux;\x1b\x1b]52;c;angtcHJvZHVjdGlvbi1teWFwcA==\x1b\x1b\\\x1b\\";
    let cases: [(&[(&str, &str)], String); 3] = [
        (&[], format!("{plain}\x1b\\")),
        (&[("TMUX", "/tmp/tmux-0/default,1,0"), ("TERM", "tmux-256color")], tmux.to_string()),
        (&[("STY", "1.pts-0.host"), ("TERM", "screen-256color")], format!("\x1bP{plain}\x07\x1b\\")),
    ];
    for (environment, wanted) in cases {
        let mut console = observer(&cluster, &[], environment);
        console.type_keys("y");
        console.until_written(wanted.as_bytes(), PATIENCE);
        console.until_shows("copied to the terminal's clipboard: jx-production-myapp");
        leave(console);
    }
}

#[test]
fn ctrl_z_goes_to_the_shell_and_fg_comes_back_to_a_whole_screen() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = cluster.under_a_shell(SIZE);
    console.until_shows(APP);
    console.until_shows("Initialized");
    console.type_keys("m");
    console.until_shows("mouse on");
    let already = console.written().0.len();
    console.type_keys("\x1a");
    console.until_shows("now in the shell");
    assert_eq!(console.taken(), (false, false), "the shell has its screen and its cursor");
    let (bytes, _) = console.written();
    assert!(contains(&bytes[already..], b"\x1b[?1000l"), "and the mouse");
    // Another size meanwhile; what is typed goes to the shell.
    console.resize((80, 24));
    console.type_keys("aq\r");
    console.until("it is back, at the new size", PATIENCE, |screen| {
        screen.contains("q quit") && screen.contains("▸ jx-production-myapp") && screen.contains("Events")
    });
    let (bytes, _) = console.written();
    assert!(contains(&bytes[already..], b"\x1b[?1000h"), "the mouse is on again");
    assert_eq!(console.taken(), (true, true));
    assert!(!console.screen().contains("Abort"), "nothing that was typed to the shell came here");
    console.type_keys("q");
    console.until_shows("at the end");
    assert!(console.ended(PATIENCE).success());
    assert_eq!(console.taken(), (false, false));
}

#[test]
fn a_stop_from_outside_gives_the_terminal_back_as_ctrl_z_does() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = cluster.under_a_shell(SIZE);
    console.until_shows(APP);
    let children = format!("/proc/{0}/task/{0}/children", console.pid());
    let child = std::fs::read_to_string(children).expect("the shell's child").trim().to_string();
    let sent = std::process::Command::new("kill").args(["-TSTP", &child]).status().expect("kill runs");
    assert!(sent.success());
    console.until_shows("now in the shell");
    assert_eq!(console.taken(), (false, false));
    console.type_keys("\r");
    console.until_shows("q quit");
    console.type_keys("q");
    console.until_shows("at the end");
    assert!(console.ended(PATIENCE).success());
}

#[test]
fn without_a_shell_to_come_back_from_it_is_not_suspended() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = observer(&cluster, &[], &[]);
    console.type_keys("\x1a");
    console.until_shows("there is no shell to come back from");
    assert_eq!(console.taken(), (true, true));
    console.until("the screen is whole", PATIENCE, |screen| screen.contains(APP) && screen.contains("q quit"));
    leave(console);
}

#[test]
fn a_storm_of_sizes_ends_with_the_last_one_drawn() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let mut console = observer(&cluster, &[], &[]);
    console.type_keys("m");
    for round in 0..20u16 {
        for size in [(20, 5), (60 + round, 16), (20, 5), (200, 60), (80, 24), (1, 1), (20 + round, 5)] {
            console.resize(size);
            if round % 5 == 0 {
                console.type_keys("j\x1b[<64;300;300Mk");
            }
        }
    }
    console.until("too small, and it says so", PATIENCE, |screen| screen.contains("canary-tui needs 60x16."));
    console.resize(SIZE);
    console.until("all of it is drawn anew", PATIENCE, |screen| {
        let lines: Vec<&str> = screen.lines().collect();
        lines.len() == usize::from(SIZE.1) && lines[39].contains("q quit") && screen.contains("PRIMARY")
    });
    leave(console);
}

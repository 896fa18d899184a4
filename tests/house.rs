//! The house keeps its order: a room knows only rooms below it, modules say what they are for, and nothing is unsafe.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from top to bottom.
const ROOMS: [&str; 10] =
    ["cli", "tui", "report", "controller", "sandbox", "traffic", "cluster", "metrics", "rollout", "api"];

/// What a room may know beside those below it, and what it may not although it stands below it.
fn may_know(room: &str, other: &str) -> bool {
    let place = |name: &str| ROOMS.iter().position(|r| *r == name).expect("a room");
    match room {
        // Fed with facts: it knows nothing of the rest.
        "traffic" => false,
        "sandbox" => matches!(other, "api" | "traffic"),
        // The rest knows nothing of the sandbox but its address; the command line starts it.
        "tui" | "report" | "controller" => place(other) > place(room) && !matches!(other, "sandbox" | "traffic"),
        _ => place(other) > place(room),
    }
}

fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for room in ROOMS {
        let mut folders = vec![root.join(room)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a room's folder").map(|e| e.expect("an entry").path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else if entry.extension().is_some_and(|e| e == "rs") {
                    let text = fs::read_to_string(&entry).expect("a source file");
                    found.push((room.to_string(), entry, text));
                }
            }
        }
    }
    assert!(found.len() > ROOMS.len(), "the sources were found");
    found
}

#[test]
fn a_room_knows_only_rooms_below_it() {
    for (room, file, text) in sources() {
        for other in ROOMS.iter().filter(|other| **other != room && !may_know(&room, other)) {
            for (number, line) in text.lines().enumerate() {
                let code = line.trim_start();
                if !code.starts_with("//") && code.contains(&format!("crate::{other}")) {
                    panic!("{}:{}: {room} imports {other}", file.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for (_, file, text) in sources() {
        assert!(text.starts_with("//!") || file.ends_with("tests.rs"), "{} does not open with //!", file.display());
    }
}

#[test]
fn what_is_ready_at_once_is_taken_in_order() {
    // Else tokio draws lots, and no simulated run of the whole could be repeated (tests/faults).
    for (room, file, text) in sources() {
        if !["controller", "sandbox", "traffic", "cluster", "metrics"].contains(&room.as_str()) {
            continue;
        }
        // Sockets are no part of a simulation.
        for choice in text.split("select! {").skip(1).filter(|_| !file.ends_with("sandbox/listener.rs")) {
            assert!(choice.trim_start().starts_with("biased;"), "{}: a select! is not biased", file.display());
        }
    }
}

#[test]
fn nothing_decides_with_a_clock_or_a_lock() {
    for (room, file, text) in sources() {
        if room == "rollout" {
            for word in ["async ", "Utc::now", "Instant", "Mutex", "RwLock", "tokio", "kube::"] {
                let found = text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains(word));
                assert!(!found, "{} uses {word}", file.display());
            }
        }
    }
}

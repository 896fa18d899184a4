//! Tells the tests which programs are here, and what they may do, so that those that need it are counted as ignored
//! elsewhere.

use std::env;
use std::process::{Command, Stdio};

/// Each is a `cfg` of its own where it is on the PATH.
const PROGRAMS: [&str; 4] = ["kubectl", "go", "prometheus", "kdash"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    let path = env::var_os("PATH").unwrap_or_default();
    for program in PROGRAMS {
        println!("cargo::rustc-check-cfg=cfg({program})");
        if env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
            println!("cargo::rustc-cfg={program}");
        }
    }
    println!("cargo::rustc-check-cfg=cfg(network_namespace)");
    // A namespace of the tests' own, with an address in it.
    let try_it =
        Command::new("unshare").args(["--net", "ip", "link", "set", "lo", "up"]).stderr(Stdio::null()).status();
    if try_it.is_ok_and(|ended| ended.success()) {
        println!("cargo::rustc-cfg=network_namespace");
    }
}

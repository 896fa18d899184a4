//! Tells the tests which programs are here, so that those that need one are counted as ignored elsewhere.

use std::env;

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
}

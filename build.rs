//! Tells the tests whether kubectl is here, so that those that need it are counted as ignored elsewhere.

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(kubectl)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| folder.join("kubectl").is_file()) {
        println!("cargo::rustc-cfg=kubectl");
    }
}

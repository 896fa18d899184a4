//! `canary-tui config`: the config file, begun, checked and found.

use super::args::ConfigCommand;
use super::exit::Exit;
use super::logging;
use super::plain::escaped;
use crate::tui::config;
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// Does one of the three.
pub fn run(command: ConfigCommand, out: &mut dyn Write) -> Result<Exit> {
    match command {
        ConfigCommand::Init => init(out),
        ConfigCommand::Check => check(out),
        ConfigCommand::Path => path(out),
    }
}

fn file() -> Result<PathBuf> {
    config::path().ok_or_else(|| anyhow!("there is no home folder to keep a config file in: set HOME"))
}

/// Writes a file with every key in it; one that is there stays as it is.
fn init(out: &mut dyn Write) -> Result<Exit> {
    let path = file()?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => {
            file.write_all(config::example().as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already, and stays as it is: move it away first", path.display())
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
    writeln!(out, "{} is written; all of it is commented out", escaped(&path.display().to_string()))?;
    Ok(Exit::Done)
}

/// Prints what is wrong in the file.
fn check(out: &mut dyn Write) -> Result<Exit> {
    let path = file()?;
    let (_, problems) = config::load_from(&path);
    for problem in &problems {
        writeln!(out, "{}", escaped(&problem.to_string()))?;
    }
    if !problems.is_empty() {
        return Ok(Exit::Failed);
    }
    let said = if path.exists() { "nothing is wrong in it" } else { "it is not there, and the defaults hold" };
    writeln!(out, "{}: {said}", escaped(&path.display().to_string()))?;
    Ok(Exit::Done)
}

/// Prints where the files are, whether they are there or not.
fn path(out: &mut dyn Write) -> Result<Exit> {
    let themes = config::directory().map(|folder| folder.join("themes"));
    for (name, path) in [("config", config::path()), ("themes", themes), ("log", logging::directory())] {
        let path = path.map_or_else(|| "no home folder".to_string(), |path| path.display().to_string());
        writeln!(out, "{name:<8}{}", escaped(&path))?;
    }
    Ok(Exit::Done)
}

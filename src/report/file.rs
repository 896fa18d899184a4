//! Where a report is written. Nothing that is there is ever written over.

use super::{Story, chart, markdown};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where to write a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a folder, which is made where it is not there, under a name that is made up of the canary and the time.
    Folder(PathBuf),
    /// In this file, and its charts beside it.
    File(PathBuf),
}

impl Place {
    /// What a path means: a folder where there is one or it ends like one, else a file.
    pub fn of(path: &Path) -> Self {
        let ends_like_one = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        match path.is_dir() || ends_like_one {
            true => Self::Folder(path.to_path_buf()),
            false => Self::File(path.to_path_buf()),
        }
    }
}

/// Most names that are tried in a folder.
const TRIES: u32 = 100;

/// Writes the Markdown and, where there is anything to draw, the charts; answers the path of the Markdown.
///
/// # Errors
/// In words: where a file is there already or cannot be written.
pub fn write(story: &Story, place: &Place) -> Result<PathBuf, String> {
    match place {
        Place::File(path) => {
            let path = if path.extension().is_some() { path.clone() } else { path.with_extension("md") };
            write_to(story, &path).map_err(|e| said(&path, &e))?;
            Ok(path)
        }
        Place::Folder(folder) => {
            fs::create_dir_all(folder).map_err(|e| said(folder, &e))?;
            let stem = stem(story);
            for number in 1..=TRIES {
                let name = if number == 1 { format!("{stem}.md") } else { format!("{stem}-{number}.md") };
                let path = folder.join(name);
                match write_to(story, &path) {
                    Ok(()) => return Ok(path),
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(e) => return Err(said(&path, &e)),
                }
            }
            Err(format!("{} holds too many reports of this moment: give another folder", folder.display()))
        }
    }
}

fn said(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!(
                "{} or its charts are there already, and nothing is written over: give another name",
                path.display()
            )
        }
        _ => format!("cannot write {}: {error}", path.display()),
    }
}

/// A name that any file system takes.
fn stem(story: &Story) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let name: String = story.canary.chars().map(|c| if plain(c) { c } else { '_' }).take(120).collect();
    format!("{}-{}", name.trim_start_matches('.'), story.told.format("%Y%m%dT%H%M%SZ"))
}

fn write_to(story: &Story, path: &Path) -> io::Result<()> {
    let picture = path.with_extension("svg");
    let charts = chart::svg(story).filter(|_| picture != path);
    let name = picture.file_name().map(|name| name.to_string_lossy().into_owned());
    let text = markdown::text(story, name.as_deref().filter(|_| charts.is_some()));
    let mut file = new(path)?;
    if let Some(charts) = &charts {
        let drawn = new(&picture).and_then(|mut file| file.write_all(charts.as_bytes()));
        if let Err(error) = drawn {
            // This file is ours: it was not there a moment ago.
            let _ = fs::remove_file(path);
            return Err(error);
        }
    }
    file.write_all(text.as_bytes())
}

fn new(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

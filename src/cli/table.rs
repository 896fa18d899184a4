//! Columns of text as kubectl prints them.

use super::plain::escaped;
use chrono::{DateTime, Utc};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

const GAP: usize = 3;

/// Rows of cells under headings.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|h| h.to_string()).collect()] }
    }

    /// Adds a row; the cells are data and are made harmless.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| escaped(cell)).collect());
    }

    /// Prints it, each column as wide as its widest cell.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.width()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        self.rows.iter().try_for_each(|row| line(out, row, &widths))
    }
}

/// Prints cells at fixed widths; a longer cell pushes the rest aside.
pub fn line(out: &mut dyn Write, cells: &[String], widths: &[usize]) -> io::Result<()> {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths.iter().chain(std::iter::repeat(&0))) {
        text.push_str(cell);
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + GAP));
    }
    writeln!(out, "{}", text.trim_end())
}

/// The time since `then`, coarse as kubectl's: `45s`, `12m`, `3h`, `5d`; `-` where it is unknown.
pub fn age(then: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    let Some(then) = then else { return "-".into() };
    let seconds = (now - then).num_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_hostile_cells_stay_in_their_row() {
        let mut table = Table::new(&["NAME", "PHASE"]);
        table.row(vec!["日本".into(), "a\nb\u{1b}".into()]);
        table.row(vec!["long-name".into(), String::new()]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "NAME        PHASE\n日本        a\\nb\\u{1b}\nlong-name\n");
    }

    #[test]
    fn ages_are_coarse() {
        let now = DateTime::UNIX_EPOCH + chrono::Duration::days(30);
        let ago = |seconds| age(Some(now - chrono::Duration::seconds(seconds)), now);
        assert_eq!(
            [ago(5), ago(119), ago(3600), ago(7200), ago(200_000), ago(-5)],
            ["5s", "119s", "60m", "2h", "2d", "0s"]
        );
        assert_eq!(age(None, now), "-");
    }
}

//! Columns of text as kubectl prints them.

use super::plain::escaped;
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
}

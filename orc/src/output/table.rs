//! Tables for people: columns as wide as their widest cell, two spaces between.

/// Blanks before a cell that has lines of its own.
const INDENT: usize = 4;

/// Rows under headings.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, a line for each row, without trailing blanks. Control characters, which a task's own words
    /// may contain, are shown as blanks so that they cannot draw on the terminal.
    pub(crate) fn render(&self) -> String {
        self.render_within(None)
    }

    /// The text for so many characters in a line: a last cell that would be longer gets lines of its own.
    pub(crate) fn render_within(&self, limit: Option<usize>) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let clean: Vec<String> = row.iter().map(|cell| printable(cell)).collect();
            let line = |cells: &[String]| {
                let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  "));
                padded.collect::<String>().trim_end().to_owned()
            };
            let whole = line(&clean);
            let limit = limit.filter(|limit| number > 0 && whole.chars().count() > *limit);
            match (limit, clean.split_last()) {
                (Some(limit), Some((last, cells))) => {
                    text.push_str(&line(cells));
                    for part in wrap(last, limit.saturating_sub(INDENT)) {
                        text.push_str(&format!("\n{:INDENT$}{part}", ""));
                    }
                }
                _ => text.push_str(&whole),
            }
            text.push('\n');
        }
        text
    }
}

/// A text in which nothing can draw on the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text of at most so many characters: where some are left out, a mark stands for them.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A text in lines of at most so many characters, broken between words; a word that is longer stays whole.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["SERVICE", "STATE", "DETAIL"]);
        table.row(["web".into(), "running\u{1b}[2J".into(), "ü".into()]);
        table.row(["postgres".into(), "x".into(), String::new()]);
        let expect = "SERVICE   STATE        DETAIL\nweb       running [2J  ü\npostgres  x\n";
        assert_eq!(table.render(), expect);
    }

    #[test]
    fn a_cut_says_that_it_is_one() {
        let check = |text: &str, width: usize, expect: &str| assert_eq!(cut(text, width), expect);
        check("größer", 6, "größer");
        check("größer", 5, "größ…");
        check("größer", 0, "…");
    }

    #[test]
    fn a_last_cell_that_is_too_long_gets_lines_of_its_own() {
        let mut table = Table::new(&["TASK", "DETAIL"]);
        table.row(["web.1".into(), "waits for the database".into()]);
        let check = |limit: usize, expect: &[&str]| {
            assert_eq!(
                table.render_within(Some(limit)).lines().skip(1).collect::<Vec<_>>(),
                expect,
                "{limit}"
            );
        };
        check(29, &["web.1  waits for the database"]);
        check(28, &["web.1", "    waits for the database"]);
        check(20, &["web.1", "    waits for the", "    database"]);
        check(3, &["web.1", "    waits", "    for", "    the", "    database"]);
    }
}

//! Tables for people: columns as wide as their widest cell, two spaces between.

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

    /// The text in which no line is longer than so many characters as far as cutting its last cell helps.
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
        // At least the head of the last column stays: a line that is still too long has to wrap.
        let head = self.rows.first().and_then(|row| row.last()).map_or(0, |cell| cell.chars().count());
        let before_last = widths.iter().rev().skip(1).map(|width| width + 2).sum::<usize>() + head;
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let cell: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                line.push_str(&format!("{cell:<width$}  "));
            }
            text.push_str(&within(line.trim_end(), limit, before_last));
            text.push('\n');
        }
        text
    }
}

/// The line, cut to the limit where it has more characters than that and than `least`.
fn within(line: &str, limit: Option<usize>, least: usize) -> String {
    match limit.map(|limit| limit.max(least)) {
        Some(limit) if limit > 0 && line.chars().count() > limit => {
            line.chars().take(limit - 1).chain(['…']).collect()
        }
        _ => line.to_owned(),
    }
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
    fn only_the_last_cell_is_cut() {
        let mut table = Table::new(&["TASK", "DETAIL"]);
        table.row(["web.1".into(), "a long reason".into()]);
        let check = |limit: usize, expect: &str| {
            assert_eq!(table.render_within(Some(limit)).lines().nth(1), Some(expect), "{limit}");
        };
        check(80, "web.1  a long reason");
        check(20, "web.1  a long reason");
        check(19, "web.1  a long reas…");
        check(3, "web.1  a lon…");
    }
}

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
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let cell: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                line.push_str(&format!("{cell:<width$}  "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
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
}

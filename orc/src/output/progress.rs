//! One stream of progress, four ways to show it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anstyle::AnsiColor;

use super::table::{cut, printable};
use super::{paint, raw};

/// Where one object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What the object is called in the first column: `network`, `volume`, or a service's name.
    pub(crate) label: String,
    /// What it is or does now: `shop_default`, `1/2 starting`.
    pub(crate) text: String,
    /// An address, or why it waits; empty means the time it took.
    pub(crate) note: String,
    /// How it goes.
    pub(crate) status: Status,
}

/// How it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Something is being done.
    Working,
    /// It is as wished.
    Done,
    /// It will not be as wished.
    Failed,
}

/// Shows progress.
pub(crate) trait Renderer {
    /// An object, named by a key that also orders it, stands elsewhere than before.
    fn update(&mut self, key: &str, step: Step);

    /// Whether whatever is said of an object can be read in full.
    fn tells_all(&self) -> bool {
        false
    }

    /// How often [`Renderer::tick`] should be called; `None` means never.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// Time has passed.
    fn tick(&mut self) {}

    /// Nothing follows; the last picture stays.
    fn finish(&mut self) {}
}

struct Entry {
    step: Step,
    since: Instant,
    took: Option<Duration>,
}

impl Entry {
    fn new(step: Step) -> Self {
        let took = (step.status != Status::Working).then_some(Duration::ZERO);
        Self { step, since: Instant::now(), took }
    }

    fn set(&mut self, step: Step) {
        let done = step.status != Status::Working;
        if self.took.is_some() && !done {
            // What was done before takes its time anew.
            self.since = Instant::now();
        }
        self.took = done.then(|| self.took.unwrap_or_else(|| self.since.elapsed()));
        self.step = step;
    }

    /// The note, or the time it took if that is worth mentioning.
    fn note(&self) -> String {
        let time = self.took.unwrap_or_else(|| self.since.elapsed());
        let worth = time >= Duration::from_millis(50);
        match (self.step.note.is_empty(), worth) {
            (true, true) => format!("{:.1}s", time.as_secs_f64()),
            _ => self.step.note.clone(),
        }
    }
}

fn line(symbol: &str, entry: &Entry, widths: (usize, usize)) -> String {
    let Step { label, text, .. } = &entry.step;
    let (first, second) = widths;
    // What a container's own words hold must not move the lines below.
    let note = printable(&entry.note());
    format!(" {symbol} {label:<first$}  {text:<second$}  {note}").trim_end().to_owned()
}

fn symbol(status: Status, turn: usize, color: bool) -> String {
    const TURNS: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇", "⠏", "⠋"];
    match status {
        Status::Working => paint(TURNS[turn % TURNS.len()], AnsiColor::Blue, color),
        Status::Done => paint("✔", AnsiColor::Green, color),
        Status::Failed => paint("✘", AnsiColor::Red, color),
    }
}

/// A line for each change.
pub(crate) struct Plain {
    entries: BTreeMap<String, Entry>,
    color: bool,
}

impl Plain {
    pub(crate) fn new(color: bool) -> Self {
        Self { entries: BTreeMap::new(), color }
    }
}

impl Renderer for Plain {
    fn tells_all(&self) -> bool {
        true
    }

    fn update(&mut self, key: &str, step: Step) {
        let known = self.entries.get(key).is_some_and(|entry| entry.step == step);
        if known {
            return;
        }
        let entry = self.entries.entry(key.to_owned()).or_insert_with(|| Entry::new(step.clone()));
        entry.set(step);
        // Widths that suit most names: a later line cannot move an earlier one.
        let sign = match entry.step.status {
            Status::Working => "…".to_owned(),
            status => symbol(status, 0, self.color),
        };
        raw::status(&format!("{}\n", line(&sign, entry, (8, 14))));
    }
}

/// A JSON object for each change, with the field names of `docker compose --progress json`.
#[derive(Default)]
pub(crate) struct Json {
    last: BTreeMap<String, Step>,
}

impl Renderer for Json {
    fn tells_all(&self) -> bool {
        true
    }

    fn update(&mut self, key: &str, step: Step) {
        if self.last.get(key) == Some(&step) {
            return;
        }
        let status = match step.status {
            Status::Working => "Working",
            Status::Done => "Done",
            Status::Failed => "Error",
        };
        let object = serde_json::json!({
            "id": step.label, "status": status, "text": step.text, "details": step.note,
        });
        raw::status(&format!("{object}\n"));
        self.last.insert(key.to_owned(), step);
    }
}

/// Says nothing.
pub(crate) struct Quiet;

impl Renderer for Quiet {
    fn update(&mut self, _: &str, _: Step) {}
}

/// One line for each object, redrawn in place.
pub(crate) struct Tty {
    entries: BTreeMap<String, Entry>,
    color: bool,
    drawn: usize,
    turn: usize,
}

impl Tty {
    pub(crate) fn new(color: bool) -> Self {
        Self { entries: BTreeMap::new(), color, drawn: 0, turn: 0 }
    }

    fn draw(&mut self) {
        let (columns, rows) = rustix::termios::tcgetwinsize(std::io::stderr())
            .map_or((80, 24), |size| (usize::from(size.ws_col.max(20)), usize::from(size.ws_row.max(4))));
        let wide = |get: fn(&Step) -> &String, least: usize| {
            self.entries.values().map(|entry| get(&entry.step).chars().count()).max().unwrap_or(0).max(least)
        };
        let widths = (wide(|step| &step.label, 8), wide(|step| &step.text, 14));
        // Lines that have left the screen cannot be redrawn: when there are too many, the finished ones go first.
        let mut shown: Vec<&Entry> = self.entries.values().collect();
        if shown.len() > rows - 2 {
            shown.sort_by_key(|entry| entry.step.status == Status::Done);
            shown.truncate(rows - 2);
        }
        // The cursor may not stand where it was left: a terminal shows the keys that are pressed.
        let mut text = String::from("\r");
        if self.drawn > 0 {
            text.push_str(&format!("\u{1b}[{}A", self.drawn));
        }
        for entry in &shown {
            let sign = symbol(entry.step.status, self.turn, self.color);
            let escapes = sign.chars().count() - 1;
            let line = cut(&line(&sign, entry, widths), columns - 1 + escapes);
            text.push_str(&format!("\u{1b}[2K{line}\n"));
        }
        text.push_str("\u{1b}[0J");
        self.drawn = shown.len();
        raw::status(&text);
    }
}

impl Renderer for Tty {
    fn update(&mut self, key: &str, step: Step) {
        match self.entries.get_mut(key) {
            Some(entry) => entry.set(step),
            None => {
                self.entries.insert(key.to_owned(), Entry::new(step));
            }
        }
        self.draw();
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }

    fn tick(&mut self) {
        self.turn += 1;
        self.draw();
    }

    fn finish(&mut self) {
        if self.drawn > 0 {
            self.draw();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_three_columns_and_no_trailing_blanks() {
        let check = |label: &str, text: &str, note: &str, expect: &str| {
            let step =
                Step { label: label.into(), text: text.into(), note: note.into(), status: Status::Done };
            assert_eq!(line("✔", &Entry::new(step), (8, 14)), expect);
        };
        check("network", "shop_default", "10.201.3.0/24", " ✔ network   shop_default    10.201.3.0/24");
        check("volume", "shop_data", "", " ✔ volume    shop_data");
        check("web", "unhealthy", "no\nroute\u{1b}[2J", " ✔ web       unhealthy       no route [2J");
        check("a-very-long-name", "1/1 running", "", " ✔ a-very-long-name  1/1 running");
    }

    #[test]
    fn what_is_done_keeps_the_time_it_took() {
        let step = |status| Step { label: "db".into(), text: String::new(), note: String::new(), status };
        let mut entry = Entry::new(step(Status::Working));
        assert_eq!(entry.took, None);
        entry.set(step(Status::Done));
        let took = entry.took;
        entry.set(step(Status::Done));
        assert_eq!(entry.took, took);
        entry.set(step(Status::Working));
        assert_eq!(entry.took, None, "it goes on");
    }
}

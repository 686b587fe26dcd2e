//! Everything a person or a tool gets to read: data on standard output, everything else on standard error.
//!
//! [`Output`] is a value that commands are given; it knows what the two streams are and how much to say.

pub(crate) mod error;
pub(crate) mod form;
pub(crate) mod log;
pub(crate) mod progress;
pub(crate) mod raw;
pub(crate) mod table;

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};

use crate::failure::Failure;
use crate::why::Chain;
use progress::{Json, Plain, Quiet, Renderer, Tty};
use table::{printable, wrap};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProgressMode {
    /// Live on a terminal, plain lines otherwise.
    #[default]
    Auto,
    /// Live: one line for each object, redrawn in place.
    Tty,
    /// A line for each change.
    Plain,
    /// A JSON object for each change.
    Json,
    /// Nothing.
    Quiet,
}

/// Whether colours and cursor movements are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ansi {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The two streams as this call may use them.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    mode: ProgressMode,
    color_out: bool,
    color_err: bool,
    live: bool,
}

impl Output {
    /// Looks at the streams and the environment once.
    pub(crate) fn new(mode: ProgressMode, ansi: Ansi) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = |terminal: bool| match ansi {
            Ansi::Always => true,
            Ansi::Never => false,
            Ansi::Auto => terminal && !set("NO_COLOR") && !dumb,
        };
        let terminal = std::io::stderr().is_terminal();
        Self {
            mode,
            color_out: color(std::io::stdout().is_terminal()),
            color_err: color(terminal),
            live: terminal && !dumb && ansi != Ansi::Never,
        }
    }

    /// Data: what the command was called for.
    pub(crate) fn data(&self, text: &str) {
        raw::stdout(text.as_bytes());
    }

    /// Data that need not be text.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        raw::stdout(bytes);
    }

    /// Data, with its line end.
    pub(crate) fn line(&self, text: &str) {
        raw::stdout(format!("{text}\n").as_bytes());
    }

    /// Something worth knowing that is not what was asked for.
    pub(crate) fn note(&self, text: &str) {
        if self.mode != ProgressMode::Quiet {
            raw::stderr(&format!("{text}\n"));
        }
    }

    /// Something worth knowing after a key was pressed, which a terminal shows where the cursor stood.
    pub(crate) fn note_after_key(&self, text: &str) {
        if self.live {
            raw::stderr("\n");
        }
        self.note(text);
    }

    /// Something that is probably not as meant.
    pub(crate) fn warning(&self, text: &str) {
        raw::stderr(&format!("{}: {text}\n", paint("warning", AnsiColor::Yellow, self.color_err)));
    }

    /// Findings, rendered with or without colours by whoever knows them.
    pub(crate) fn findings(&self, render: impl FnOnce(bool) -> String) {
        raw::stderr(&render(self.color_err));
    }

    /// What kept the command from succeeding.
    pub(crate) fn failure(&self, failure: &Failure) {
        raw::stderr(&error::render(failure, self.color_err));
    }

    /// Whether data on standard output may be drawn over what was there: it is for a person who looks on.
    pub(crate) fn redraws(&self) -> bool {
        self.live && std::io::stdout().is_terminal()
    }

    /// Whether data on standard output may have colours.
    pub(crate) fn color(&self) -> bool {
        self.color_out
    }

    /// Characters in a line of the terminal that standard output goes to, if it goes to one.
    pub(crate) fn width(&self) -> Option<usize> {
        let stdout = std::io::stdout();
        let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(stdout).ok())??;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }

    /// How a service has come to where it is, with the last lines of its log.
    pub(crate) fn chain(&self, chain: &Chain, lines: &[Vec<u8>]) {
        let sign = |well: bool| match well {
            true => paint("✔", AnsiColor::Green, self.color_out),
            false => paint("✘", AnsiColor::Red, self.color_out),
        };
        let verdict = chain.links.iter().find(|link| !link.well).map_or("as wished", |link| link.stage);
        let mut text = format!("{} {}: {verdict}\n", sign(chain.well), chain.task);
        let room = self.width().map_or(usize::MAX, |width| width.saturating_sub(19).max(20));
        for link in &chain.links {
            let said = wrap(&printable(&link.text), room).join(&format!("\n{:19}", ""));
            text.push_str(&format!("   {} {:<13} {said}\n", sign(link.well), link.stage));
        }
        raw::stdout(text.as_bytes());
        for line in lines {
            raw::stdout(&[b"     | ", line.trim_ascii_end(), b"\n"].concat());
        }
    }

    /// A renderer for one stream of progress.
    pub(crate) fn progress(&self) -> Box<dyn Renderer> {
        match self.mode {
            ProgressMode::Auto if self.live => Box::new(Tty::new(self.color_err)),
            ProgressMode::Tty => Box::new(Tty::new(self.color_err)),
            ProgressMode::Auto | ProgressMode::Plain => Box::new(Plain::new(self.color_err)),
            ProgressMode::Json => Box::new(Json::default()),
            ProgressMode::Quiet => Box::new(Quiet),
        }
    }
}

/// A text in a colour, if colours are wanted.
pub(crate) fn paint(text: &str, color: AnsiColor, wanted: bool) -> String {
    if !wanted {
        return text.to_owned();
    }
    let style = Style::new().fg_color(Some(color.into()));
    format!("{style}{text}{style:#}")
}

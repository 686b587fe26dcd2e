//! How a command ended, and what may be expected of it.

use std::process::Output;

/// A finished command.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// As it was typed, for messages.
    pub(crate) command: String,
    /// Its exit code; 128 + signal when it was killed.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn new(command: String, output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let signal = output.status.signal().unwrap_or_default();
        Self {
            command,
            code: output.status.code().unwrap_or(128 + signal),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It must have succeeded; answers its standard output without the last line's end.
    #[track_caller]
    pub(crate) fn ok(&self) -> &str {
        self.exits(0).stdout.trim_end()
    }

    /// It must have ended with this code.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "exit code of {self}");
        self
    }

    /// Its output or its messages must contain this.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "no `{text}` in {self}");
        self
    }

    /// Neither its output nor its messages may contain this.
    #[track_caller]
    pub(crate) fn never_says(&self, text: &str) -> &Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "`{text}` in {self}");
        self
    }

    /// Its standard output as JSON: one value, or one a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let values: Result<Vec<_>, _> =
            serde_json::Deserializer::from_str(&self.stdout).into_iter().collect();
        let values: Vec<serde_json::Value> = values.unwrap_or_else(|error| panic!("{error} in {self}"));
        match values.as_slice() {
            [serde_json::Value::Array(items)] => items.clone(),
            _ => values,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`{}` (exit code {})", self.command, self.code)?;
        writeln!(f, "--- stdout\n{}", self.stdout.trim_end())?;
        write!(f, "--- stderr\n{}", self.stderr.trim_end())
    }
}

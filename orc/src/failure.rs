//! Why a command did not succeed: words for a person, and the exit code.

use std::error::Error;
use std::process::ExitCode;

/// What kept a command from succeeding.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to tell.
    Problem(Problem),
    /// All is said already, or said by somebody else (findings, a container's own words).
    Exit(u8),
}

/// What was being done to which object, what stood in the way, and what to do about it.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) message: String,
    /// From the nearest to the root.
    pub(crate) causes: Vec<String>,
    pub(crate) hint: Option<String>,
    /// The exit code that comes with it.
    pub(crate) code: u8,
}

/// What a command ends with.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure in one sentence, without a full stop.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Problem(Problem { message: message.into(), causes: Vec::new(), hint: None, code: 1 })
    }

    /// Adds an error and everything below it. A cause that only repeats what its parent said is left out.
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        if let Self::Problem(problem) = &mut self {
            let mut next = Some(error);
            while let Some(error) = next {
                let text = error.to_string();
                if !problem.causes.last().is_some_and(|last| last.ends_with(&text)) {
                    problem.causes.push(text);
                }
                next = error.source();
            }
        }
        self
    }

    /// Adds causes that are no errors of this program: what each of several objects says.
    pub(crate) fn causes(mut self, causes: impl IntoIterator<Item = String>) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.causes.extend(causes);
        }
        self
    }

    /// Adds advice.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.hint = Some(hint.into());
        }
        self
    }

    /// Message and causes as one of several causes.
    pub(crate) fn in_one_line(self) -> String {
        match self {
            Self::Problem(problem) => {
                let hint = problem.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                [vec![problem.message], problem.causes].concat().join(": ") + &hint
            }
            Self::Exit(code) => format!("exit code {code}"),
        }
    }

    /// Ends the program with this code instead of 1.
    pub(crate) fn code(mut self, code: u8) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.code = code;
        }
        self
    }

    /// The exit code of the whole program.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Problem(problem) => ExitCode::from(problem.code),
            Self::Exit(code) => ExitCode::from(*code),
        }
    }
}

/// Says what was being done when an error came up.
pub(crate) trait Doing<T> {
    /// Turns the error into a failure with this message.
    fn doing(self, message: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T, E: Error> Doing<T> for Result<T, E> {
    fn doing(self, message: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| Failure::new(message()).because(&error))
    }
}

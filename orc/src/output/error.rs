//! How a failure looks: what was being done, the causes below it, and a hint.

use anstyle::AnsiColor;

use super::paint;
use crate::failure::{Failure, Problem};

/// The text of a failure; empty when everything was said already.
pub(crate) fn render(failure: &Failure, color: bool) -> String {
    match failure {
        Failure::Exit(_) => String::new(),
        Failure::Problem(problem) => problem_text(problem, color),
    }
}

fn problem_text(problem: &Problem, color: bool) -> String {
    let mut text = format!("{}: {}\n", paint("error", AnsiColor::Red, color), problem.message);
    for cause in &problem.causes {
        // A cause may have lines of its own; they stay below it.
        text.push_str(&format!("  caused by: {}\n", cause.trim_end().replace('\n', "\n    ")));
    }
    if let Some(hint) = &problem.hint {
        text.push_str(&format!("{}: {hint}\n", paint("hint", AnsiColor::Cyan, color)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_hint_follow_the_error() {
        let inner = std::io::Error::from_raw_os_error(13);
        let failure = Failure::new("cannot open the lock `/x`").because(&inner).hint("run `orc` as root");
        let expect = "error: cannot open the lock `/x`\n  caused by: Permission denied (os error 13)\nhint: run `orc` as root\n";
        assert_eq!(render(&failure, false), expect);
        assert!(render(&failure, true).starts_with("\u{1b}["), "colours on request");
        assert_eq!(render(&Failure::Exit(3), false), "");
    }
}

//! Errors across a process boundary: a status for every gRPC client, and in its details what a program can
//! act on: the refusal itself and a hint for a person.

use cluster::Refusal;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

use crate::limits::{MAX_ERROR_DETAIL_BYTES, MAX_ERROR_TEXT_BYTES};

/// What a status says to programs. Travels as JSON in the status' details.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// What could be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The state did not take the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

impl Details {
    /// The details of a status; none when it came without.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        serde_json::from_slice(status.details()).unwrap_or_default()
    }
}

/// A status with a hint.
#[must_use]
pub fn status(code: Code, message: &str, hint: Option<&str>) -> Status {
    with_details(code, message, &Details { hint: hint.map(ToOwned::to_owned), refusal: None })
}

/// A refusal as a status: `Aborted` (stale: look again), `NotFound` or `FailedPrecondition` (conflict).
#[must_use]
pub fn to_status(refusal: &Refusal) -> Status {
    let (code, message, hint) = match refusal {
        Refusal::Stale { object, .. } => {
            (Code::Aborted, format!("{object} has changed in the meantime"), Some("try again".to_owned()))
        }
        Refusal::Unknown { object } => (Code::NotFound, format!("there is no {object}"), None),
        Refusal::Conflict { message, hint } => (Code::FailedPrecondition, message.clone(), hint.clone()),
    };
    with_details(code, &message, &Details { hint, refusal: Some(refusal.clone()) })
}

/// The refusal that a status carries.
#[must_use]
pub fn from_status(status: &Status) -> Option<Refusal> {
    Details::of(status).refusal
}

fn with_details(code: Code, message: &str, details: &Details) -> Status {
    let mut json = crate::convert::to_json(details);
    if json.len() > MAX_ERROR_DETAIL_BYTES {
        json.clear();
    }
    Status::with_details(code, cut(message, MAX_ERROR_TEXT_BYTES), json.into())
}

/// The beginning of a text, at most `limit` bytes long.
fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use cluster::Version;

    use super::*;

    #[test]
    fn a_refusal_survives_the_journey() {
        let refusals = [
            (
                Refusal::Stale { object: "stack `shop`".into(), expected: Version(3), found: Version(4) },
                Code::Aborted,
                "stack `shop` has changed in the meantime",
            ),
            (Refusal::Unknown { object: "service `x`".into() }, Code::NotFound, "there is no service `x`"),
            (
                Refusal::Conflict { message: "port 80 is taken".into(), hint: Some("use 81".into()) },
                Code::FailedPrecondition,
                "port 80 is taken",
            ),
        ];
        for (refusal, code, message) in refusals {
            let status = to_status(&refusal);
            assert_eq!((status.code(), status.message()), (code, message));
            assert_eq!(from_status(&status), Some(refusal));
        }
    }

    #[test]
    fn long_texts_are_cut_to_what_fits_into_headers() {
        let long = Refusal::Conflict { message: "ü".repeat(10_000), hint: None };
        let status = to_status(&long);
        assert_eq!(status.message().len(), MAX_ERROR_TEXT_BYTES);
        assert_eq!(Details::of(&status), Details::default());
        assert_eq!(from_status(&Status::internal("no details")), None);
    }
}

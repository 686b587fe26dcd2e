//! When a failed request is worth another attempt, and after which pause.

use std::time::Duration;

use oci_client::errors::{OciDistributionError, OciErrorCode};

use crate::image::{PullProgress, limits};

/// One request's failure.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// The same request may succeed a little later.
    pub(super) passing: bool,
    /// The registry wants to know (again) who we are.
    pub(super) unauthorized: bool,
}

impl Failure {
    pub(super) fn passing(reason: impl Into<String>) -> Failure {
        Failure { reason: reason.into(), passing: true, unauthorized: false }
    }

    pub(super) fn lasting(reason: impl Into<String>) -> Failure {
        Failure { reason: reason.into(), passing: false, unauthorized: false }
    }
}

impl From<OciDistributionError> for Failure {
    fn from(error: OciDistributionError) -> Failure {
        let unauthorized = matches!(error, OciDistributionError::UnauthorizedError { .. });
        Failure { reason: words(&error), passing: is_passing(&error), unauthorized }
    }
}

/// A registry that cannot be reached is not asked again here: whoever wanted the image has a back-off of its own,
/// and the person waiting should hear of it at once.
fn is_passing(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { code, .. } => *code == 429 || *code >= 500,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|e| e.code == OciErrorCode::Toomanyrequests)
        }
        OciDistributionError::RequestError(error) => {
            !(error.is_connect() || error.is_builder() || error.is_redirect())
        }
        OciDistributionError::IoError(_) => true,
        _ => false,
    }
}

/// What the registry said, without the library's own vocabulary.
fn words(error: &OciDistributionError) -> String {
    let cut = |text: &str| text.trim().chars().take(500).collect::<String>().escape_debug().to_string();
    match error {
        OciDistributionError::RegistryError { envelope, .. } => {
            let one = |e: &oci_client::errors::OciError| {
                let code =
                    serde_json::to_value(&e.code).ok().and_then(|code| code.as_str().map(str::to_owned));
                let code = code.unwrap_or_default().replace('_', " ").to_lowercase();
                if e.message.is_empty() { code } else { format!("{code}: {}", e.message) }
            };
            cut(&envelope.errors.iter().map(one).collect::<Vec<_>>().join("; "))
        }
        OciDistributionError::ServerError { code, message, .. } if message.trim().is_empty() => {
            format!("HTTP status {code}")
        }
        OciDistributionError::ServerError { code, message, .. } => {
            format!("HTTP status {code}: {}", cut(message))
        }
        OciDistributionError::UnauthorizedError { .. } => {
            "not authorized (HTTP status 401); `docker login` stores \
            credentials where they are looked for"
                .to_owned()
        }
        OciDistributionError::AuthenticationFailure(reason) => format!("login failed: {}", cut(reason)),
        OciDistributionError::RequestError(error) => reason(error),
        other => chain(other),
    }
}

/// Why a request could not be made or answered.
fn reason(error: &reqwest::Error) -> String {
    in_peoples_words(root(error), error.url().and_then(reqwest::Url::host_str))
}

/// What the resolver says when no name server answers would not tell anybody what to look after.
fn in_peoples_words(root: String, host: Option<&str>) -> String {
    match root.as_str() {
        "no connections available" => {
            let host = host.unwrap_or("the registry");
            format!(
                "no name server could be asked for the address of `{host}`; is this machine connected to a network?"
            )
        }
        _ => root,
    }
}

/// The last cause. What the layers of the library above it say is
/// nothing to a person.
fn root(error: &dyn std::error::Error) -> String {
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        last = source.to_string();
        next = source.source();
    }
    // The number after the kernel's words says the same once more.
    last.split(" (os error").next().unwrap_or_default().to_owned()
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// Counts the attempts that brought nothing.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: u32,
}

impl Attempts {
    /// Something arrived: the registry is alive.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits before the next attempt; gives the failure back if there is no point in one.
    pub(super) async fn wait(
        &mut self,
        failure: Failure,
        progress: impl Fn(PullProgress),
    ) -> Result<(), Failure> {
        self.failed += 1;
        if !failure.passing {
            return Err(failure);
        }
        if self.failed >= limits::PULL_ATTEMPTS {
            let reason = format!("{} (after {} attempts)", failure.reason, self.failed);
            return Err(Failure { reason, ..failure });
        }
        let delay = delay(self.failed);
        progress(PullProgress::Retrying { reason: failure.reason, delay_ms: delay.as_millis() as u64 });
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

fn delay(failed: u32) -> Duration {
    (limits::PULL_DELAY * 2u32.saturating_pow(failed.saturating_sub(1))).min(limits::PULL_DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        assert_eq!(delay(1), limits::PULL_DELAY);
        assert_eq!(delay(2), limits::PULL_DELAY * 2);
        assert_eq!(delay(30), limits::PULL_DELAY_MAX);
    }

    #[test]
    fn a_machine_without_a_network_is_called_so() {
        let said = |root: &str| in_peoples_words(root.to_owned(), Some("registry.example"));
        assert_eq!(said("Connection refused"), "Connection refused");
        let words = said("no connections available");
        assert!(words.contains("no name server") && words.contains("`registry.example`"), "{words}");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let server =
            |code| OciDistributionError::ServerError { code, url: String::new(), message: String::new() };
        for (code, expect) in [(429, true), (500, true), (503, true), (403, false), (404, false)] {
            assert_eq!(is_passing(&server(code)), expect, "{code}");
        }
        assert_eq!(words(&server(503)), "HTTP status 503");
    }
}

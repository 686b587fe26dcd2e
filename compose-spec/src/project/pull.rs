//! When a service's image is pulled: what `pull_policy` and `pull_refresh_after` say together.

use super::{Duration, Service};

/// When the registry is asked for a service's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullWhen {
    /// When the image is not there: `missing`, `if_not_present`, or nothing said.
    Missing,
    /// Each time a container is made.
    Always,
    /// Never.
    Never,
    /// When it was not asked for so long: `daily`, `weekly`, `every_<duration>`, `refresh` with `pull_refresh_after`.
    OlderThan(Duration),
}

impl Service {
    /// When the registry is asked for the image. A `pull_refresh_after` without a policy asks for `refresh`.
    ///
    /// # Errors
    /// `refresh` without an age, or an age that is none.
    pub fn pull_when(&self) -> Result<PullWhen, String> {
        let days = |count: i64| Ok(PullWhen::OlderThan(Duration::from_secs(count * 86_400)));
        let older = |text: &str| match crate::scalar::parse_duration(text) {
            Ok(nanos) if nanos > 0 => Ok(PullWhen::OlderThan(Duration::from_nanos(nanos))),
            _ => Err(format!("an image cannot be pulled every `{text}`")),
        };
        match (self.pull_policy.as_deref(), self.pull_refresh_after.as_deref()) {
            (Some("always"), _) => Ok(PullWhen::Always),
            (Some("never"), _) => Ok(PullWhen::Never),
            (Some("daily"), _) => days(1),
            (Some("weekly"), _) => days(7),
            (None | Some("refresh"), Some(after)) => older(after),
            (Some("refresh"), None) => Err("`pull_policy: refresh` needs `pull_refresh_after`".to_owned()),
            (Some(policy), _) => policy.strip_prefix("every_").map_or(Ok(PullWhen::Missing), older),
            (None, None) => Ok(PullWhen::Missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_and_age_say_together_when_an_image_is_pulled() {
        let check = |policy: &str, after: &str, expect: Result<PullWhen, &str>| {
            let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let (pull_policy, pull_refresh_after) = (text(policy), text(after));
            let service = Service { pull_policy, pull_refresh_after, ..Service::default() };
            assert_eq!(service.pull_when(), expect.map_err(str::to_owned), "{policy} {after}");
        };
        let seconds = |count| Ok(PullWhen::OlderThan(Duration::from_secs(count)));
        check("", "", Ok(PullWhen::Missing));
        check("if_not_present", "", Ok(PullWhen::Missing));
        check("always", "1d", Ok(PullWhen::Always));
        check("never", "", Ok(PullWhen::Never));
        check("daily", "", seconds(86_400));
        check("weekly", "", seconds(604_800));
        check("every_1h30m", "", seconds(5_400));
        check("refresh", "2d", seconds(172_800));
        check("", "2d", seconds(172_800));
        check("refresh", "", Err("`pull_policy: refresh` needs `pull_refresh_after`"));
        check("every_0s", "", Err("an image cannot be pulled every `0s`"));
    }
}

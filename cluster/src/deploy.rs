//! What `deploy` says of a service beside its containers: how it is spread over nodes, and what it asks of them.

use std::fmt;

use crate::ServiceSpec;

/// A condition on a node, from `deploy.placement.constraints`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// What is looked at: `node.hostname`, `node.labels.disk`, ...
    pub key: String,
    /// What it must be, or must not be.
    pub value: String,
    /// `==`, not `!=`.
    pub equal: bool,
}

impl Constraint {
    /// Reads `KEY==VALUE` or `KEY!=VALUE`.
    fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once("!=").map(|parts| (parts, false));
        let parts = parts.or_else(|| text.split_once("==").map(|parts| (parts, true)));
        let wrong = || format!("`deploy.placement.constraints: {text}` is not `KEY==VALUE` or `KEY!=VALUE`");
        let ((key, value), equal) = parts.ok_or_else(wrong)?;
        let (key, value) = (key.trim(), value.trim());
        let attributes = ["node.id", "node.hostname", "node.role", "node.platform.os", "node.platform.arch"];
        let label = ["node.labels.", "engine.labels."].iter().any(|prefix| key.starts_with(prefix));
        if value.is_empty() || !(label || attributes.contains(&key)) {
            let known = attributes.join("`, `");
            return Err(format!("{}; keys are `{known}` and `node.labels.NAME`", wrong()));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned(), equal })
    }
}

impl fmt::Display for Constraint {
    /// As a person reads it: `disk=ssd`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.key.strip_prefix("node.labels.").unwrap_or(&self.key);
        write!(f, "{short}{}{}", if self.equal { "=" } else { "!=" }, self.value)
    }
}

impl ServiceSpec {
    /// How many slots the file asks for: `scale`, else `deploy.replicas`, else one.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        let deploy = self.compose.deploy.as_ref().and_then(|deploy| deploy.replicas);
        self.compose.scale.or(deploy).unwrap_or(1)
    }

    /// It has one task on each node and no number of replicas (`deploy.mode: global`, `global-job`).
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.mode().is_some_and(|mode| mode.starts_with("global"))
    }

    /// It is done once its tasks have succeeded (`deploy.mode: replicated-job`, `global-job`).
    #[must_use]
    pub fn is_job(&self) -> bool {
        self.mode().is_some_and(|mode| mode.ends_with("-job"))
    }

    fn mode(&self) -> Option<&str> {
        self.compose.deploy.as_ref()?.mode.as_deref()
    }

    /// What it asks of its nodes.
    ///
    /// # Errors
    /// One of the constraints says nothing that could be asked.
    pub fn constraints(&self) -> Result<Vec<Constraint>, String> {
        let placement = self.compose.deploy.as_ref().and_then(|deploy| deploy.placement.as_ref());
        let texts = placement.into_iter().flat_map(|placement| &placement.constraints);
        texts.map(|text| Constraint::parse(text)).collect()
    }

    /// Refuses what `deploy` cannot mean.
    pub(crate) fn check_deploy(&self) -> Result<(), String> {
        self.constraints()?;
        let deploy = self.compose.deploy.as_deref();
        let counted = self.compose.scale.is_some() || deploy.is_some_and(|deploy| deploy.replicas.is_some());
        if self.is_global() && counted {
            return Err("a service with one task on each node has no number of replicas".to_owned());
        }
        let policy = deploy.and_then(|deploy| deploy.restart_policy.as_ref());
        let condition = policy.and_then(|policy| policy.condition.as_deref());
        if self.is_job() && condition == Some("any") {
            return Err("a job is not restarted on `any` end: it would never be done".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_read_or_refused() {
        let check = |text: &str, expect: &str| {
            let read = Constraint::parse(text).map_or_else(|error| error, |read| read.to_string());
            assert!(read.starts_with(expect), "{read}");
        };
        check("node.labels.disk == ssd", "disk=ssd");
        check("node.role!=worker", "node.role!=worker");
        check("node.hostname==a=b", "node.hostname=a=b");
        check("node.labels.disk=ssd", "`deploy.placement.constraints: node.labels.disk=ssd` is not");
        check("node.color==red", "`deploy.placement.constraints: node.color==red` is not");
        check("node.role==", "`deploy.placement.constraints: node.role==` is not");
    }
}

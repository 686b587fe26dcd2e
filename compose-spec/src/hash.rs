//! A stable fingerprint of what makes a service's containers different.

use crate::project::{Deploy, Project, Service};

impl Project {
    /// A fingerprint (32 hexadecimal digits) of one service; `None` if there is none by that name.
    ///
    /// It changes when the containers must be replaced: not with the order of keys, and not with what only
    /// says when, how often or from what sources they are made (`build`, `pull_policy`, `scale`,
    /// `deploy.replicas`, `depends_on`, `profiles`), as in docker compose, or how they are replaced
    /// (`deploy.update_config`, `deploy.rollback_config`).
    #[must_use]
    pub fn service_hash(&self, service: &str) -> Option<String> {
        self.services.get(service).map(|service| fingerprint(service))
    }
}

fn fingerprint(service: &Service) -> String {
    let mut service = service.clone();
    service.build = None;
    service.pull_policy = None;
    service.pull_refresh_after = None;
    service.scale = None;
    service.depends_on.clear();
    service.profiles.clear();
    if let Some(deploy) = &mut service.deploy {
        // They are the service's, not its containers'.
        deploy.labels.clear();
        deploy.replicas = None;
        deploy.update_config = None;
        deploy.rollback_config = None;
    }
    service.deploy = service.deploy.filter(|deploy| **deploy != Deploy::default());
    // A service consists of strings, numbers and maps with string keys: that cannot fail to be JSON.
    let text = serde_json::to_vec(&service).unwrap_or_default();
    format!("{:032x}", fnv128(&text))
}

/// FNV-1a with 128 bits: stable over versions and machines, and wide enough for accidents; it need not
/// withstand an attacker, who could as well edit the file.
fn fnv128(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

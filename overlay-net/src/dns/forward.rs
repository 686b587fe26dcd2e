//! Asks the resolvers of this machine about names that are not ours, from the engine's own namespace.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::Record;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::net::{DnsError, NetError};
use tokio::time::timeout;

use crate::limits;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Records, and whether the name exists.
pub(super) type Reply = (ResponseCode, Vec<Record>);

/// A resolver for the present content of `/etc/resolv.conf`.
#[derive(Default)]
pub(super) struct Forwarder {
    current: Mutex<Option<(Option<SystemTime>, TokioResolver)>>,
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forwarder")
    }
}

impl Forwarder {
    /// What the machine's resolvers say; a server failure when none of them answers in time.
    pub(super) async fn ask(&self, query: &Query) -> Reply {
        let failure = (ResponseCode::ServFail, Vec::new());
        let resolver = match self.resolver() {
            Ok(resolver) => resolver,
            Err(error) => {
                tracing::debug!("cannot forward DNS questions: {error}");
                return failure;
            }
        };
        let mut name = query.name().clone();
        // Otherwise the machine's search domains would be tried.
        name.set_fqdn(true);
        match timeout(limits::DNS_FORWARD, resolver.lookup(name, query.query_type())).await {
            Ok(Ok(lookup)) => (ResponseCode::NoError, lookup.answers().to_vec()),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => (none.response_code, Vec::new()),
            Ok(Err(NetError::Dns(DnsError::ResponseCode(code)))) => (code, Vec::new()),
            Ok(Err(_)) | Err(_) => failure,
        }
    }

    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let changed = std::fs::metadata(RESOLV_CONF).and_then(|file| file.modified()).ok();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, resolver)) = current.as_ref()
            && *of == changed
        {
            return Ok(resolver.clone());
        }
        let mut builder = TokioResolver::builder_tokio()?;
        let options = builder.options_mut();
        options.timeout = limits::DNS_FORWARD / 2;
        options.attempts = 1;
        options.cache_size = limits::DNS_CACHE;
        options.use_hosts_file = ResolveHosts::Never;
        // The whole chain of aliases belongs to the answer.
        options.preserve_intermediates = true;
        let resolver = builder.build()?;
        *current = Some((changed, resolver.clone()));
        Ok(resolver)
    }
}

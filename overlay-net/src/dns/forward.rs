//! Asks other resolvers about names that are not ours, from the engine's own namespace.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::Record;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use tokio::time::timeout;

use crate::limits;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Records, and whether the name exists.
pub(super) type Reply = (ResponseCode, Vec<Record>);

/// Resolvers that were used, by whom they ask; those of nobody ask whom `/etc/resolv.conf` names, and belong to
/// the time of its last change.
#[derive(Default)]
pub(super) struct Forwarder {
    known: Mutex<BTreeMap<Vec<IpAddr>, Known>>,
}

/// A resolver, and the state of `/etc/resolv.conf` that it was made from.
type Known = (Option<SystemTime>, TokioResolver);

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forwarder")
    }
}

impl Forwarder {
    /// What these servers say, or the machine's own when there are none; a server failure when none of them
    /// answers in time.
    pub(super) async fn ask(&self, servers: &[IpAddr], query: &Query) -> Reply {
        let failure = (ResponseCode::ServFail, Vec::new());
        let resolver = match self.resolver(servers) {
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

    fn resolver(&self, servers: &[IpAddr]) -> Result<TokioResolver, NetError> {
        let changed = match servers.is_empty() {
            true => std::fs::metadata(RESOLV_CONF).and_then(|file| file.modified()).ok(),
            false => None,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, resolver)) = known.get(servers)
            && *of == changed
        {
            return Ok(resolver.clone());
        }
        if known.len() >= limits::DNS_RESOLVERS {
            known.clear();
        }
        let resolver = build(servers)?;
        known.insert(servers.to_vec(), (changed, resolver.clone()));
        Ok(resolver)
    }
}

fn build(servers: &[IpAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = match servers.is_empty() {
        true => TokioResolver::builder_tokio()?,
        false => {
            let servers = servers.iter().map(|ip| NameServerConfig::udp_and_tcp(*ip)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = limits::DNS_FORWARD / 2;
    options.attempts = 1;
    options.cache_size = limits::DNS_CACHE;
    options.use_hosts_file = ResolveHosts::Never;
    // The whole chain of aliases belongs to the answer.
    options.preserve_intermediates = true;
    builder.build()
}

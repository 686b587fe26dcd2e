//! [`Net`]: the one door to this crate.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::dns::Dns;
use crate::host::Host;
use crate::spec::{
    Balance, Conflict, EndpointSpec, Inventory, NetConfig, NetworkSpec, PortOwner, Protocol, View, Zone,
};
use crate::watch::Watch;
use crate::worker::Worker;
use crate::{Result, owner};

/// The networks of one engine on this machine. Cheap to clone; all clones are the same engine. Dropping the last
/// one leaves everything in the kernel as it is, so that containers outlive the engine.
#[derive(Debug, Clone)]
pub struct Net {
    worker: Worker,
    dns: Arc<Dns>,
    _watch: Arc<Watch>,
}

impl Net {
    /// Starts the worker in the calling thread's network namespace and finds what an earlier engine of this id
    /// left. What works goes on working; what was half made or half removed is removed. An adopting engine declares
    /// its networks and endpoints first and its balance then: the first balance replaces whatever the earlier
    /// engine had in the packet filter.
    pub async fn open(config: NetConfig) -> Result<Net> {
        let runtime = Handle::current();
        let dns = Arc::new(Dns::new(runtime.clone()));
        let worker = Worker::start(move || Host::open(&config, runtime)).await?;
        let sources = worker.run(|host| host.tables.watch()).await?;
        let watch = Watch::start(sources, worker.clone())?;
        Ok(Net { worker, dns, _watch: Arc::new(watch) })
    }

    /// Makes a network namespace that lives until [`Net::remove_netns`], with `lo` up; gives the path it is
    /// mounted at. One that exists already is kept.
    pub async fn create_netns(&self, id: &str) -> Result<PathBuf> {
        let id = id.to_owned();
        self.worker.run(move |host| host.create_netns(&id)).await
    }

    /// Stops its DNS, removes its endpoints and the namespace itself. Removing nothing is no error.
    pub async fn remove_netns(&self, id: &str) -> Result<()> {
        self.dns.stop(id);
        self.dns.set_view(id, None);
        let id = id.to_owned();
        self.worker.run(move |host| host.remove_netns(&id)).await
    }

    /// Makes the network, or brings an existing one to this specification.
    pub async fn ensure_network(&self, spec: &NetworkSpec) -> Result<()> {
        let spec = spec.clone();
        self.worker.run(move |host| host.ensure_network(spec)).await
    }

    /// Removes the network and its endpoints; with the last one the tables go and the sysctls are set back.
    pub async fn remove_network(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.worker.run(move |host| host.remove_network(&id)).await
    }

    /// Gives the namespace exactly these interfaces: makes what is missing, removes what is not listed. The first
    /// one in a network that is not internal gets the default route.
    pub async fn attach(&self, netns_id: &str, endpoints: &[EndpointSpec]) -> Result<()> {
        let (id, endpoints) = (netns_id.to_owned(), endpoints.to_vec());
        self.worker.run(move |host| host.attach(&id, endpoints)).await
    }

    /// Removes all interfaces of the namespace; the same as attaching none.
    pub async fn detach(&self, netns_id: &str) -> Result<()> {
        self.attach(netns_id, &[]).await
    }

    /// Brings the balanced addresses and ports to `wanted`. Gives the published ports that another program has;
    /// they are tried again with the next call.
    pub async fn set_balance(&self, wanted: &Balance) -> Result<Vec<Conflict>> {
        let wanted = wanted.clone();
        let (conflicts, departed) = self.worker.run(move |host| host.set_balance(&wanted)).await?;
        self.worker.post(move |host| host.forget_flows(departed));
        Ok(conflicts)
    }

    /// Replaces the names of one network; `None` forgets the zone.
    pub fn set_zone(&self, network: &str, zone: Option<Zone>) {
        self.dns.set_zone(network, zone);
    }

    /// Replaces what one namespace may resolve; `None` forgets it.
    pub fn set_view(&self, netns_id: &str, view: Option<View>) {
        self.dns.set_view(netns_id, view);
    }

    /// Answers DNS at 127.0.0.11:53 (UDP and TCP) inside the namespace, until it is removed. Asking twice is no
    /// error; after a restart of the engine it must be asked again.
    pub async fn serve_dns(&self, netns_id: &str) -> Result<()> {
        if self.dns.is_serving(netns_id) {
            return Ok(());
        }
        let id = netns_id.to_owned();
        let (udp, tcp) = self.worker.run(move |host| host.open_dns(&id)).await?;
        self.dns.serve(netns_id, udp, tcp)
    }

    /// Who has a port of this machine (as seen from the engine's namespace); `None` when nobody has.
    pub async fn port_owner(
        &self,
        protocol: Protocol,
        ip: Option<IpAddr>,
        port: u16,
    ) -> Result<Option<PortOwner>> {
        self.worker.run(move |_| Ok(owner::find(protocol, ip, port))).await
    }

    /// What of this machine keeps packets of our networks from being forwarded and cannot be changed from here: a
    /// sentence for people, with what they can do.
    pub async fn obstacle(&self) -> Result<Option<String>> {
        self.worker.run(|host| Ok(host.obstacle())).await
    }

    /// What this engine, or a dead one of the same id, has on this machine.
    pub async fn inventory(&self) -> Result<Inventory> {
        self.worker.run(|host| Ok(host.inventory())).await
    }

    /// Compares the kernel's state with what is wanted and repairs the difference. It happens by itself when the
    /// kernel reports a foreign change; this is for a caller who wants to be sure.
    pub async fn resync(&self) -> Result<()> {
        self.worker.run(|host| host.resync(false)).await
    }

    /// Removes everything that carries this engine's id: namespaces, interfaces, tables, rules in foreign chains;
    /// sets sysctls back.
    pub async fn teardown_all(&self) -> Result<()> {
        self.dns.stop_all();
        self.worker.run(Host::teardown).await
    }
}

//! The state of one engine's networks on this machine, and the steps that bring the kernel to it.
//!
//! Lives on the worker thread; every method is one job of [`crate::Net`].

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::PathBuf;

use tokio::runtime::Handle;

use crate::balancer::Balancer;
use crate::link::Links;
use crate::netns::Namespaces;
use crate::nft::Names;
use crate::plan::{self, NetOp, Observed, Wanted};
use crate::spec::{Balance, Conflict, EndpointSpec, Inventory, NetConfig, NetworkSpec};
use crate::sysctl::{self, Journal};
use crate::tables::{Changes, Tables};
use crate::{Error, Result, check, conntrack};

/// Where every container finds its name server; Docker's address, which programs know.
const DNS_ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 11), 53);

/// What one engine has on this machine.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) names: Names,
    pub(crate) namespaces: Namespaces,
    pub(crate) links: Links,
    pub(crate) tables: Tables,
    pub(crate) wanted: Wanted,
    pub(crate) observed: Observed,
    journal: Journal,
    balancer: Balancer,
}

impl Host {
    /// Looks around, and removes what an interrupted engine of this id left half made or half removed.
    pub(crate) fn open(config: &NetConfig, runtime: Handle) -> Result<Host> {
        check::engine_id(&config.engine_id)?;
        let names = Names::new(&config.engine_id);
        let mut links = Links::open().map_err(|source| Error::system("open route netlink", source))?;
        let observed = Observed::new(&names, links.list()?);
        let mut host = Host {
            tables: Tables::open(&names)?,
            namespaces: Namespaces::new(&config.run_dir),
            links,
            wanted: Wanted::default(),
            observed,
            journal: Journal::new(&config.run_dir),
            balancer: Balancer::new(runtime),
            names,
        };
        host.namespaces.sweep()?;
        host.run(&plan::plan_rests(&host.observed))?;
        host.leave_machine_if_empty()?;
        Ok(host)
    }

    pub(crate) fn create_netns(&mut self, id: &str) -> Result<PathBuf> {
        check::id(id)?;
        self.namespaces.create(id)
    }

    pub(crate) fn remove_netns(&mut self, id: &str) -> Result<()> {
        check::id(id)?;
        let former = self.wanted.endpoints.remove(id).unwrap_or_default();
        self.let_ports_leave(id)?;
        if !former.is_empty() {
            let owners = former.iter().map(|endpoint| (endpoint_owner(id, &endpoint.interface), None));
            self.tables.update(owners.collect())?;
        }
        self.namespaces.remove(id)
    }

    /// Opens the sockets for DNS inside the namespace.
    pub(crate) fn open_dns(&mut self, id: &str) -> Result<(UdpSocket, TcpListener)> {
        check::id(id)?;
        self.namespaces.within(id, || {
            let failed = |source| Error::system(format!("open the DNS sockets in {id}"), source);
            let sockets = (UdpSocket::bind(DNS_ADDRESS), TcpListener::bind(DNS_ADDRESS));
            let (udp, tcp) = (sockets.0.map_err(failed)?, sockets.1.map_err(failed)?);
            udp.set_nonblocking(true).and_then(|()| tcp.set_nonblocking(true)).map_err(failed)?;
            Ok((udp, tcp))
        })
    }

    pub(crate) fn ensure_network(&mut self, mut spec: NetworkSpec) -> Result<()> {
        check::network(&spec)?;
        spec.v6 = spec.v6.filter(|_| sysctl::has_ipv6());
        self.prepare_machine(spec.v6.is_some())?;
        self.run(&plan::plan_rests(&self.observed))?;
        let id = spec.id.clone();
        self.wanted.networks.insert(id.clone(), spec);
        let result = self.realise_network(&id);
        if result.is_err() {
            self.look_again()?;
        }
        result
    }

    fn realise_network(&mut self, id: &str) -> Result<()> {
        let spec = &self.wanted.networks[id];
        self.run(&plan::plan_network(&self.names, spec, &self.wanted, &self.observed))?;
        let entry = self.network_entry(&self.wanted.networks[id])?;
        self.tables.update([(network_owner(id), Some(entry))].into())?;
        self.tables.pass_foreign_chains()
    }

    pub(crate) fn remove_network(&mut self, id: &str) -> Result<()> {
        check::id(id)?;
        let mut changes: Changes = [(network_owner(id), None)].into();
        for (netns, endpoint) in plan::endpoints_of(&self.wanted, id) {
            changes.insert(endpoint_owner(netns, &endpoint.interface), None);
        }
        self.run(&plan::plan_removal(id, &self.observed))?;
        self.wanted.networks.remove(id);
        for endpoints in self.wanted.endpoints.values_mut() {
            endpoints.retain(|endpoint| endpoint.network != id);
        }
        if !self.tables.is_absent() {
            self.tables.update(changes)?;
        }
        self.leave_machine_if_empty()
    }

    /// Gives the namespace exactly these endpoints.
    pub(crate) fn attach(&mut self, netns: &str, mut endpoints: Vec<EndpointSpec>) -> Result<()> {
        check::id(netns)?;
        for endpoint in &mut endpoints {
            let network = self.wanted.networks.get(&endpoint.network).ok_or_else(|| {
                Error::Invalid(format!("{netns} cannot join the network {}: there is none", endpoint.network))
            })?;
            endpoint.addr6 = endpoint.addr6.filter(|_| network.v6.is_some());
            endpoint.link_local.retain(|ip| ip.is_ipv4() || sysctl::has_ipv6());
            check::endpoint(endpoint, network)?;
        }
        let ops = plan::plan_netns(&self.names, netns, &endpoints, &self.observed);
        let former = self.wanted.endpoints.insert(netns.to_owned(), endpoints).unwrap_or_default();
        let result = self.realise_endpoints(netns, &ops, &former);
        if result.is_err() {
            // What failed is not wanted, or every later repair would try it again.
            self.wanted.endpoints.insert(netns.to_owned(), former);
            self.look_again()?;
            self.run(&plan::plan_rests(&self.observed))?;
        }
        self.wanted.endpoints.retain(|_, endpoints| !endpoints.is_empty());
        result
    }

    fn realise_endpoints(&mut self, netns: &str, ops: &[NetOp], former: &[EndpointSpec]) -> Result<()> {
        let mut changes: Changes =
            former.iter().map(|endpoint| (endpoint_owner(netns, &endpoint.interface), None)).collect();
        self.run(ops)?;
        changes.extend(self.endpoint_entries(netns)?);
        if changes.is_empty() { Ok(()) } else { self.tables.update(changes) }
    }

    /// Brings the balanced addresses and ports to `wanted`. Gives the ports that others have, and the backends that
    /// left, for [`Host::forget_flows`].
    pub(crate) fn set_balance(&mut self, wanted: &Balance) -> Result<(Vec<Conflict>, Vec<IpAddr>)> {
        let outcome = self.balancer.change(wanted, &self.observed.bridges())?;
        self.publish(outcome.changes)?;
        Ok((outcome.conflicts, outcome.departed))
    }

    /// Forgets UDP flows to backends that left. The kernel looks through all its flows for them, which takes
    /// milliseconds, so nobody waits for it: new flows are right in any case.
    pub(crate) fn forget_flows(&mut self, mut backends: Vec<IpAddr>) -> Result<()> {
        backends.sort_unstable();
        backends.dedup();
        if backends.is_empty() {
            return Ok(());
        }
        let mut socket = conntrack::open()?;
        backends.iter().try_for_each(|backend| conntrack::forget_udp(&mut socket, *backend))
    }

    /// Puts the changed entries into the kernel. The first time this also replaces what a dead engine left.
    fn publish(&mut self, changes: Changes) -> Result<()> {
        let nothing_to_say = changes.values().all(Option::is_none);
        if self.tables.is_absent() && nothing_to_say {
            return Ok(());
        }
        let inherited = !self.tables.is_absent() && !self.tables.is_installed();
        self.tables.update(changes)?;
        if inherited { self.tables.install() } else { Ok(()) }
    }

    /// What is there, by the caller's ids.
    pub(crate) fn inventory(&self) -> Inventory {
        Inventory { networks: self.observed.bridges().into_keys().collect(), netns: self.namespaces.list() }
    }

    /// Looks at the kernel afresh and repairs what differs from what is wanted. `damaged` says that something in
    /// our tables was removed, which their presence alone does not tell.
    pub(crate) fn resync(&mut self, damaged: bool) -> Result<()> {
        self.look_again()?;
        if self.wanted.networks.is_empty() {
            return Ok(());
        }
        self.prepare_machine(self.wanted.networks.values().any(|spec| spec.v6.is_some()))?;
        let ops = plan::plan(&self.names, &self.wanted, &self.observed);
        for op in &ops {
            match op {
                // What is not wanted any more is on its way out: the kernel takes links away a while after their
                // namespace, and the message of their end may come before.
                NetOp::RemoveLink { .. } => tracing::debug!("clearing up the network: {op}"),
                _ => tracing::warn!("repairing the network: {op}"),
            }
        }
        self.run(&ops)?;
        self.refresh_bridges()?;
        let entries = self.all_entries()?;
        self.tables.update(entries)?;
        if self.tables.is_installed() && (damaged || !self.tables.are_intact()?) {
            tracing::warn!("the packet filter was changed by somebody else, putting it back");
            self.tables.install()?;
        }
        self.tables.pass_foreign_chains()
    }

    /// The legacy packet filter in our way.
    pub(crate) fn obstacle(&self) -> Option<String> {
        let prefix = self.names.bridge_prefix();
        let drops = crate::legacy::drops(&prefix).unwrap_or_else(|error| {
            tracing::debug!("cannot look at the legacy packet filter: {error}");
            false
        });
        drops.then(|| {
            format!(
                "the legacy packet filter of this machine drops what containers send and receive; let them pass with \
                 `iptables-legacy -I FORWARD -i {prefix}+ -j ACCEPT` and `iptables-legacy -I FORWARD -o {prefix}+ -j ACCEPT`"
            )
        })
    }

    /// Removes everything that carries this engine's id.
    pub(crate) fn teardown(&mut self) -> Result<()> {
        self.balancer.clear();
        self.look_again()?;
        self.wanted = Wanted::default();
        let links: Vec<_> =
            self.observed.links.keys().map(|name| NetOp::RemoveLink { name: name.clone() }).collect();
        self.run(&links)?;
        for id in self.namespaces.list() {
            self.namespaces.remove(&id)?;
        }
        self.leave_machine_if_empty()
    }

    /// When the last network is gone, nothing of ours stays in the kernel.
    fn leave_machine_if_empty(&mut self) -> Result<()> {
        if !self.observed.bridges().is_empty() {
            return Ok(());
        }
        self.balancer.clear();
        self.tables.remove()?;
        if self.tables.others_forward()? { self.journal.forget() } else { self.journal.restore() }
    }

    /// Turns the machine into a router. Interfaces that learnt their default route from a router's advertisement
    /// go on doing so, which they would otherwise cease with IPv6 forwarding.
    fn prepare_machine(&self, v6: bool) -> Result<()> {
        self.journal.set("net/ipv4/ip_forward", "1")?;
        // The kernel would tell neighbours of a shared bridge to talk past it; `all` and the bridge's own are or-ed.
        self.journal.set("net/ipv4/conf/all/send_redirects", "0")?;
        if v6 && sysctl::read("net/ipv6/conf/all/forwarding").as_deref() == Some("0") {
            for interface in sysctl::entries("net/ipv6/conf") {
                let accept = format!("net/ipv6/conf/{interface}/accept_ra");
                if sysctl::read(&accept).as_deref() == Some("1") {
                    self.journal.set(&accept, "2")?;
                }
            }
            self.journal.set("net/ipv6/conf/all/forwarding", "1")?;
        }
        Ok(())
    }

    pub(crate) fn look_again(&mut self) -> Result<()> {
        self.observed = Observed::new(&self.names, self.links.list()?);
        Ok(())
    }

    fn all_entries(&mut self) -> Result<Changes> {
        let mut changes = Changes::new();
        for (id, spec) in &self.wanted.networks {
            changes.insert(network_owner(id), Some(self.network_entry(spec)?));
        }
        for netns in self.wanted.endpoints.keys() {
            changes.extend(self.endpoint_entries(netns)?);
        }
        changes.extend(self.balancer.renamed_bridges(&self.observed.bridges()));
        Ok(changes)
    }
}

fn network_owner(id: &str) -> String {
    format!("network {id}")
}

pub(crate) fn endpoint_owner(netns: &str, interface: &str) -> String {
    format!("endpoint {netns} {interface}")
}

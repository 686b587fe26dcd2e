//! A machine for one test: fresh network and mount namespaces, a LAN with another machine, containers with servers.
//!
//! Sockets belong to the namespace in which they were opened, whoever uses them; so every server and client here is
//! an ordinary task of the test's own runtime.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::host::Host;
use crate::link::{Links, Peer, Requests};
use crate::netns::{self, Namespaces};
use crate::{
    Balance, Conflict, EndpointSpec, Net, NetConfig, NetworkSpec, NetworkV4, NetworkV6, Protocol, Published,
    Reach, Vip, sysctl,
};
use std::os::fd::{AsFd, OwnedFd};

/// Long enough for a loaded machine, short enough for tests that expect silence.
const PATIENCE: Duration = Duration::from_millis(1_500);

pub(super) const ENGINE: &str = "0badcafe";
/// Where clients and servers are: the machine itself, the other machine, or a container by its name.
pub(super) const HOST: &str = "host";
pub(super) const LAN: &str = "lan";
pub(super) const HOST_IP: &str = "192.168.50.1";
pub(super) const HOST_IP6: &str = "fd50::1";
pub(super) const LAN_IP: &str = "192.168.50.2";
pub(super) const LAN_IP6: &str = "fd50::2";

pub(super) struct Machine {
    pub(super) net: Net,
    pub(super) namespaces: Namespaces,
    pub(super) run_dir: PathBuf,
    balance: RefCell<Balance>,
}

/// Runs a test on a machine of its own.
pub(super) fn on_a_machine(test: impl AsyncFnOnce(&Machine) + Send + 'static) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let run_dir = std::env::temp_dir().join(format!("orc-net-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&run_dir).unwrap();
    let folder = run_dir.clone();
    let outcome = std::thread::spawn(move || {
        netns::isolate_this_thread().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let machine = Machine::new(folder).await;
            test(&machine).await;
            machine.net.teardown_all().await.unwrap();
            machine.namespaces.remove(LAN).unwrap();
        });
    })
    .join();
    // What failed has left its mounts in a mount namespace that is gone by now.
    let _ = std::fs::remove_dir_all(&run_dir);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Machine {
    async fn new(run_dir: PathBuf) -> Machine {
        let config = NetConfig { run_dir: run_dir.clone(), engine_id: ENGINE.into() };
        // The LAN's namespace must not look like one of the engine's.
        let namespaces = Namespaces::new(&run_dir.join("world"));
        namespaces.create(LAN).unwrap();
        let file = namespaces.open(LAN).unwrap();
        let mut links = Links::open().unwrap();
        links.add_bridge("lan0", [2, 0, 0, 0, 0, 1], None).unwrap();
        let bridge = links.get("lan0").unwrap().index;
        let peer = Peer { name: "eth0", mac: [2, 0, 0, 0, 0, 2], netns: file.as_fd() };
        links.add_port("lan0port", bridge, None, &peer).unwrap();
        sysctl::write_if_known("net/ipv6/conf/lan0/accept_dad", "0").unwrap();
        let mut requests = Requests::default();
        requests.up(1);
        requests.address(bridge, "192.168.50.1/24".parse().unwrap(), true);
        requests.address(bridge, "fd50::1/64".parse().unwrap(), true);
        requests.up(bridge);
        links.apply(requests).unwrap();
        namespaces
            .within(LAN, || {
                let mut links = Links::open().unwrap();
                let eth0 = links.get("eth0").unwrap().index;
                let mut requests = Requests::default();
                requests.address(eth0, "192.168.50.2/24".parse().unwrap(), true);
                requests.address(eth0, "fd50::2/64".parse().unwrap(), true);
                requests.up(eth0);
                // It knows how to reach the containers' networks, so only the packet filter keeps it out.
                requests.route("10.0.0.0/8".parse().unwrap(), Some(HOST_IP.parse().unwrap()), eth0, None);
                requests.route("fd10::/16".parse().unwrap(), Some(HOST_IP6.parse().unwrap()), eth0, None);
                links.apply(requests)?;
                links.settle("eth0")
            })
            .unwrap();
        links.settle("lan0port").unwrap();
        links.settle("lan0").unwrap();
        let net = Net::open(config).await.unwrap();
        Machine { net, namespaces, run_dir, balance: RefCell::default() }
    }

    /// Where the engine keeps its namespaces.
    pub(super) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// The engine dies and another one starts.
    pub(super) async fn reopen(&self) -> Net {
        Net::open(NetConfig { run_dir: self.run_dir.clone(), engine_id: ENGINE.into() }).await.unwrap()
    }

    /// What works for the engine, without its thread.
    pub(super) fn host(&self) -> Host {
        let config = NetConfig { run_dir: self.run_dir.clone(), engine_id: ENGINE.into() };
        Host::open(&config, Handle::current()).unwrap()
    }

    /// Makes the network 10.<number>.0.0/24, fd10:<number>::/64.
    pub(super) async fn network(&self, number: u8) -> NetworkSpec {
        let spec = network(number);
        self.net.ensure_network(&spec).await.unwrap();
        spec
    }

    /// Makes a container in these networks, with the host number `last` in each, and servers on TCP and UDP port
    /// 80 that answer with its name and the client's address.
    pub(super) async fn container(&self, name: &'static str, networks: &[u8], last: u8) {
        self.net.create_netns(name).await.unwrap();
        let endpoints: Vec<_> =
            networks.iter().enumerate().map(|(index, number)| endpoint(*number, index, last)).collect();
        self.net.attach(name, &endpoints).await.unwrap();
        self.serve(name, name, 80);
    }

    /// Serves on TCP and UDP at all addresses of a place.
    pub(super) fn serve(&self, place: &str, name: &'static str, port: u16) {
        let any: SocketAddr = (Ipv6Addr::UNSPECIFIED, port).into();
        let tcp = self.socket(place, AddressFamily::INET6, SocketType::STREAM);
        rustix::net::bind(&tcp, &any).unwrap();
        rustix::net::listen(&tcp, 128).unwrap();
        let listener = TcpListener::from_std(tcp.into()).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, client)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.write_all(answer(name, client).as_bytes()).await;
                    // Goes on echoing, for tests that keep a connection.
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let udp = self.socket(place, AddressFamily::INET6, SocketType::DGRAM);
        rustix::net::bind(&udp, &any).unwrap();
        let udp = UdpSocket::from_std(udp.into()).unwrap();
        tokio::spawn(async move {
            while let Ok((_, client)) = udp.recv_from(&mut [0; 64]).await {
                let _ = udp.send_to(answer(name, client).as_bytes(), client).await;
            }
        });
    }

    fn socket(&self, place: &str, family: AddressFamily, kind: SocketType) -> OwnedFd {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let open = move || Ok(rustix::net::socket_with(family, kind, flags, None).unwrap());
        match place {
            HOST => open().unwrap(),
            LAN => self.namespaces.within(LAN, open).unwrap(),
            container => Namespaces::new(&self.run_dir).within(container, open).unwrap(),
        }
    }

    /// Connects from a place.
    pub(super) async fn connect(&self, from: &str, to: SocketAddr) -> Result<TcpStream, String> {
        let socket = TcpSocket::from_std_stream(self.socket(from, family(to), SocketType::STREAM).into());
        match timeout(PATIENCE, socket.connect(to)).await {
            Err(_) => Err("silence".into()),
            Ok(Err(error)) => Err(error.kind().to_string()),
            Ok(Ok(stream)) => Ok(stream),
        }
    }

    /// Connects and gives what the server says: its name and the client's address, or why there is no answer.
    pub(super) async fn ask(&self, from: &str, to: &str) -> String {
        let mut stream = match self.connect(from, to.parse().unwrap()).await {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        hear(&mut stream).await
    }

    /// The same over UDP.
    pub(super) async fn ask_udp(&self, from: &str, to: &str) -> String {
        let to: SocketAddr = to.parse().unwrap();
        let socket = UdpSocket::from_std(self.socket(from, family(to), SocketType::DGRAM).into()).unwrap();
        socket.connect(to).await.unwrap();
        hear_udp(&socket).await
    }

    /// A UDP socket in a place.
    pub(super) fn udp(&self, from: &str, local: SocketAddr) -> UdpSocket {
        let socket = self.socket(from, family(local), SocketType::DGRAM);
        rustix::net::bind(&socket, &local).unwrap();
        UdpSocket::from_std(socket.into()).unwrap()
    }

    /// Publishes a port and keeps what is balanced already.
    pub(super) async fn publish(
        &self,
        host: Option<&str>,
        port: u16,
        protocol: Protocol,
        backends: &[&str],
    ) -> Vec<Conflict> {
        let host_ip = host.map(|ip| ip.parse().unwrap());
        let balance = {
            let mut balance = self.balance.borrow_mut();
            balance.published.retain(|p| (p.host_ip, p.host_port, p.protocol) != (host_ip, port, protocol));
            let backends = ips(backends);
            balance.published.push(Published {
                host_ip,
                host_port: port,
                protocol,
                target_port: 80,
                backends,
            });
            balance.clone()
        };
        self.net.set_balance(&balance).await.unwrap()
    }

    /// One published TCP port and nothing else.
    pub(super) fn published_balance(&self, port: u16, backend: &str) -> Balance {
        let backends = ips(&[backend]);
        let published =
            Published { host_ip: None, host_port: port, protocol: Protocol::Tcp, target_port: 80, backends };
        Balance { published: vec![published], ..Balance::default() }
    }

    /// Gives a network a VIP.
    pub(super) async fn vip(&self, network: u8, ip: &str, backends: &[&str]) {
        let vip = Vip { network: format!("net{network}"), backends: ips(backends) };
        let balance = {
            let mut balance = self.balance.borrow_mut();
            balance.vips.insert(ip.parse().unwrap(), vip);
            balance.clone()
        };
        assert_eq!(self.net.set_balance(&balance).await.unwrap(), []);
    }
}

/// Reads one answer.
pub(super) async fn hear(stream: &mut TcpStream) -> String {
    let mut answer = [0; 64];
    match timeout(PATIENCE, stream.read(&mut answer)).await {
        Err(_) => "silence".into(),
        Ok(Err(error)) => error.kind().to_string(),
        Ok(Ok(len)) => String::from_utf8_lossy(&answer[..len]).into_owned(),
    }
}

/// Asks over a connected socket, as often as it takes: a datagram may be lost.
pub(super) async fn hear_udp(socket: &UdpSocket) -> String {
    if let Err(error) = socket.send(b"?").await {
        return error.kind().to_string();
    }
    let mut answer = [0; 64];
    match timeout(PATIENCE, socket.recv(&mut answer)).await {
        Err(_) => "silence".into(),
        Ok(Err(error)) => error.kind().to_string(),
        Ok(Ok(len)) => String::from_utf8_lossy(&answer[..len]).into_owned(),
    }
}

fn answer(name: &str, client: SocketAddr) -> String {
    format!("{name} {}", client.ip().to_canonical())
}

fn family(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

fn ips(backends: &[&str]) -> Vec<IpAddr> {
    backends.iter().map(|ip| ip.parse().unwrap()).collect()
}

/// The network 10.<number>.0.0/24, fd10:<number>::/64.
pub(super) fn network(number: u8) -> NetworkSpec {
    NetworkSpec {
        id: format!("net{number}"),
        v4: Some(NetworkV4 {
            subnet: format!("10.{number}.0.0/24").parse().unwrap(),
            gateway: Ipv4Addr::new(10, number, 0, 1),
        }),
        v6: Some(NetworkV6 {
            subnet: format!("fd10:{number}::/64").parse().unwrap(),
            gateway: format!("fd10:{number}::1").parse().unwrap(),
        }),
        internal: false,
        mtu: None,
        members_meet: true,
        masquerade: true,
        reach4: Reach::Published,
        reach6: Reach::Published,
    }
}

pub(super) fn endpoint(number: u8, index: usize, last: u8) -> EndpointSpec {
    EndpointSpec {
        network: format!("net{number}"),
        interface: format!("eth{index}"),
        addr4: Some(Ipv4Addr::new(10, number, 0, last)),
        addr6: Some(format!("fd10:{number}::{last}").parse().unwrap()),
        mac: None,
        gateway_priority: 0,
        sysctls: Default::default(),
        link_local: Default::default(),
        open: Default::default(),
    }
}

//! Joins network namespaces of the suite with a cable, and takes apart what is in them, over netlink: no `ip` or
//! `nft` program is needed.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkInfo};
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The network namespace of a process.
pub(crate) fn namespace(pid: u32) -> File {
    File::open(format!("/proc/{pid}/ns/net")).expect("the holder of the namespace lives")
}

/// Runs `work` on a thread of its own that has moved into the namespace.
pub(crate) fn inside<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a network namespace");
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Brings `lo` up in the namespace.
pub(crate) fn loopback_up(namespace: &File) {
    netlink(namespace, async |handle| up(&handle, "lo").await);
}

/// A cable from `eth0` in one namespace to `eth0` in the other; the second takes the first as its gateway.
pub(crate) fn cable(near: &File, near_address: Ipv4Addr, far: &File, far_address: Ipv4Addr) {
    let far_fd = far.as_raw_fd();
    netlink(near, async |handle| {
        let pair = LinkVeth::new("eth0", "far0").build();
        handle.link().add(pair).execute().await.expect("a pair of interfaces");
        let index = index(&handle, "far0").await;
        let moved = LinkUnspec::new_with_index(index).setns_by_fd(far_fd).name("eth0".to_owned()).build();
        handle.link().set(moved).execute().await.expect("one end moves over");
        address(&handle, near_address).await;
        up(&handle, "eth0").await;
    });
    netlink(far, async |handle| {
        address(&handle, far_address).await;
        up(&handle, "eth0").await;
        let default = RouteMessageBuilder::<Ipv4Addr>::new().gateway(near_address).build();
        handle.route().add(default).execute().await.expect("a default route");
    });
}

/// Deletes every bridge in the namespace, with a message in the log of whoever watches.
pub(crate) fn delete_bridges(namespace: &File) {
    netlink(namespace, async |handle| {
        for index in bridges(&handle).await {
            handle.link().del(index).execute().await.expect("a bridge can be deleted");
        }
    });
}

/// Takes every bridge in the namespace down.
pub(crate) fn lower_bridges(namespace: &File) {
    netlink(namespace, async |handle| {
        for index in bridges(&handle).await {
            let message = LinkUnspec::new_with_index(index).down().build();
            handle.link().set(message).execute().await.expect("a bridge can be taken down");
        }
    });
}

/// The indexes of all bridges; there must be one.
async fn bridges(handle: &Handle) -> Vec<u32> {
    let mut links = handle.link().get().execute();
    let mut bridges = Vec::new();
    while let Some(link) = links.try_next().await.expect("links can be listed") {
        let is_bridge = |info: &LinkInfo| matches!(info, LinkInfo::Kind(InfoKind::Bridge));
        let infos = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => Some(infos),
            _ => None,
        });
        if infos.is_some_and(|infos| infos.iter().any(is_bridge)) {
            bridges.push(link.header.index);
        }
    }
    assert!(!bridges.is_empty(), "there is no bridge");
    bridges
}

/// Deletes all tables of this thread's namespace: a batch with one message that names none.
pub(crate) fn flush_packet_filter() {
    use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
    const BATCH_BEGIN: u16 = 16;
    const BATCH_END: u16 = 17;
    const DELETE_TABLE: u16 = 10 << 8 | 2;
    const REQUEST: u16 = 1;
    /// The subsystem that a batch is for (`NFNL_SUBSYS_NFTABLES`), as the kernel reads it.
    const NFTABLES: [u8; 4] = [0, 0, 0, 10];
    let mut batch = Vec::new();
    let messages = [(BATCH_BEGIN, NFTABLES), (DELETE_TABLE, [0; 4]), (BATCH_END, NFTABLES)];
    for ((kind, content), sequence) in messages.into_iter().zip(1_u32..) {
        batch.extend(20_u32.to_ne_bytes());
        batch.extend(kind.to_ne_bytes());
        batch.extend(REQUEST.to_ne_bytes());
        batch.extend(sequence.to_ne_bytes());
        batch.extend([0; 4]);
        batch.extend(content);
    }
    let mut socket = Socket::new(NETLINK_NETFILTER).expect("a netlink socket");
    socket.bind_auto().expect("an address for it");
    socket.send_to(&batch, &SocketAddr::new(0, 0), 0).expect("the kernel takes it");
}

async fn address(handle: &Handle, address: Ipv4Addr) {
    let index = index(handle, "eth0").await;
    handle.address().add(index, IpAddr::V4(address), 24).execute().await.expect("an address");
}

async fn up(handle: &Handle, name: &str) {
    let index = index(handle, name).await;
    let message = LinkUnspec::new_with_index(index).up().build();
    handle.link().set(message).execute().await.expect("the interface goes up");
}

async fn index(handle: &Handle, name: &str) -> u32 {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    links.try_next().await.expect("links can be listed").expect("the link is there").header.index
}

fn netlink(namespace: &File, work: impl AsyncFnOnce(Handle) + Send) {
    inside(namespace, || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime");
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection().expect("a netlink socket");
            tokio::spawn(connection);
            work(handle).await;
        });
    });
}

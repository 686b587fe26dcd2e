//! Notices when somebody else changes what is ours, and has it repaired. Nothing polls: the kernel reports changes.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use crate::host::Host;
use crate::link::{Link, parse_link};
use crate::netlink::{Family, Socket, messages};
use crate::nft::Names;
use crate::nft::foreign::{self, Damage};
use crate::plan::LEAVING;
use crate::worker::Worker;
use crate::{Error, Result};

/// A flush is many messages; the repair begins when they have come.
const SETTLE: Duration = Duration::from_millis(20);
/// Enough for a burst of changes while this process does not run.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// `NFNLGRP_NFTABLES` as a bit.
const NFTABLES_GROUP: u32 = 1 << 6;
/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`.
const LINK_GROUPS: u32 = 0x1 | 0x10 | 0x100;
const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
const DEL_ADDRESS: u16 = 21;

/// The sockets that report changes.
#[derive(Debug)]
pub(crate) struct Sources {
    filter: Socket,
    links: Socket,
    names: Names,
    /// Who made the changes that are our own.
    own: u32,
}

impl Sources {
    /// In the calling thread's network namespace. `own` is the port of the socket that changes our tables.
    pub(crate) fn open(names: &Names, own: u32) -> Result<Sources> {
        let open = |family, groups| {
            let socket = Socket::open(family, groups)?;
            sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)?;
            Ok(socket)
        };
        let failed = |source: io::Error| Error::system("listen to changes of the network", source);
        Ok(Sources {
            filter: open(Family::Netfilter, NFTABLES_GROUP).map_err(failed)?,
            links: open(Family::Route, LINK_GROUPS).map_err(failed)?,
            names: names.clone(),
            own,
        })
    }
}

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    task: AbortHandle,
}

impl Watch {
    /// Starts watching on the current runtime.
    pub(crate) fn start(sources: Sources, worker: Worker) -> Result<Watch> {
        let failed = |source| Error::system("listen to changes of the network", source);
        let Sources { filter, links, names, own } = sources;
        let (filter, links) = (register(filter).map_err(failed)?, register(links).map_err(failed)?);
        let task = tokio::spawn(watch(filter, links, names, own, worker)).abort_handle();
        Ok(Watch { task })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[allow(unsafe_code)]
fn register(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a `Socket` owns its descriptor, always gives the same one, and closes it only when it is dropped,
    // which `AsyncFd` does after having deregistered it.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

async fn watch(
    mut filter: AsyncFd<Socket>,
    mut links: AsyncFd<Socket>,
    names: Names,
    own: u32,
    worker: Worker,
) {
    loop {
        let damage = tokio::select! {
            damage = next(&mut filter, |bytes| filter_damage(bytes, &names, own)) => damage,
            damage = next(&mut links, |bytes| link_damage(bytes, &names)) => damage,
        };
        let Ok(mut damage) = damage else { return };
        if damage == Damage::None {
            continue;
        }
        tokio::time::sleep(SETTLE).await;
        damage = damage.max(drain(&mut filter, |bytes| filter_damage(bytes, &names, own)));
        damage = damage.max(drain(&mut links, |bytes| link_damage(bytes, &names)));
        let repair = move |host: &mut Host| host.resync(damage == Damage::Content);
        match worker.run(repair).await {
            Err(Error::Closed) => return,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(tracing::field::display);
                tracing::warn!(cause, "cannot repair the network: {error}");
            }
            Ok(()) => {}
        }
    }
}

/// Waits for reports and says how bad they are.
async fn next(socket: &mut AsyncFd<Socket>, judge: impl Fn(&[u8]) -> Damage) -> io::Result<Damage> {
    let mut ready = socket.readable_mut().await?;
    let damage = read_all(ready.get_inner_mut(), judge);
    ready.clear_ready();
    Ok(damage)
}

fn drain(socket: &mut AsyncFd<Socket>, judge: impl Fn(&[u8]) -> Damage) -> Damage {
    read_all(socket.get_mut(), judge)
}

fn read_all(socket: &mut Socket, judge: impl Fn(&[u8]) -> Damage) -> Damage {
    let mut worst = Damage::None;
    loop {
        match socket.notification() {
            Ok(bytes) => worst = worst.max(judge(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return worst,
            // Some reports were lost.
            Err(_) => worst = worst.max(Damage::Perhaps),
        }
    }
}

fn filter_damage(bytes: &[u8], names: &Names, own: u32) -> Damage {
    let foreign = messages(bytes).filter(|message| message.sender != own);
    foreign.map(|message| foreign::damage(message.kind, message.payload, names)).max().unwrap_or_default()
}

fn link_damage(bytes: &[u8], names: &Names) -> Damage {
    let ours =
        |name: &str| name.starts_with(&names.bridge_prefix()) || name.starts_with(&names.port_prefix());
    let damages = messages(bytes).map(|message| match message.kind {
        DEL_ADDRESS => Damage::Perhaps,
        DEL_LINK if parse_link(message.payload).is_some_and(|link| ours(&link.name)) => Damage::Perhaps,
        NEW_LINK if parse_link(message.payload).is_some_and(|link| ours(&link.name) && is_lowered(&link)) => {
            Damage::Perhaps
        }
        _ => Damage::None,
    });
    damages.max().unwrap_or_default()
}

/// Whether somebody took a link down that was complete and is not about to go.
fn is_lowered(link: &Link) -> bool {
    !link.up && link.alias.as_deref().is_some_and(|alias| alias != LEAVING)
}

//! Keeps this engine's two tables in the kernel in step with the entries it is given.
//!
//! An entry belongs to an owner (a network, an endpoint, a VIP, a published port). A change is one transaction that
//! contains only the difference. If the kernel refuses it, somebody else changed the tables: they are replaced whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::netlink::{self, Socket};
use crate::nft::names::{V4, V6};
use crate::nft::table::{balance_chain, skeleton};
use crate::nft::{Element, Family, Names, Transaction, foreign};
use crate::watch::Sources;
use crate::{Error, Result};

/// A chain that must exist before an element may lead to it: the `*_be*` map and the number of slots.
pub(crate) type NeededChain = (&'static str, usize);

/// What one owner needs in the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Elements of the `inet` table.
    pub(crate) inet: BTreeSet<Element>,
    /// Elements of the `bridge` table.
    pub(crate) bridge: BTreeSet<Element>,
    /// Chains that the elements lead to.
    pub(crate) chains: BTreeSet<NeededChain>,
}

/// The owners' names and what they shall have from now on; `None` is nothing.
pub(crate) type Changes = BTreeMap<String, Option<Entry>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Absent,
    /// Made by an earlier engine of this id; what is in them is not known, and serves until it is replaced.
    Inherited,
    Installed,
}

/// The tables and what was last put into them.
#[derive(Debug)]
pub(crate) struct Tables {
    socket: Socket,
    names: Names,
    presence: Presence,
    entries: BTreeMap<String, Entry>,
    chains: BTreeSet<NeededChain>,
}

impl Tables {
    /// Looks for tables that an earlier engine left; changes nothing.
    pub(crate) fn open(names: &Names) -> Result<Tables> {
        let open = |source| Error::system("open nftables netlink", source);
        let socket = Socket::open(netlink::Family::Netfilter, 0).map_err(open)?;
        socket.enlarge_send_buffer().map_err(open)?;
        let mut tables = Tables {
            socket,
            names: names.clone(),
            presence: Presence::Absent,
            entries: BTreeMap::new(),
            chains: BTreeSet::new(),
        };
        if tables.count()? > 0 {
            tables.presence = Presence::Inherited;
        }
        Ok(tables)
    }

    /// Listens to changes that others make.
    pub(crate) fn watch(&self) -> Result<Sources> {
        let own = self.socket.port().map_err(|source| Error::system("name the nftables socket", source))?;
        Sources::open(&self.names, own)
    }

    /// Whether nothing of ours is in the kernel's packet filter.
    pub(crate) fn is_absent(&self) -> bool {
        self.presence == Presence::Absent
    }

    /// Whether the content is known, because this process put it there.
    pub(crate) fn is_installed(&self) -> bool {
        self.presence == Presence::Installed
    }

    /// Whether both tables are still there.
    pub(crate) fn are_intact(&mut self) -> Result<bool> {
        Ok(self.count()? == 2)
    }

    /// Changes what these owners have, in one transaction.
    pub(crate) fn update(&mut self, changes: Changes) -> Result<()> {
        let transaction = self.difference(&changes);
        let chains: Vec<_> =
            changes.values().flatten().flat_map(|entry| entry.chains.iter().copied()).collect();
        for (owner, entry) in changes {
            match entry {
                Some(entry) => self.entries.insert(owner, entry),
                None => self.entries.remove(&owner),
            };
        }
        if self.presence == Presence::Absent {
            return self.install();
        }
        match transaction.commit(&mut self.socket) {
            Ok(()) => {
                self.chains.extend(chains);
                Ok(())
            }
            Err(error) => {
                tracing::warn!("the packet filter was changed by somebody else, putting it back: {error}");
                self.install()
            }
        }
    }

    /// Replaces both tables by what is wanted, in one transaction, so that no packet sees anything in between.
    pub(crate) fn install(&mut self) -> Result<()> {
        let mut transaction = Transaction::new();
        let name = self.names.table();
        let needed = self.entries.values().flat_map(|entry| entry.chains.iter().copied()).collect();
        let (inet, bridge) = merge(self.entries.values());
        for table in skeleton(&self.names) {
            transaction.remove_table(table.family, &name);
            transaction.add_table(&table);
        }
        self.add_chains(&mut transaction, &needed);
        transaction.add_elements(Family::Inet, &name, inet);
        transaction.add_elements(Family::Bridge, &name, bridge);
        transaction.commit(&mut self.socket)?;
        self.chains = needed;
        self.presence = Presence::Installed;
        Ok(())
    }

    /// Removes both tables, and our rules from other people's chains.
    pub(crate) fn remove(&mut self) -> Result<()> {
        if self.presence != Presence::Absent {
            let mut transaction = Transaction::new();
            for family in [Family::Inet, Family::Bridge] {
                transaction.remove_table(family, &self.names.table());
            }
            transaction.commit(&mut self.socket)?;
        }
        self.presence = Presence::Absent;
        self.entries.clear();
        self.chains.clear();
        foreign::withdraw(&mut self.socket, &self.names)
    }

    /// Sees to it that chains of others which drop what they do not know let our packets pass.
    pub(crate) fn pass_foreign_chains(&mut self) -> Result<()> {
        let changed = foreign::pass_through(&mut self.socket, &self.names)?;
        if changed > 0 {
            tracing::info!("another program's packet filter drops forwarded packets; it now lets ours pass");
        }
        Ok(())
    }

    /// Whether somebody else has a chain at the forward hook, and so depends on forwarding.
    pub(crate) fn others_forward(&mut self) -> Result<bool> {
        let chains = foreign::forward_chains(&mut self.socket, &self.names);
        Ok(!chains.map_err(|source| Error::system("list the packet filter's chains", source))?.is_empty())
    }

    fn count(&mut self) -> Result<usize> {
        foreign::own_tables(&mut self.socket, &self.names)
            .map_err(|source| Error::system("list the packet filter's tables", source))
    }

    fn difference(&self, changes: &Changes) -> Transaction {
        let former = merge(changes.keys().filter_map(|owner| self.entries.get(owner)));
        let wanted = merge(changes.values().flatten());
        let needed: BTreeSet<_> = changes
            .values()
            .flatten()
            .flat_map(|entry| entry.chains.difference(&self.chains))
            .copied()
            .collect();
        let name = self.names.table();
        let mut transaction = Transaction::new();
        self.add_chains(&mut transaction, &needed);
        for (family, former, wanted) in
            [(Family::Inet, &former.0, &wanted.0), (Family::Bridge, &former.1, &wanted.1)]
        {
            transaction.remove_elements(family, &name, former.difference(wanted).copied());
            transaction.add_elements(family, &name, wanted.difference(former).copied());
        }
        transaction
    }

    fn add_chains(&self, transaction: &mut Transaction, needed: &BTreeSet<NeededChain>) {
        for (map, slots) in needed {
            let names = if [V4.vip_be, V4.any_be, V4.addr_be].contains(map) { &V4 } else { &V6 };
            transaction.add_chain(Family::Inet, &self.names.table(), &balance_chain(names, map, *slots));
        }
    }
}

/// All elements of some entries, in the order of their sets.
fn merge<'a>(entries: impl Iterator<Item = &'a Entry>) -> (BTreeSet<&'a Element>, BTreeSet<&'a Element>) {
    let mut all = (BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        all.0.extend(&entry.inet);
        all.1.extend(&entry.bridge);
    }
    all
}

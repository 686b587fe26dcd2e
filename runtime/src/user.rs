//! Who a process in a container is: names from the image's own `/etc/passwd` and `/etc/group`.
//!
//! The files are the image's, so they may be anything: they are opened inside the root filesystem only, read
//! up to a limit, and lines that make no sense are skipped, as every C library does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::limits;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, sorted; always with `gid`, as initgroups(3) does.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// The two files as text; an image without them has empty ones.
#[derive(Default)]
pub(crate) struct Database {
    passwd: String,
    group: String,
}

impl Database {
    /// Reads both files below `root`, following symbolic links inside it only.
    pub(crate) fn read(root: &OwnedFd) -> io::Result<Database> {
        Ok(Database { passwd: read_inside(root, "etc/passwd")?, group: read_inside(root, "etc/group")? })
    }

    /// Docker's rules: `user` is a name or number, with `:` and a group's name or number. Without a group it
    /// is the user's own, with all groups that list the user; a bare number without an entry has group 0.
    pub(crate) fn resolve(&self, user: Option<&str>, extra: &[String]) -> Result<Ids, String> {
        let (user, group) = match user.unwrap_or("0").split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (user.unwrap_or("0"), None),
        };
        let user = if user.is_empty() { "0" } else { user };
        let entry = self.user(user);
        let uid = match (&entry, user.parse::<u32>()) {
            (Some(entry), _) => entry.uid,
            (None, Ok(number)) => number,
            (None, Err(_)) => return Err(format!("user `{user}` is not in the image's /etc/passwd")),
        };
        let gid = match group.filter(|g| !g.is_empty()) {
            Some(group) => self.group(group)?,
            None => entry.as_ref().map_or(0, |e| e.gid),
        };
        let mut groups = vec![gid];
        if let (Some(entry), None) = (&entry, group) {
            groups.extend(self.groups_of(entry.name));
        }
        for name in extra {
            groups.push(self.group(name)?);
        }
        groups.sort_unstable();
        groups.dedup();
        let home = entry.map(|e| e.home).filter(|h| !h.is_empty()).unwrap_or("/").to_owned();
        Ok(Ids { uid, gid, groups, home })
    }

    /// A name wins over a number, as in Docker: a user may be called `1000`.
    fn user(&self, wanted: &str) -> Option<User<'_>> {
        let users = || self.passwd.lines().filter_map(User::parse);
        let number = wanted.parse::<u32>().ok();
        users().find(|u| u.name == wanted).or_else(|| users().find(|u| Some(u.uid) == number))
    }

    fn group(&self, wanted: &str) -> Result<u32, String> {
        let named = self.group.lines().filter_map(parse_group).find(|(name, ..)| *name == wanted);
        match (named, wanted.parse()) {
            (Some((_, gid, _)), _) | (None, Ok(gid)) => Ok(gid),
            (None, Err(_)) => Err(format!("group `{wanted}` is not in the image's /etc/group")),
        }
    }

    fn groups_of(&self, user: &str) -> impl Iterator<Item = u32> {
        self.group
            .lines()
            .filter_map(parse_group)
            .filter(move |(_, _, members)| members.split(',').any(|member| member == user))
            .map(|(_, gid, _)| gid)
    }
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl User<'_> {
    /// `name:password:uid:gid:comment:home:shell`
    fn parse(line: &str) -> Option<User<'_>> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).unwrap_or_default();
        Some(User { name, uid, gid, home })
    }
}

/// `name:password:gid:members`
fn parse_group(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

fn read_inside(root: impl AsFd, path: &str) -> io::Result<String> {
    // Without NONBLOCK a fifo in place of the file would hold us up for ever.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = match openat2(root, path, flags, Mode::empty(), resolve) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(String::new()),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    file.take(limits::PASSWD_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(user: Option<&str>, extra: &[&str], expect: Result<(u32, u32, &[u32], &str), &str>) {
        let database = Database {
            passwd: "root:x:0:0:root:/root:/bin/sh\n# comment\nredis:x:999:1000::/data:/bin/false\n\
                     1000:x:77:77::/odd:\nbroken:x:no:1::/\nshort\n"
                .into(),
            group: "root:x:0:\nredis:x:1000:\nssl:x:55:root,redis\nadm:x:4:redis\n".into(),
        };
        let extra: Vec<String> = extra.iter().map(|e| (*e).to_owned()).collect();
        let expect = expect
            .map(|(uid, gid, groups, home)| Ids { uid, gid, groups: groups.into(), home: home.into() })
            .map_err(str::to_owned);
        assert_eq!(database.resolve(user, &extra), expect, "{user:?}");
    }

    #[test]
    fn users_and_groups_come_from_the_image() {
        check(None, &[], Ok((0, 0, &[0, 55], "/root")));
        check(Some("redis"), &[], Ok((999, 1000, &[4, 55, 1000], "/data")));
        check(Some("999"), &[], Ok((999, 1000, &[4, 55, 1000], "/data")));
        check(Some("redis:ssl"), &[], Ok((999, 55, &[55], "/data")));
        check(Some("redis:"), &["7", "adm"], Ok((999, 1000, &[4, 7, 1000], "/data")));
        check(Some("1000"), &[], Ok((77, 77, &[77], "/odd")));
        check(Some("4242"), &[], Ok((4242, 0, &[0], "/")));
        check(Some("4242:4343"), &["adm"], Ok((4242, 4343, &[4, 4343], "/")));
        check(Some("nobody"), &[], Err("user `nobody` is not in the image's /etc/passwd"));
        check(Some("0:wheel"), &[], Err("group `wheel` is not in the image's /etc/group"));
        check(Some("0"), &["wheel"], Err("group `wheel` is not in the image's /etc/group"));
        check(Some("broken"), &[], Err("user `broken` is not in the image's /etc/passwd"));
    }
}

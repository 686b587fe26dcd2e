//! The small files that a container is given: names, resolver, secrets and configs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ::core::net::{IpAddr, Ipv4Addr};
use cluster::Task;
use runtime::InjectedFile;

use super::{hostname, shares_network, uses_host_network};

/// Where DNS answers inside each network namespace.
const NAMESERVER: &str = "127.0.0.11";

/// Every file. `blobs` has the contents of secrets and configs by digest, `gateway` is what `host-gateway`
/// stands for.
///
/// # Errors
/// A content is missing, or `extra_hosts` is not what it should be.
pub(crate) fn files(
    task: &Task,
    blobs: &BTreeMap<String, Vec<u8>>,
    gateway: Option<IpAddr>,
) -> Result<Vec<InjectedFile>, String> {
    let mut list = Vec::new();
    // With another container's network come its files.
    if !shares_network(task) {
        list.push(of_root("/etc/hostname", format!("{}\n", hostname(task))));
        list.push(hosts(task, gateway)?);
        list.push(resolv_conf(task));
    }
    for file in &task.spec.files {
        let content = blobs.get(&file.digest);
        let content = content.ok_or_else(|| format!("the content of `{}` is not there", file.target))?;
        list.push(InjectedFile {
            target: file.target.clone(),
            begins_with: None,
            content: content.clone(),
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            writable: false,
        });
    }
    Ok(list)
}

fn of_root(target: &str, content: String) -> InjectedFile {
    InjectedFile {
        target: target.to_owned(),
        begins_with: None,
        content: content.into_bytes(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        writable: true,
    }
}

/// Who is in the machine's network knows the machine's names too, and reaches it as itself.
fn hosts(task: &Task, gateway: Option<IpAddr>) -> Result<InjectedFile, String> {
    let path = "/etc/hosts";
    if uses_host_network(task) {
        let text = extra_hosts(task, Some(Ipv4Addr::LOCALHOST.into()))?;
        return Ok(InjectedFile { begins_with: Some(path.into()), ..of_root(path, text) });
    }
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    text.push_str(&extra_hosts(task, gateway)?);
    let own = match &task.spec.compose.domainname {
        Some(domain) => format!("{0}.{domain} {0}", hostname(task)),
        None => hostname(task),
    };
    for endpoint in &task.endpoints {
        for address in endpoint.addresses().each() {
            line(&mut text, &address.to_string(), &own);
        }
    }
    Ok(of_root(path, text))
}

fn extra_hosts(task: &Task, gateway: Option<IpAddr>) -> Result<String, String> {
    let mut text = String::new();
    for entry in &task.spec.compose.extra_hosts {
        let (name, address) =
            entry.split_once('=').ok_or_else(|| format!("`extra_hosts: {entry}` is not name=address"))?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        if address == "host-gateway" {
            let gateway = gateway.ok_or("`host-gateway` needs a network")?;
            line(&mut text, &gateway.to_string(), name);
        } else {
            line(&mut text, address, name);
        }
    }
    Ok(text)
}

fn line(text: &mut String, address: &str, names: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{address}\t{names}");
}

/// In the machine's network its own resolvers answer, unless the service names others. What is searched and which
/// options hold is added at the end: the last `search` is the one that counts (resolv.conf(5)).
fn resolv_conf(task: &Task) -> InjectedFile {
    let (path, compose) = ("/etc/resolv.conf", &task.spec.compose);
    let host = uses_host_network(task);
    let servers = if host { compose.dns.clone() } else { vec![NAMESERVER.to_owned()] };
    let always = (!host).then_some("ndots:0");
    let options: Vec<&str> = always.into_iter().chain(compose.dns_opt.iter().map(String::as_str)).collect();

    let mut text = String::new();
    if !compose.dns_search.is_empty() {
        let _ = writeln!(text, "search {}", compose.dns_search.join(" "));
    }
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    let begins_with = (host && compose.dns.is_empty()).then(|| path.into());
    InjectedFile { begins_with, ..of_root(path, text) }
}

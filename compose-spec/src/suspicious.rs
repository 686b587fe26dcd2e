//! What Compose accepts but surely is not meant. Nothing here is ever an error.

use crate::diagnostic::{Code, Diagnostic};
use crate::node::{Node, Value};
use crate::place::Place;
use crate::report::Report;
use crate::suggest;

/// Words that an attribute of a service understands; others pass, and mean nothing.
const WORDS: &[(&[&str], &[&str])] = &[
    (&["deploy", "mode"], &["replicated", "global", "replicated-job", "global-job"]),
    (&["deploy", "endpoint_mode"], &["vip", "dnsrr"]),
    (&["deploy", "restart_policy", "condition"], &["none", "on-failure", "any"]),
    (&["deploy", "update_config", "failure_action"], &["pause", "continue", "rollback"]),
    (&["deploy", "rollback_config", "failure_action"], &["pause", "continue"]),
];

/// Looks at a merged tree in which every value still stands as it was written.
pub(crate) fn check(tree: &Node, report: &mut Report) {
    let services = Place::TOP.key("services");
    for (name, entry) in tree.get("services").into_iter().flat_map(Node::entries) {
        let place = services.key(name);
        check_restart(&entry.node, &place, report);
        check_words(&entry.node, &place, report);
        check_clock_numbers(&entry.node, &place, report);
        check_quotes(&entry.node, &place, report);
        check_power(&entry.node, &place, report);
    }
}

fn check_restart(service: &Node, place: &Place<'_>, report: &mut Report) {
    let Some(node) = service.get("restart") else { return };
    let Some(text) = node.as_str() else { return };
    let known = ["no", "always", "on-failure", "unless-stopped"];
    let counted = text.strip_prefix("on-failure:").is_some_and(|count| count.parse::<u32>().is_ok());
    if !text.is_empty() && !known.contains(&text) && !counted {
        unknown_word(node, text, &known, &place.key("restart"), report);
    }
}

fn check_words(service: &Node, place: &Place<'_>, report: &mut Report) {
    for (path, words) in WORDS {
        let node = path.iter().try_fold(service, |node, key| node.get(key));
        if let Some(node) = node
            && let Some(text) = node.as_str()
            && !text.is_empty()
            && !words.contains(&text)
        {
            let path = path.join(".");
            unknown_word(node, text, words, &place.key(&path), report);
        }
    }
}

fn unknown_word(node: &Node, text: &str, words: &[&str], place: &Place<'_>, report: &mut Report) {
    let finding =
        Diagnostic::warning(Code::Suspicious, node.span, format!("`{place}: {text}` has no meaning"));
    let expected = format!("expected one of {}", suggest::listed(words.iter().copied()));
    report.add(match suggest::nearest(text, words.iter().copied()) {
        Some(near) => finding.hint(format!("{expected}; did you mean `{near}`?")),
        None => finding.hint(expected),
    });
}

/// `22:22` without quotes is a number to base 60 for tools that read YAML 1.1.
fn check_clock_numbers(service: &Node, place: &Place<'_>, report: &mut Report) {
    let place = place.key("ports");
    for (index, port) in service.get("ports").and_then(Node::as_seq).unwrap_or_default().iter().enumerate() {
        let Some(text) = port.as_str() else { continue };
        let plain = port.span.length as usize == text.chars().count();
        let clock = text.split_once(':').is_some_and(|(high, low)| {
            high.parse::<u32>().is_ok() && low.len() <= 2 && low.parse::<u8>().is_ok_and(|low| low < 60)
        });
        if plain && clock {
            report.add(
                Diagnostic::warning(
                    Code::Suspicious,
                    port.span,
                    format!("`{}` is a number for tools that read YAML 1.1", place.index(index)),
                )
                .hint(format!("put it in quotes: \"{text}\"")),
            );
        }
    }
}

/// The sockets by which container engines are given orders, by the ends of their paths.
const ENGINE_SOCKETS: [&str; 4] = ["/docker.sock", "/podman.sock", "/containerd.sock", "/engine.sock"];

/// Mounts by which a container becomes as mighty as this machine's root, whatever confines it otherwise.
fn check_power(service: &Node, place: &Place<'_>, report: &mut Report) {
    let place = place.key("volumes");
    for (index, volume) in
        service.get("volumes").and_then(Node::as_seq).unwrap_or_default().iter().enumerate()
    {
        let (source, read_only) = match volume.as_str() {
            Some(short) => {
                let mut parts = short.split(':');
                let source = parts.next().filter(|_| short.contains(':'));
                (source, parts.next_back().is_some_and(|flags| flags.split(',').any(|flag| flag == "ro")))
            }
            None => {
                let read_only = volume.get("read_only").is_some_and(|node| node.as_bool() == Some(true));
                (volume.get("source").and_then(Node::as_str), read_only)
            }
        };
        let what = match source {
            Some("/") if !read_only => "change every file of this machine",
            Some(source) if ENGINE_SOCKETS.iter().any(|socket| source.ends_with(socket)) => {
                "give orders to this machine's container engine"
            }
            _ => continue,
        };
        report.add(
            Diagnostic::warning(
                Code::Suspicious,
                volume.span,
                format!("`{}` lets the container {what}", place.index(index)),
            )
            .hint("that is as much as being root here: mount only what is needed"),
        );
    }
}

/// In a list, quotes after `=` are part of the value.
fn check_quotes(service: &Node, place: &Place<'_>, report: &mut Report) {
    let place = place.key("environment");
    let items = service.get("environment").and_then(Node::as_seq).unwrap_or_default();
    for (index, item) in items.iter().enumerate() {
        let Value::String(text) = &item.value else { continue };
        let Some((name, value)) = text.split_once('=') else { continue };
        let quoted = |quote| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
        if quoted('"') || quoted('\'') {
            report.add(
                Diagnostic::warning(
                    Code::Suspicious,
                    item.span,
                    format!("`{}`: the quotes become part of the value of `{name}`", place.index(index)),
                )
                .hint("put the whole entry in quotes, or write a mapping"),
            );
        }
    }
}

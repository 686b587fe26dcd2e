//! Names as programs in a container see them: packets to 127.0.0.11:53.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use rustix::mount::mount_bind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::machine::{HOST, Machine, on_a_machine};
use crate::{View, Zone};

const SERVER: &str = "127.0.0.11:53";

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn text(answer: &[u8]) -> String {
    let answer = Message::from_vec(answer).unwrap();
    assert_eq!(answer.metadata.id, 4711);
    let mut records: Vec<_> = answer.answers.iter().map(|record| record.data.to_string()).collect();
    records.sort();
    let cut = if answer.metadata.truncation { " cut" } else { "" };
    format!("{:?}{cut} {}", answer.metadata.response_code, records.join(" ")).trim_end().to_owned()
}

/// Asks by UDP, from a socket inside the namespace.
async fn ask(machine: &Machine, from: &str, name: &str, kind: RecordType) -> String {
    let socket = machine.udp(from, "127.0.0.1:0".parse().unwrap());
    socket.connect(SERVER).await.unwrap();
    socket.send(&question(name, kind)).await.unwrap();
    let mut answer = [0; 2048];
    let wait = tokio::time::timeout(std::time::Duration::from_secs(8), socket.recv(&mut answer));
    match wait.await {
        Ok(Ok(len)) => text(&answer[..len]),
        Ok(Err(error)) => error.kind().to_string(),
        Err(_) => "silence".into(),
    }
}

async fn check(machine: &Machine, from: &str, name: &str, kind: RecordType, expect: &str) {
    assert_eq!(ask(machine, from, name, kind).await, expect, "{from}: {name} {kind}");
}

/// The same by TCP.
async fn ask_tcp(machine: &Machine, from: &str, name: &str, kind: RecordType) -> String {
    let mut stream = machine.connect(from, SERVER.parse().unwrap()).await.unwrap();
    let question = question(name, kind);
    stream.write_u16(question.len() as u16).await.unwrap();
    stream.write_all(&question).await.unwrap();
    let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut answer).await.unwrap();
    text(&answer)
}

fn zone() -> Zone {
    let ips = |ips: &[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<_>>();
    let many = (0..200).map(|last| format!("10.1.1.{last}").parse().unwrap()).collect();
    Zone {
        names: [
            ("web".to_owned(), ips(&["10.1.0.10", "10.1.0.11", "fd10:1::10"])),
            ("db".to_owned(), ips(&["10.1.0.12"])),
            ("many".to_owned(), many),
        ]
        .into(),
        reverse: [("10.1.0.12".parse().unwrap(), "db.shop".to_owned())].into(),
    }
}

async fn with_names(machine: &Machine) {
    for number in [1, 2] {
        machine.network(number).await;
    }
    machine.container("a", &[1], 10).await;
    machine.container("stranger", &[2], 10).await;
    machine.net.set_zone("net1", Some(zone()));
    for (netns, network) in [("a", "net1"), ("stranger", "net2")] {
        machine.net.set_view(netns, Some(View { networks: vec![network.into()], ..View::default() }));
        machine.net.serve_dns(netns).await.unwrap();
        machine.net.serve_dns(netns).await.unwrap();
    }
}

#[test]
fn names_of_the_own_network() {
    on_a_machine(async |machine| {
        with_names(machine).await;
        for (from, name, kind, expect) in [
            ("a", "web.", RecordType::A, "NoError 10.1.0.10 10.1.0.11"),
            ("a", "WEB.", RecordType::AAAA, "NoError fd10:1::10"),
            ("a", "db.", RecordType::AAAA, "NoError"),
            ("a", "nope.", RecordType::A, "NXDomain"),
            ("a", "12.0.1.10.in-addr.arpa.", RecordType::PTR, "NoError db.shop."),
            ("a", "web.", RecordType::AXFR, "Refused"),
            ("a", "many.", RecordType::A, "NoError cut"),
            ("stranger", "web.", RecordType::A, "NXDomain"),
            ("stranger", "12.0.1.10.in-addr.arpa.", RecordType::PTR, "NXDomain"),
        ] {
            check(machine, from, name, kind, expect).await;
        }
        assert_eq!(ask_tcp(machine, "a", "many.", RecordType::A).await.split(' ').count(), 201);
        // A change is visible to the next question.
        machine.net.set_zone("net1", None);
        check(machine, "a", "web.", RecordType::A, "NXDomain").await;
    });
}

#[test]
fn the_first_address_changes_from_answer_to_answer() {
    on_a_machine(async |machine| {
        with_names(machine).await;
        let mut first = Vec::new();
        for _ in 0..4 {
            let socket = machine.udp("a", "127.0.0.1:0".parse().unwrap());
            socket.connect(SERVER).await.unwrap();
            socket.send(&question("web.", RecordType::A)).await.unwrap();
            let mut answer = [0; 512];
            let len = socket.recv(&mut answer).await.unwrap();
            first.push(Message::from_vec(&answer[..len]).unwrap().answers[0].data.to_string());
        }
        assert!(first[0] != first[1] && first[0] == first[2] && first[1] == first[3], "{first:?}");
    });
}

#[test]
fn outside_names_are_asked_of_the_machines_resolvers() {
    on_a_machine(async |machine| {
        // This test's /etc, in its own mount namespace.
        let etc = machine.run_dir().join("etc");
        std::fs::create_dir(&etc).unwrap();
        std::fs::write(etc.join("resolv.conf"), "nameserver 127.0.0.1\nsearch example.net\n").unwrap();
        mount_bind(&etc, "/etc").unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let upstream = machine.udp(HOST, "127.0.0.1:53".parse::<SocketAddr>().unwrap());
        let count = asked.clone();
        let serving = tokio::spawn(async move {
            let mut packet = [0; 512];
            while let Ok((len, from)) = upstream.recv_from(&mut packet).await {
                count.fetch_add(1, Ordering::Relaxed);
                let _ = upstream.send_to(&resolve(&packet[..len]), from).await;
            }
        });
        with_names(machine).await;
        check(machine, "a", "www.example.com.", RecordType::A, "NoError 192.0.2.7").await;
        check(machine, "a", "gone.example.com.", RecordType::A, "NXDomain").await;
        let before = asked.load(Ordering::Relaxed);
        for ours in ["nope.", "nope.orc.internal.", "web."] {
            ask(machine, "a", ours, RecordType::A).await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), before, "our names are not asked of others");
        // A dead resolver is a failure after a bounded time, and the other names go on.
        serving.abort();
        let _ = serving.await;
        check(machine, "a", "other.example.com.", RecordType::A, "ServFail").await;
        check(machine, "a", "db.", RecordType::A, "NoError 10.1.0.12").await;
    });
}

/// What the outside says: one name exists.
fn resolve(packet: &[u8]) -> Vec<u8> {
    let request = Message::from_vec(packet).unwrap();
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    response.add_queries(request.queries.iter().cloned());
    let name = request.queries[0].name().clone();
    if name.to_lowercase().to_string() == "www.example.com." {
        response.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, 7))));
    } else {
        response.metadata.response_code = ResponseCode::NXDomain;
    }
    response.to_vec().unwrap()
}

#[test]
fn a_flood_of_one_container_does_not_stop_another() {
    on_a_machine(async |machine| {
        with_names(machine).await;
        let flood = machine.udp("stranger", "127.0.0.1:0".parse().unwrap());
        flood.connect(SERVER).await.unwrap();
        let packet = question("nope.", RecordType::A);
        for round in 0..30_000 {
            let _ = flood.try_send(&packet);
            if round % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
        check(machine, "a", "db.", RecordType::A, "NoError 10.1.0.12").await;
    });
}

#[test]
fn the_sockets_go_with_the_namespace() {
    on_a_machine(async |machine| {
        with_names(machine).await;
        machine.net.remove_netns("a").await.unwrap();
        check(machine, "stranger", "nope.", RecordType::A, "NXDomain").await;
        machine.container("a", &[1], 10).await;
        check(machine, "a", "db.", RecordType::A, "connection refused").await;
        machine.net.set_view("a", Some(View { networks: vec!["net1".into()], ..View::default() }));
        machine.net.serve_dns("a").await.unwrap();
        check(machine, "a", "db.", RecordType::A, "NoError 10.1.0.12").await;
    });
}

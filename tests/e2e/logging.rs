//! Output that is told to the machine's own logs.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::Machine;

/// How long a line may take on its way.
const PATIENCE: Duration = Duration::from_secs(40);

/// The next datagram as text.
fn heard(receive: impl FnOnce(&mut [u8]) -> std::io::Result<usize>) -> String {
    let mut datagram = vec![0; 64 * 1024];
    let length = receive(&mut datagram).expect("a line comes");
    String::from_utf8_lossy(&datagram[..length]).into_owned()
}

fn service(logging: &str) -> String {
    format!("services: {{box: {{image: orc/demo, command: [demo, echo, some words], logging: {logging}}}}}\n")
}

#[test]
fn lines_must_reach_the_syslog_in_the_format_asked_for() {
    let machine = Machine::new("syslog");
    let path = machine.work().join("log");
    let log = UnixDatagram::bind(&path).expect("a socket in the work folder");
    log.set_read_timeout(Some(PATIENCE)).expect("it takes a timeout");
    let options = format!(
        "syslog-address: 'unixgram://{}', syslog-format: rfc5424, syslog-facility: local0, tag: '{{{{.Name}}}}'",
        path.display()
    );
    machine.compose(&service(&format!("{{driver: syslog, options: {{{options}}}}}")));
    machine.orc(&["up", "-d"]).ok();
    let line = heard(|datagram| log.recv(datagram));
    assert!(line.starts_with("<134>1 2") && line.ends_with(" work-box-1 - some words"), "{line}");
    machine.orc(&["logs", "--no-log-prefix", "box"]).exits(0).says("some words");

    let udp = machine.datagrams("127.0.0.1:5514");
    udp.set_read_timeout(Some(PATIENCE)).expect("it takes a timeout");
    machine
        .compose(&service("{driver: syslog, options: {syslog-address: 'udp://127.0.0.1:5514', tag: shop}}"));
    machine.orc(&["up", "-d"]).ok();
    let line = heard(|datagram| udp.recv(datagram));
    assert!(line.starts_with("<30>") && line.contains(" shop[") && line.ends_with("]: some words"), "{line}");
    machine.leaves_nothing();
}

#[test]
fn lines_must_reach_the_journal_with_the_containers_name() {
    let machine = Machine::new("journal");
    machine.compose(&service("{driver: journald}"));
    machine.orc(&["up", "-d"]).exits(1).says("/run/systemd/journal/socket");
    let path = machine.work().join("journal");
    let journal = UnixDatagram::bind(&path).expect("a socket in the work folder");
    journal.set_read_timeout(Some(PATIENCE)).expect("it takes a timeout");
    machine.shell("mkdir -p /run/systemd/journal && ln -s \"$PWD/journal\" /run/systemd/journal/socket").ok();
    machine.orc(&["up", "-d"]).ok();
    let message = heard(|datagram| journal.recv(datagram));
    for field in ["PRIORITY=6\n", "CONTAINER_NAME=work-box-1\n", "IMAGE_NAME=orc/demo\n", "some words\n"] {
        assert!(message.contains(field), "no {field:?} in {message:?}");
    }
    machine.leaves_nothing();
}

#[test]
fn options_that_mean_nothing_to_a_log_must_be_refused() {
    let machine = Machine::new("log-options");
    let up = |logging: &str| {
        machine.compose(&service(logging));
        machine.orc(&["up", "-d"])
    };
    up("{driver: gelf}").exits(1).says("compose.yaml:1:").says("other log drivers");
    up("{driver: syslog, options: {gelf-address: 'udp://x'}}").exits(1).says("compose.yaml:1:");
    up("{driver: journald, options: {syslog-format: rfc3164}}")
        .exits(1)
        .says("has no meaning for the driver");
    up("{driver: syslog, options: {syslog-address: 'tcp://x:1'}}").exits(1).says("`udp://HOST:PORT`");
    machine.leaves_nothing();
}

//! When images are pulled.

use std::io::{BufRead, BufReader, Write};
use std::sync::mpsc;

use crate::support::{Machine, Outcome, Registry, eventually};

#[test]
fn an_image_must_be_pulled_again_only_when_it_is_as_old_as_the_policy_says() {
    let machine = Machine::new("pull-age");
    let registry = Registry::new(&machine, "127.0.0.1:5077");
    let up = |policy: &str| {
        machine.compose(&format!("services: {{box: {{image: '{}', {policy}}}}}\n", registry.image));
        // The image has no program that could be run; it is only made a container of.
        machine.orc(&["create", "--force-recreate"]).ok();
        registry.asked()
    };
    assert_eq!(up("pull_policy: daily"), 1, "it was not there");
    for policy in ["daily", "weekly", "every_3h30m", "missing", "never"] {
        assert_eq!(up(&format!("pull_policy: {policy}")), 1, "{policy}");
    }
    assert_eq!(up("pull_policy: refresh, pull_refresh_after: 2d"), 1);
    eventually("it is older than a millisecond", || up("pull_refresh_after: 1ms") == 2);
    assert_eq!(up("pull_policy: always"), 3);
    assert_eq!(up("pull_policy: daily"), 3, "the tag was just looked at");
    machine.leaves_nothing();
}

#[test]
fn a_policy_that_names_no_age_must_be_refused_with_its_place() {
    let machine = Machine::new("pull-refused");
    let up = |attributes: &str| {
        machine.compose(&format!("services:\n  box:\n    image: orc/demo\n    {attributes}\n"));
        machine.orc(&["up", "-d"])
    };
    up("pull_policy: every_0s").exits(1).says("compose.yaml:4:18").says("must follow `every_`");
    up("pull_refresh_after: soon").exits(1).says("compose.yaml:4:25").says("is not supported");
    up("pull_policy: refresh").exits(1).says("`pull_policy: refresh` needs `pull_refresh_after`");
    machine.shows_nothing_left();
}

#[test]
fn pulls_must_go_through_the_proxy_that_the_environment_names() {
    let machine = Machine::new("proxy");
    machine.own_etc("echo nameserver 127.0.0.1 > etc/resolv.conf");
    let proxy = machine.listen("127.0.0.1:3128");
    let (told, asked) = mpsc::channel();
    // The thread ends with the test's process; nobody waits for it.
    std::thread::spawn(move || {
        for mut stream in proxy.incoming().flatten() {
            let mut line = String::new();
            // Whoever goes away is none of the proxy's business.
            let _ = BufReader::new(&stream).read_line(&mut line);
            let _ = told.send(line);
            let _ =
                write!(stream, "HTTP/1.1 502 Not today\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    // The engine has the environment of whoever starts it.
    let pull = |image: &str| {
        machine.compose(&format!("services: {{box: {{image: '{image}'}}}}\n"));
        let mut pull = machine.orc_command(&["pull"]);
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            pull.env(name, "http://127.0.0.1:3128");
        }
        let output = pull.env("NO_PROXY", "direct.example").output().expect("it runs");
        Outcome::new(format!("pull {image}"), &output)
    };
    pull("registry.example/hello:1").exits(1);
    let first = asked.try_recv().unwrap_or_default();
    assert!(first.starts_with("CONNECT registry.example:443 "), "{first}");
    pull("direct.example/hello:1").exits(1).says("direct.example");
    let registry = Registry::new(&machine, "127.0.0.1:5077");
    pull(&registry.image).ok();
    let others: Vec<String> = asked.try_iter().filter(|line| !line.contains("registry.example")).collect();
    assert!(others.is_empty(), "{others:?}");
    machine.leaves_nothing();
}

//! The example that the README begins with.

use std::collections::BTreeSet;

use crate::support::Machine;

/// The file that people copy, as it is in the repository.
const HELLO: &str = include_str!("../../examples/stacks/hello/compose.yaml");

#[test]
fn the_first_stack_must_run_as_the_readme_says() {
    let machine = Machine::new("hello");
    machine.compose(HELLO);
    machine.orc(&["up", "-d", "--wait"]).ok();

    // What is healthy is behind the port when it is called so: not one request may fail.
    let answers = (0..30).map(|_| machine.get("127.0.0.1:8080", "/").expect("somebody answers"));
    let answers: Vec<_> = answers.collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let replicas: BTreeSet<_> = answers.iter().map(|answer| &answer.body).collect();
    assert_eq!(replicas.len(), 3, "{replicas:?}");
    let greeting = machine.get("127.0.0.1:8080", "/kv/greeting").expect("web asks the store");
    assert_eq!(greeting.body.trim_end(), "good to see you");
    machine.orc(&["exec", "web", "demo", "get", "http://store/kv/colour"]).exits(0).says("green");

    let seed =
        machine.ps().into_iter().find(|container| container["Service"] == "seed").expect("seed is listed");
    assert_eq!((seed["State"].as_str(), seed["ExitCode"].as_i64()), (Some("exited"), Some(0)));
    machine.leaves_nothing();
}

#[test]
fn data_must_outlive_down_and_go_with_down_v() {
    let machine = Machine::new("data");
    machine.compose(HELLO);
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "web", "demo", "put", "http://store/kv/kept", "yes"]).ok();
    machine.orc(&["down", "-t", "1"]).ok();
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "web", "demo", "get", "http://store/kv/kept"]).exits(0).says("yes");
    machine.orc(&["down", "-v", "-t", "1"]).ok();
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "web", "demo", "get", "http://store/kv/kept"]).exits(1);
    machine.leaves_nothing();
}

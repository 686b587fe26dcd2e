//! Registries that are away, or have better things to do.

use crate::support::{Machine, Registry};

/// The registry of a running service is away, then busy: what runs goes on and why its image could not be looked up is
/// said; a registry that is busy for a while is asked again, and `up` without a pull does not need it.
#[test]
fn f32_a_registry_that_fails_must_cost_no_running_service() {
    let machine = Machine::new("registry-fails");
    machine.compose("services: {box: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["commit", "box", "127.0.0.1:5079/app:1"]).ok();
    machine.compose("services: {box: {image: '127.0.0.1:5079/app:1', command: [demo, sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    let running = machine.pids_of("demo sleep");
    let pulls = |why: &str| {
        let up = machine.orc(&["up", "-d", "--pull", "always"]);
        assert_ne!(up.code, 0, "{why}: {up}");
        up.says("127.0.0.1:5079").says(why);
        assert_eq!(machine.pids_of("demo sleep"), running, "{why}: what runs goes on");
    };
    pulls("Connection refused");

    let registry = Registry::new(&machine, "127.0.0.1:5079");
    registry.fails(usize::MAX);
    pulls("503");
    machine.orc(&["up", "-d"]).ok();
    assert_eq!(machine.pids_of("demo sleep"), running);

    registry.fails(2);
    machine.orc(&["image", "pull", &registry.image]).ok();
    machine.orc(&["image", "ls"]).exits(0).says("127.0.0.1:5079/hello");
    machine.leaves_nothing();
}

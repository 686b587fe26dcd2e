//! Dry runs, as a user reads them.

use cluster::{Change, ChangeKind, PutStack, StackName, StopHow};
use serde_json::json;

use crate::dry_run;
use crate::testing::{Bench, hello, wish};

fn check(bench: &Bench, kind: ChangeKind, expect: &str) {
    let plan = dry_run(&bench.state, Change { at: bench.now, kind }).unwrap().to_string();
    let expect: String =
        expect.lines().map(str::trim).filter(|l| !l.is_empty()).map(|l| format!("{l}\n")).collect();
    assert_eq!(plan, expect);
}

fn up(put: PutStack) -> ChangeKind {
    ChangeKind::PutStack(Box::new(put))
}

#[test]
fn a_new_stack() {
    check(
        &Bench::with_nodes(1),
        up(wish(hello())),
        "create  volume hello_data
         create  network hello_default  (10.201.0.0/24)
         create  seed.1  (waits for `store` to be healthy)
         create  store.1
         create  web.1  (waits for `seed` to complete)
         create  web.2  (waits for `seed` to complete)
         create  web.3  (waits for `seed` to complete)",
    );
}

#[test]
fn a_wish_that_is_fulfilled() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.settle();
    let before = bench.state.clone();
    check(&bench, up(wish(hello())), "start   seed.1  (it has ended)");
    assert_eq!(bench.state, before);
}

#[test]
fn what_changed_is_the_cause_of_a_replacement() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.settle();
    let mut changed = hello();
    changed["services"]["store"]["image"] = json!("orc/demo:2");
    changed["services"]["web"]["environment"] = json!({"A": "1"});
    changed["services"]["web"]["deploy"]["replicas"] = json!(1);
    check(
        &bench,
        up(wish(changed)),
        "start   seed.1  (it has ended)
         remove  web.2  (scaled down)
         remove  web.3  (scaled down)
         replace store.1  (image changed)
         replace web.1  (environment changed)",
    );
    let mut forced = wish(hello());
    forced.services = vec!["store".to_owned()];
    forced.force_recreate = forced.spec.services.keys().cloned().collect();
    check(&bench, up(forced.clone()), "replace store.1  (asked for anew)");
    let newer = PutStack { newer_images: forced.force_recreate.clone(), ..forced };
    check(&bench, up(newer), "replace store.1  (its image has a new digest)");
}

#[test]
fn down_in_its_order() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.settle();
    let stack = StackName("hello".into());
    check(
        &bench,
        ChangeKind::RemoveStack { stack, volumes: true, only: None, how: StopHow::default() },
        "remove  web.1  (the stack is removed)
         remove  web.2  (the stack is removed)
         remove  web.3  (the stack is removed)
         remove  seed.1  (the stack is removed)
         remove  store.1  (the stack is removed)
         remove  network hello_default
         remove  volume hello_data",
    );
}

#[test]
fn what_nobody_can_run_says_so() {
    let project = json!({"name": "hello", "services": {
        "web": {"image": "x", "platform": "linux/s390x"},
        "log": {"image": "x", "depends_on": {"web": {"condition": "service_started"}}}
    }});
    check(
        &Bench::with_nodes(1),
        up(wish(project)),
        "create  network hello_default  (10.201.0.0/24)
         create  log.1  (waits for `web` to start)
         create  web.1  (no node fits: 1 of platform linux/amd64)",
    );
}

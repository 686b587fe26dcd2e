//! Where no node fits, and whether waiting helps.

use cluster::NodeId;
use serde_json::json;

use crate::testing::{Bench, one};

#[test]
fn more_replicas_than_nodes_may_have_wait_in_vain() {
    let mut bench = Bench::with_nodes(1);
    let placement = json!({"max_replicas_per_node": 1});
    bench.up(one(json!({"image": "x", "deploy": {"replicas": 2, "placement": placement}}))).unwrap();
    bench.settle();
    assert_eq!(bench.waits(), "web.2: no node fits: 1 with 1 of its tasks already (hopeless)");
    bench.node(2, |_| {});
    bench.settle();
    assert_eq!(bench.waits(), "");
}

#[test]
fn no_node_fits_for_reasons_that_are_told() {
    let mut bench = Bench::with_nodes(0);
    let constrained = |memory: &str| {
        one(json!({"image": "x", "deploy": {
            "placement": {"constraints": ["node.labels.disk==ssd"]},
            "resources": {"reservations": {"memory": memory}}
        }}))
    };
    bench.up(constrained("536870912")).unwrap();
    bench.settle();
    assert_eq!(bench.waits(), "web.1: no node has joined yet");
    bench.node(1, |_| {});
    bench.node(2, |_| {});
    bench.decide();
    assert_eq!(bench.waits(), "web.1: no node fits: 2 without `disk=ssd` (hopeless)");
    bench.node(3, |d| {
        d.labels = [("disk".to_owned(), "ssd".to_owned())].into();
        d.memory_bytes = 64 << 20;
    });
    bench.decide();
    let text = "web.1: no node fits: 2 without `disk=ssd`, 1 has 64 MiB of 512 MiB free (hopeless)";
    assert_eq!(bench.waits(), text);
    bench.up(constrained("1048576")).unwrap();
    bench.settle();
    assert_eq!(bench.waits(), "");
    assert_eq!(bench.task("web", 1).node, NodeId(3));
}

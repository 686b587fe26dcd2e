//! The simulator: the real cores of manager and agents in a world in which things go wrong by chance, and in
//! which the same seed gives the same course. `ORC_SIM_SEED=7` repeats one seed, `ORC_SIM_SEEDS=1000` tries
//! more of them.

mod agents;
mod check;
mod faults;
mod machine;
mod managers;
mod rng;
mod user;
mod world;

use std::collections::BTreeMap;

use world::{Sabotage, World};

const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn all_wishes_are_kept_whatever_goes_wrong() {
    let seeds: Vec<u64> = match number("ORC_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("ORC_SIM_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds.len());
    let failures: Vec<String> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let mine: Vec<u64> = seeds.iter().copied().skip(part).step_by(threads).collect();
                scope.spawn(move || -> Vec<String> {
                    let fails = |seed: u64| {
                        World::new(seed, None).run().err().map(|why| format!("seed {seed}: {why}"))
                    };
                    mine.into_iter().filter_map(fails).collect()
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("no panic in a core")).collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {} worlds (repeat one with ORC_SIM_SEED=N):\n{}",
        failures.len(),
        seeds.len(),
        failures.join("\n")
    );
}

#[test]
fn the_same_seed_gives_the_same_course() {
    for seed in [1, 2, 3] {
        let course = || World::new(seed, None).run();
        assert_eq!(course(), course(), "seed {seed}");
    }
    assert_ne!(World::new(1, None).run(), World::new(2, None).run());
}

#[test]
fn what_can_go_wrong_does_go_wrong() {
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..10 {
        for (what, count) in World::new(seed, None).run().expect("a world that holds").tally {
            *tally.entry(what).or_default() += count;
        }
    }
    assert_eq!(tally.len(), 9, "{tally:?}");
    assert!(tally.values().all(|count| *count > 0), "{tally:?}");
}

#[test]
fn a_broken_gate_is_caught() {
    let caught = World::new(1, Some(Sabotage::OpenGates)).run().expect_err("nobody saw it");
    assert!(caught.contains("started before"), "{caught}");
}

#[test]
fn a_double_address_is_caught() {
    let caught = World::new(1, Some(Sabotage::OneAddress)).run().expect_err("nobody saw it");
    assert!(caught.contains("is used by"), "{caught}");
}

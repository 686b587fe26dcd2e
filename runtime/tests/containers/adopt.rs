//! Engines and shims that die.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use runtime::{Error, FoundState, LogQuery, Runtime};
use rustix::process::Signal;

use crate::support::{Machine, config, exec, output, shims, start, wait_for_line};

/// An engine that ended without a word: its handle is dropped, its tasks with it.
async fn another(machine: &Machine, old: Runtime) -> Runtime {
    drop(old);
    // The tasks that watched shims hold the store's lock until they are gone.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Runtime::open(machine.config.clone()).await {
            Ok(runtime) => return runtime,
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Runs `work` as an engine of its own, whose end takes all of its tasks along, as `kill -9` would.
fn engine<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let value = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(10));
    value
}

#[test]
fn a_new_engine_adopts_what_runs_and_learns_what_ended() {
    let Some(machine) = Machine::new() else { return };
    let first = machine.config.clone();
    let (pid, started) = engine(async move {
        let runtime = Runtime::open(first).await.unwrap();
        let mut keeps = config(&runtime, "keeps", &["stubborn"]).await;
        keeps.labels.insert("task".into(), "web.1".into());
        let pid = start(&runtime, keeps).await;
        start(&runtime, config(&runtime, "ends", &["polite"]).await).await;
        wait_for_line(&runtime, "ends", "ready").await;
        runtime.create(config(&runtime, "waits", &["echo"]).await).await.unwrap();
        let found = runtime.list().await.unwrap();
        (pid, found.into_iter().find(|f| f.config.id == "keeps").unwrap().state)
    });
    assert!(alive(pid));
    // It ends while no engine is there.
    let ends = shims(machine.path()).into_iter().find(|shim| {
        std::fs::read(format!("/proc/{shim}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains("ends"))
    });
    let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", ends.unwrap())).unwrap();
    let child: i32 = child.trim().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(child).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();

    let second = machine.config.clone();
    engine(async move {
        let runtime = Runtime::open(second).await.unwrap();
        assert_eq!(runtime.wait("ends").await.unwrap().code, 3);
        let found = runtime.list().await.unwrap();
        let ids: Vec<_> = found.iter().map(|f| f.config.id.as_str()).collect();
        assert_eq!(ids, ["ends", "keeps", "waits"]);
        assert_eq!((&found[1].state, found[1].config.labels["task"].as_str()), (&started, "web.1"));
        assert_eq!(found[2].state, FoundState::Created);
        assert_eq!(exec(&runtime, "keeps", &["exit", "9"], |_| {}).await.0, 9);
        for id in ["ends", "keeps", "waits"] {
            runtime.remove(id).await.unwrap();
        }
    });
    assert!(!alive(pid));
    machine.assert_clean();
}

#[tokio::test]
async fn a_killed_shim_is_noticed_at_once_and_leaves_nothing_running() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let pid = start(&runtime, config(&runtime, "c", &["exec", "stubborn"]).await).await;
    wait_for_line(&runtime, "c", "stubborn").await;
    let shim = shims(machine.path())[0];
    let begun = Instant::now();
    kill(shim);
    let exit = runtime.wait("c").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!((exit.code, exit.error.unwrap().contains("shim was killed")), (137, true));
    assert!(!alive(pid));
    // It can be started again.
    runtime.start("c").await.unwrap();
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

/// The shim is held up after the death of its container's first process, as by a busy disk.
async fn check_death(runtime: &Runtime, id: &str, first: u32, shim: u32) {
    send(shim, Signal::STOP);
    let early = tokio::time::timeout(Duration::from_millis(50), runtime.dying(id)).await;
    assert!(early.is_err(), "the first process lives: {early:?}");
    let (word, ()) = tokio::join!(runtime.dying(id), async { send(first, Signal::KILL) });
    word.unwrap();
    // Whoever asks after the death is told as well; how it ended is not known yet.
    runtime.dying(id).await.unwrap();
    let found = runtime.list().await.unwrap().into_iter().find(|found| found.config.id == id).unwrap();
    assert!(matches!(found.state, FoundState::Running(_)), "{:?}", found.state);
    send(shim, Signal::CONT);
    assert_eq!(runtime.wait(id).await.unwrap().signal, Some(9));
    runtime.dying(id).await.unwrap();
}

#[test]
fn a_death_is_told_before_the_shim_has_written_it_down_by_any_engine() {
    let Some(machine) = Machine::new() else { return };
    let shim = || shims(machine.path())[0];
    let first = machine.config.clone();
    let adopted = engine(async {
        let runtime = Runtime::open(first).await.unwrap();
        runtime.create(config(&runtime, "started", &["stubborn"]).await).await.unwrap();
        assert!(matches!(runtime.dying("started").await, Err(Error::NotRunning { .. })));
        let pid = runtime.start("started").await.unwrap().pid;
        check_death(&runtime, "started", pid, shim()).await;
        runtime.remove("started").await.unwrap();
        start(&runtime, config(&runtime, "adopted", &["stubborn"]).await).await
    });
    let second = machine.config.clone();
    engine(async {
        let runtime = Runtime::open(second).await.unwrap();
        check_death(&runtime, "adopted", adopted, shim()).await;
        runtime.remove("adopted").await.unwrap();
    });
    machine.assert_clean();
}

#[tokio::test]
async fn a_shim_killed_while_no_engine_was_there_is_found() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let pid = start(&runtime, config(&runtime, "c", &["stubborn"]).await).await;
    let shim = shims(machine.path())[0];
    let state = machine.path().join("data/containers/c/exit.json");
    kill(shim);
    runtime.wait("c").await.unwrap();
    // As if nobody had looked: the record is taken away again, the folders are as a dead engine leaves them.
    std::fs::remove_file(state).unwrap();
    let runtime = another(&machine, runtime).await;
    let found = runtime.list().await.unwrap();
    assert!(matches!(&found[0].state, FoundState::Exited(exit) if exit.code == 137), "{:?}", found[0].state);
    assert!(!alive(pid));
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn halves_of_containers_are_removed_when_an_engine_opens() {
    let Some(machine) = Machine::new() else { return };
    drop(machine.runtime().await);
    for folder in ["data/containers/half", "data/snapshots/half/upper", "run/c/other", "data/containers/torn"]
    {
        std::fs::create_dir_all(machine.path().join(folder)).unwrap();
    }
    std::fs::write(machine.path().join("data/containers/torn/config.json"), "{\"conf").unwrap();
    let group = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let point = group.lines().find(|line| line.contains(" - cgroup")).and_then(|line| line.split(' ').nth(4));
    if let Some(point) = point {
        std::fs::create_dir_all(format!("{point}/orc/{}/lost", machine.config.engine_id)).unwrap();
    }
    let runtime = machine.runtime().await;
    assert!(runtime.list().await.unwrap().is_empty());
    machine.assert_clean();
}

#[test]
fn a_log_read_by_two_engines_has_no_gap_and_no_duplicate() {
    let Some(machine) = Machine::new() else { return };
    let first = machine.config.clone();
    let seen = engine(async move {
        let runtime = Runtime::open(first).await.unwrap();
        let mut lines = config(&runtime, "c", &["lines", "5000"]).await;
        lines.log.max_bytes = 20_000;
        lines.log.files = 100;
        start(&runtime, lines).await;
        let mut stream = runtime.logs("c", LogQuery { follow: true, ..LogQuery::default() });
        let mut last = 0;
        while last < 1000 {
            last = stream.next().await.unwrap().unwrap().seq;
        }
        last
    });
    let second = machine.config.clone();
    engine(async move {
        let runtime = Runtime::open(second).await.unwrap();
        runtime.wait("c").await.unwrap();
        let rest = runtime.logs("c", LogQuery { after_seq: Some(seen), ..LogQuery::default() });
        let numbers: Vec<u64> = rest.map(|line| line.unwrap().seq).collect().await;
        assert_eq!(numbers, (seen + 1..=5000).collect::<Vec<_>>());
        assert!(output(&runtime, "c").await.ends_with("line 5000\n"));
        runtime.remove("c").await.unwrap();
    });
    machine.assert_clean();
}

fn kill(pid: u32) {
    send(pid, Signal::KILL);
}

fn send(pid: u32, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

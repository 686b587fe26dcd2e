//! Create, start, wait, signal, remove, logs; and what is left when something fails.

use futures_util::StreamExt;
use runtime::{Error, FoundState, LogQuery, Mount, MountSource};

use crate::support::{Machine, config, output, run, start, wait_for_line};

#[tokio::test]
async fn a_container_runs_and_tells_how_it_ended() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let (exit, text) = run(&runtime, config(&runtime, "hello", &["echo", "hello", "world"]).await).await;
    assert_eq!((exit.code, exit.signal, exit.oom, exit.error), (0, None, false, None));
    assert_eq!(text, "hello world\n");
    assert!(exit.started_at_ms <= exit.finished_at_ms);
    let (exit, _) = run(&runtime, config(&runtime, "fails", &["exit", "42"]).await).await;
    assert_eq!(exit.code, 42);
    machine.assert_clean();
}

#[tokio::test]
async fn signals_reach_the_first_process_and_are_reported() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    start(&runtime, config(&runtime, "polite", &["polite"]).await).await;
    wait_for_line(&runtime, "polite", "ready").await;
    runtime.signal("polite", 10).await.unwrap();
    wait_for_line(&runtime, "polite", "SIGUSR1").await;
    runtime.signal("polite", 15).await.unwrap();
    assert_eq!(runtime.wait("polite").await.unwrap().code, 3);
    assert!(matches!(runtime.signal("polite", 15).await, Err(Error::NotRunning { .. })));

    start(&runtime, config(&runtime, "stubborn", &["stubborn"]).await).await;
    runtime.signal("stubborn", 9).await.unwrap();
    let exit = runtime.wait("stubborn").await.unwrap();
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
    for id in ["polite", "stubborn"] {
        runtime.remove(id).await.unwrap();
    }
    machine.assert_clean();
}

#[tokio::test]
async fn a_second_start_has_the_same_writable_layer_and_goes_on_in_the_log() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut config = config(&runtime, "again", &["write", "/tmp/kept", "one"]).await;
    start(&runtime, config.clone()).await;
    runtime.wait("again").await.unwrap();
    config.args = ["demo", "cat", "/tmp/kept"].map(str::to_owned).into();
    start(&runtime, config).await;
    assert_eq!(runtime.wait("again").await.unwrap().code, 0);
    // The file has no line feed, so its line ends with the program.
    assert_eq!(output(&runtime, "again").await, "write: ok\none\n");
    runtime.remove("again").await.unwrap();
    runtime.remove("again").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn a_command_that_cannot_run_says_why_and_leaves_nothing() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let check = async |id: &str, args: &[&str], code: i32, words: &str| {
        let mut config = config(&runtime, id, &[]).await;
        config.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        runtime.create(config).await.unwrap();
        let error = runtime.start(id).await.unwrap_err();
        assert_eq!(error.exit_code(), Some(code), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let exit = runtime.wait(id).await.unwrap();
        assert_eq!((exit.code, exit.error), (code, Some(error.to_string())));
        assert!(machine.cgroups().iter().all(|group| !group.join(id).exists()));
        runtime.remove(id).await.unwrap();
    };
    check("missing", &["nonesuch"], 127, "command `nonesuch` is not in the image").await;
    check("path", &["/bin/nonesuch"], 127, "`/bin/nonesuch` is not in the image").await;
    check("data", &["/etc/passwd"], 126, "`/etc/passwd` is not executable").await;
    check("folder", &["/etc"], 126, "`/etc` cannot be executed").await;
    check("nothing", &[], 127, "there is no command").await;
    machine.assert_clean();
}

#[tokio::test]
async fn a_start_that_fails_at_any_step_is_unwound_and_can_be_repeated() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let good = config(&runtime, "step", &["echo", "ran"]).await;
    let absent = MountSource::Bind {
        path: "/nonexistent/x".into(),
        create: false,
        propagation: Default::default(),
        recursive: Default::default(),
    };
    type Change<'a> = &'a dyn Fn(&mut runtime::ContainerConfig);
    let steps: [(&str, Change<'_>); 5] = [
        ("/nonexistent/x", &|c| {
            c.mounts.push(Mount { source: absent.clone(), target: "/x".into(), read_only: false })
        }),
        ("user `who`", &|c| c.user = Some("who".into())),
        ("netns", &|c| c.netns = Some("/nonexistent/netns".into())),
        ("ulimit `nofile`", &|c| {
            c.ulimits.push(runtime::Ulimit { name: "nofile".into(), soft: 1 << 40, hard: 1 << 40 });
        }),
        ("sysctl", &|c| drop(c.sysctls.insert("net.nonesuch".into(), "1".into()))),
    ];
    for (words, change) in steps {
        let mut bad = good.clone();
        change(&mut bad);
        runtime.create(bad).await.unwrap();
        let error = runtime.start("step").await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(
            machine.cgroups().iter().all(|group| !group.join("step").exists()),
            "{words}: a cgroup is left"
        );
        assert!(crate::support::shims(machine.path()).is_empty(), "{words}: a shim is left");
    }
    runtime.create(good).await.unwrap();
    runtime.start("step").await.unwrap();
    assert_eq!(runtime.wait("step").await.unwrap().code, 0);
    runtime.remove("step").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn output_is_followed_while_it_comes_and_ends_with_the_container() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut config = config(&runtime, "lines", &["lines", "20000"]).await;
    config.log = runtime::LogConfig { off: false, max_bytes: 100_000, files: 50, forward: None, of: None };
    runtime.create(config).await.unwrap();
    let mut lines = runtime.logs("lines", LogQuery { follow: true, ..LogQuery::default() });
    runtime.start("lines").await.unwrap();
    for number in 1..=20_000_u64 {
        let line = lines.next().await.unwrap().unwrap();
        assert_eq!((line.seq, line.bytes), (number, format!("line {number}").into_bytes()));
    }
    runtime.wait("lines").await.unwrap();
    runtime.remove("lines").await.unwrap();
    assert!(lines.next().await.is_none());
    machine.assert_clean();
}

#[tokio::test]
async fn a_container_with_an_init_passes_signals_and_codes_on_and_is_reaped() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut with_init = config(&runtime, "init", &["exit", "7"]).await;
    with_init.init = true;
    assert_eq!(run(&runtime, with_init.clone()).await.0.code, 7);

    // Process 1 without a handler ignores SIGTERM; under an init the same program ends from it.
    with_init.args = ["demo", "sleep"].map(str::to_owned).into();
    start(&runtime, with_init.clone()).await;
    wait_for_line(&runtime, "init", "sleeping").await;
    runtime.signal("init", 15).await.unwrap();
    assert_eq!(runtime.wait("init").await.unwrap().code, 143);

    with_init.args = vec!["nonesuch".to_owned()];
    runtime.create(with_init).await.unwrap();
    assert_eq!(runtime.start("init").await.unwrap_err().exit_code(), Some(127));
    runtime.remove("init").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn a_removed_container_is_gone_even_while_it_runs_or_is_paused() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    start(&runtime, config(&runtime, "a", &["stubborn"]).await).await;
    start(&runtime, config(&runtime, "b", &["stubborn"]).await).await;
    runtime.pause("b").await.unwrap();
    runtime.remove("a").await.unwrap();
    runtime.remove("b").await.unwrap();
    assert!(runtime.list().await.unwrap().is_empty());
    machine.assert_clean();
}

#[tokio::test]
async fn creating_twice_changes_nothing_and_a_running_container_is_not_replaced() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let first = config(&runtime, "one", &["stubborn"]).await;
    runtime.create(first.clone()).await.unwrap();
    runtime.create(first.clone()).await.unwrap();
    let started = runtime.start("one").await.unwrap();
    runtime.create(first.clone()).await.unwrap();
    let found = runtime.list().await.unwrap();
    assert_eq!(found[0].state, FoundState::Running(started));
    assert!(matches!(runtime.start("one").await, Err(Error::AlreadyRunning { .. })));
    let other = runtime::ContainerConfig { env: Vec::new(), ..first };
    assert!(matches!(runtime.create(other).await, Err(Error::AlreadyRunning { .. })));
    runtime.remove("one").await.unwrap();
    let unknown =
        runtime::ContainerConfig { id: "two".into(), image: "sha256:0".into(), ..Default::default() };
    assert!(matches!(runtime.create(unknown).await, Err(Error::Image { .. })));
    assert!(matches!(runtime.start("two").await, Err(Error::NotFound { .. })));
    machine.assert_clean();
}

//! Stacks as they may be found, and the chains that are told of them.

use cluster::view::Wait;
use cluster::{Exit, Problem, StackName, StopHow, Version};

use super::*;
use crate::words::tests::{service, task};

const NOW: Timestamp = Timestamp(61_000);

fn stack(services: Vec<(&str, ServiceView)>) -> StackView {
    StackView {
        name: StackName("shop".into()),
        version: Version(1),
        removing: false,
        services: services.into_iter().map(|(name, service)| (name.to_owned(), service)).collect(),
        networks: Default::default(),
        volumes: Default::default(),
        config_files: Vec::new(),
    }
}

/// The chains of `web`, a link a line; `!` stands before what is not well.
fn told(view: &StackView) -> Vec<String> {
    let line = |chain: &Chain, link: &Link| {
        let mark = if link.well { "" } else { "!" };
        format!("{} {mark}{}: {}", chain.task, link.stage, link.text)
    };
    chains(view, "web", NOW)
        .iter()
        .flat_map(|chain| chain.links.iter().map(|link| line(chain, link)))
        .collect()
}

/// What is told of a task of `web` beyond the wish and the schedule.
fn told_of(task: TaskView) -> Vec<String> {
    told(&stack(vec![("web", service(1, vec![task]))])).split_off(2)
}

fn container(state: ContainerState, change: impl FnOnce(&mut ContainerStatus)) -> TaskView {
    let mut view = task(1, Some(state));
    let container = view.task.status.container.as_mut().unwrap();
    container.image = "sha256:0123456789abcdef".into();
    change(container);
    view
}

fn exit(code: i32, error: Option<&str>) -> Option<Exit> {
    Some(Exit {
        code,
        oom: code == 137,
        error: error.map(Into::into),
        unhealthy: false,
        at: Timestamp(59_000),
    })
}

#[test]
fn a_container_is_followed_to_where_it_stands() {
    let image = "web.1 image:  (0123456789ab)";
    let check = |view: TaskView, expect: &[&str]| {
        assert_eq!(told_of(view), [&[image], expect].concat());
    };
    check(container(ContainerState::Running, |_| {}), &["web.1 start: started 1m ago"]);
    let loops = container(ContainerState::Restarting { at: Timestamp(65_000) }, |c| {
        (c.exit, c.restarts) = (exit(137, None), 4);
    });
    check(
        loops,
        &[
            "web.1 start: started 1m ago, restarted 4 times",
            "web.1 !exit: ended by signal 9 (out of memory), 2s ago",
            "web.1 !next: started again in 4s, restarted 4 times",
        ],
    );
    let lost = container(ContainerState::Exited, |c| c.exit = exit(127, Some("`x` is not in the image")));
    check(
        lost,
        &[
            "web.1 !start: `x` is not in the image",
            "web.1 !exit: ended with exit code 127, 2s ago",
            "web.1 !next: its restart policy does not start it again; `orc up` does",
        ],
    );
    let done = container(ContainerState::Exited, |c| c.exit = exit(0, None));
    check(done, &["web.1 start: started 1m ago", "web.1 exit: ended with exit code 0, 2s ago"]);
    let ill = container(ContainerState::Running, |c| {
        c.health = Health::Unhealthy { failing_streak: 3, output: "no route\n".into() };
    });
    check(
        ill,
        &["web.1 start: started 1m ago", "web.1 !health: 3 checks failed in a row, the last said: no route"],
    );
}

#[test]
fn what_cannot_be_prepared_says_when_it_is_tried_again() {
    let mut view = task(1, None);
    view.task.status.problem =
        Some(Problem { message: "cannot pull `x`".into(), retry_at: Some(Timestamp(64_000)) });
    assert_eq!(told_of(view.clone()), ["web.1 !image: cannot pull `x`", "web.1 !next: tried again in 3s"]);
    view.task.status.problem = Some(Problem { message: "cannot pull `x`".into(), retry_at: None });
    assert_eq!(told_of(view)[1], "web.1 !next: trying again cannot help: change the file, then `orc up`");
}

#[test]
fn the_wish_itself_may_be_the_reason() {
    let mut stopped = service(1, Vec::new());
    stopped.run = Run::Stopped(StopHow::default());
    assert_eq!(
        told(&stack(vec![("web", stopped)])),
        ["web !wish: it is to be stopped: `orc start` starts it"]
    );
    assert_eq!(
        told(&stack(vec![("web", service(0, Vec::new()))])),
        ["web !wish: it is to have no replicas: `orc scale` changes that"]
    );
}

#[test]
fn the_chain_leads_through_dependencies() {
    let wait = |reason: &str| Wait { reason: reason.into(), hopeless: false, since: Timestamp(51_000) };
    let mut web = task(1, None);
    web.waits = Some(wait("waits for `db` to be healthy"));
    let mut web = service(1, vec![web]);
    let mut spec = (*web.spec).clone();
    let healthy = compose_spec::Dependency { condition: Condition::Healthy, ..Default::default() };
    spec.compose.depends_on.insert("db".into(), healthy);
    spec.compose.depends_on.insert("log".into(), compose_spec::Dependency::default());
    web.spec = spec.into();
    let mut db = service(2, Vec::new());
    db.pending.insert(2, wait("no node fits"));
    let log = service(1, vec![task(3, Some(ContainerState::Running))]);
    assert_eq!(
        told(&stack(vec![("web", web), ("db", db), ("log", log)])),
        [
            "web.1 wish: it is to run",
            "web.1 schedule: on node 00000001 for 1m",
            "web.1 !dependencies: waits for `db` to be healthy, for 10s",
            "db.2 wish: 2 of it are to run",
            "db.2 !schedule: no node fits, for 10s",
        ]
    );
}

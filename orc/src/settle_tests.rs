//! Services and stacks as they may be found, and what is said of them.

use std::collections::BTreeMap;

use cluster::view::Wait;
use cluster::{Exit, Problem, StackName, StopHow, Version};

use super::*;
use crate::words::tests::{service, task};

const NOW: Timestamp = Timestamp(100_000);

fn exited(id: u64, code: i32, error: Option<&str>) -> TaskView {
    let mut view = task(id, Some(ContainerState::Exited));
    let container = view.task.status.container.as_mut().unwrap();
    container.exit =
        Some(Exit { code, oom: false, error: error.map(Into::into), unhealthy: false, at: Timestamp(0) });
    view
}

/// Between two starts, after an end with code 3.
fn looping(id: u64, restarts: u32) -> TaskView {
    let mut view = exited(id, 3, None);
    let container = view.task.status.container.as_mut().unwrap();
    container.state = ContainerState::Restarting { at: NOW };
    container.restarts = restarts;
    view
}

/// Started so many milliseconds ago.
fn young(id: u64, age_ms: u64, restarts: u32) -> TaskView {
    let mut view = task(id, Some(ContainerState::Running));
    let container = view.task.status.container.as_mut().unwrap();
    container.started_at = Some(Timestamp(NOW.0 - age_ms));
    container.restarts = restarts;
    view
}

fn waiting(id: u64) -> TaskView {
    let mut view = task(id, None);
    view.waits = Some(Wait { reason: "waits for `db`".into(), hopeless: false, since: Timestamp(0) });
    view
}

fn running(id: u64) -> TaskView {
    task(id, Some(ContainerState::Running))
}

#[test]
fn a_service_stands_where_its_worst_task_does() {
    use Goal::{Healthy, Started};
    use Status::{Done, Failed, Working};
    let check = |service: &ServiceView, goal: Goal, status: Status, text: &str, note: &str| {
        let found = progress(service, goal, NOW).step("web");
        assert_eq!((found.status, found.text.as_str(), found.note.as_str()), (status, text, note));
    };
    check(&service(1, vec![running(1)]), Started, Done, "1/1 running", "");
    check(&service(2, vec![running(1)]), Started, Working, "1/2 running", "");
    check(&service(2, vec![running(1), task(2, None)]), Started, Working, "1/2 pending", "");
    check(&service(1, vec![]), Started, Working, "0/1 pending", "");
    check(&service(0, vec![]), Started, Done, "no replicas", "");
    check(&service(1, vec![exited(1, 0, None)]), Healthy, Done, "1/1 completed", "");
    check(&service(1, vec![exited(1, 3, None)]), Started, Failed, "0/1 exited (3)", "");
    check(&service(1, vec![exited(1, 3, None)]), Healthy, Failed, "0/1 exited (3)", "");
    check(&service(1, vec![exited(1, 127, Some("no"))]), Started, Failed, "0/1 exited (127)", "no");
    check(&service(1, vec![looping(1, 0)]), Started, Failed, "0/1 restarting", "exited (3)");
    check(&service(1, vec![looping(1, 1)]), Healthy, Working, "0/1 restarting", "exited (3), restarted once");
    let mut old = running(1);
    old.current = false;
    check(&service(1, vec![old, running(2)]), Started, Working, "1/1 running", "");
    let mut stopped = service(1, vec![exited(1, 0, None)]);
    stopped.run = Run::Stopped(StopHow::default());
    check(&stopped, Started, Failed, "stopped", "somebody else asked for that meanwhile");
}

/// What is told to stop may be on its way to its start: only its agent knows when it rests.
#[test]
fn a_stop_is_done_when_the_agent_says_so() {
    let check =
        |state: Option<ContainerState>, desired: Desired, rests: Option<u64>, expect: (Status, &str)| {
            let mut view = task(1, state);
            (view.task.desired, view.task.generation, view.task.status.rests) = (desired, 2, rests);
            let found = progress(&service(1, vec![view]), Goal::Stopped, NOW).step("web");
            assert_eq!((found.status, found.text.as_str()), expect);
        };
    let (done, open) = ((Status::Done, "stopped"), (Status::Working, "stopping"));
    let (stop, remove) = (Desired::Stop(StopHow::default()), Desired::Remove(StopHow::default()));
    check(Some(ContainerState::Running), Desired::Run, None, open);
    check(Some(ContainerState::Exited), Desired::Run, None, open);
    check(Some(ContainerState::Exited), stop.clone(), None, open);
    check(None, stop.clone(), Some(1), open);
    check(None, stop.clone(), Some(2), done);
    check(Some(ContainerState::Exited), stop.clone(), Some(2), done);
    check(Some(ContainerState::Running), stop, Some(2), open);
    check(Some(ContainerState::Stopping), remove.clone(), None, open);
    check(None, remove, None, done);
}

pub(crate) fn stack(services: Vec<(&str, ServiceView)>) -> StackView {
    StackView {
        name: StackName("shop".into()),
        version: Version(1),
        removing: false,
        services: services.into_iter().map(|(name, service)| (name.to_owned(), service)).collect(),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        config_files: Vec::new(),
    }
}

#[test]
fn what_has_to_complete_is_waited_for_until_it_has() {
    let check = |task: TaskView, expect: Verdict| {
        let view = stack(vec![("job", service(1, vec![task]))]);
        assert_eq!(verdict(&view, &["job".to_owned()].into(), Goal::Completed, NOW), expect);
    };
    check(young(1, limits::STEADY_MS, 0), Verdict::Open { look_again: None });
    check(exited(1, 0, None), Verdict::Reached);
    check(exited(1, 3, None), Verdict::Missed);
    check(looping(1, 1), Verdict::Open { look_again: None });
}

#[test]
fn waiting_believes_what_stays() {
    let check = |task: TaskView, expect: Verdict| {
        let view = stack(vec![("web", service(1, vec![task]))]);
        assert_eq!(verdict(&view, &["web".to_owned()].into(), Goal::Healthy, NOW), expect);
    };
    let open = |ms: u64| Verdict::Open { look_again: Some(NOW.plus_ms(ms)) };
    check(young(1, 400, 0), open(limits::STEADY_MS - 400));
    check(young(1, limits::STEADY_MS, 0), Verdict::Reached);
    check(young(1, limits::STEADY_MS, 1), open(limits::STEADY_MS));
    check(exited(1, 0, None), Verdict::Reached);
    check(exited(1, 5, None), Verdict::Missed);
    check(looping(1, 1), Verdict::Open { look_again: None });
    check(looping(1, limits::LOOP_RESTARTS), Verdict::Missed);
}

#[test]
fn the_verdict_waits_for_whatever_can_still_get_on() {
    let check = |condition: Condition, db: TaskView, web: TaskView, expect: Verdict| {
        let mut dependent = service(1, vec![web]);
        let mut spec = (*dependent.spec).clone();
        let dependency = compose_spec::Dependency { condition, ..compose_spec::Dependency::default() };
        spec.compose.depends_on.insert("db".into(), dependency);
        dependent.spec = spec.into();
        let view = stack(vec![("db", service(1, vec![db])), ("web", dependent)]);
        let names = ["db".to_owned(), "web".to_owned()].into();
        assert_eq!(verdict(&view, &names, Goal::Started, NOW), expect);
    };
    let broken = |id| {
        let mut view = task(id, None);
        view.task.status.problem = Some(Problem { message: "cannot pull".into(), retry_at: None });
        view
    };
    const OPEN: Verdict = Verdict::Open { look_again: None };
    check(Condition::Started, running(1), running(2), Verdict::Reached);
    check(Condition::Started, running(1), task(2, None), OPEN);
    check(Condition::Started, running(1), waiting(2), OPEN);
    check(Condition::Started, broken(1), task(2, None), OPEN);
    check(Condition::Started, broken(1), waiting(2), Verdict::Missed);
    check(Condition::Started, broken(1), running(2), Verdict::Missed);
    check(Condition::CompletedSuccessfully, looping(1, 1), waiting(2), OPEN);
    check(Condition::CompletedSuccessfully, looping(1, limits::LOOP_RESTARTS), waiting(2), Verdict::Missed);
}

#[test]
fn what_somebody_else_removed_is_not_waited_for() {
    let check = |goal: Goal, expect: Verdict| {
        let names = ["web".to_owned()].into();
        assert_eq!(verdict(&stack(vec![]), &names, goal, NOW), expect);
    };
    check(Goal::Started, Verdict::Missed);
    check(Goal::Stopped, Verdict::Reached);
}

#[test]
fn an_update_decides_what_its_failures_mean() {
    use Status::{Failed, Working};
    let check = |update: Option<UpdateState>, status: Status, text: &str, note: &str| {
        let mut service = service(1, vec![exited(1, 127, Some("no"))]);
        service.update = update;
        let found = progress(&service, Goal::Started, NOW).step("web");
        assert_eq!((found.status, found.text.as_str(), found.note.as_str()), (status, text, note));
    };
    let why = || "why".to_owned();
    check(None, Failed, "0/1 exited (127)", "no");
    check(Some(UpdateState::Running), Working, "0/1 exited (127)", "no");
    check(Some(UpdateState::RollingBack(why())), Working, "rolling back 0/1 exited (127)", "why");
    check(Some(UpdateState::RolledBack(why())), Failed, "rolled back", "why");
    check(Some(UpdateState::Paused(why())), Failed, "update paused", "why");

    // That other slots wait for their turn changes nothing; that one waits in vain does.
    for (hopeless, expect) in [(false, Working), (true, Failed)] {
        let mut service = service(2, vec![exited(1, 127, Some("no"))]);
        service.update = Some(UpdateState::Running);
        service.pending = [(2, Wait { reason: "waits".into(), hopeless, since: Timestamp(0) })].into();
        assert_eq!(progress(&service, Goal::Started, NOW).step("web").status, expect);
    }

    // One that is on its way is waited for, although another will not come.
    for (task, expect) in [(task(1, None), (Working, "0/2 pending")), (running(1), (Failed, "1/2 running"))] {
        let mut service = service(2, vec![task]);
        service.pending = [(2, Wait { reason: "full".into(), hopeless: true, since: Timestamp(0) })].into();
        let found = progress(&service, Goal::Started, NOW).step("web");
        assert_eq!((found.status, found.text.as_str(), found.note.as_str()), (expect.0, expect.1, "full"));
    }

    let mut old = waiting(1);
    (old.current, old.waits) = (false, old.waits.map(|wait| Wait { hopeless: true, ..wait }));
    let found = progress(&service(1, vec![old]), Goal::Started, NOW).step("web");
    assert_eq!((found.status, found.note.as_str()), (Failed, "waits for `db`"));
}

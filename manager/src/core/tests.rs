//! Wishes in, outputs out, as text; crashes; and groups of three.

use cluster::{FileDigests, NodeDescription, NodeId, PutStack, ServiceKey, StackName, StackSpec, TaskStatus};

use super::*;

/// A stack of one service, which needs no network.
fn wish(stack: &str, image: &str) -> PutStack {
    let service = serde_json::json!({"image": image, "network_mode": "none"});
    let project = serde_json::json!({"name": stack, "services": {"web": service}});
    let project = serde_json::from_value(project).expect("a project");
    PutStack::new(StackSpec::from_project(&project, &FileDigests::default()).expect("a wish"))
}

fn put(stack: &str, image: &str) -> ChangeKind {
    ChangeKind::PutStack(Box::new(wish(stack, image)))
}

/// A manager with a disk that writes when the test says so.
struct Bench {
    core: ManagerCore,
    disk: Stored,
    writing: Vec<Persist>,
    now: Timestamp,
    /// The answers that were given.
    replies: Vec<(RequestId, Result<Applied, Failure>)>,
}

impl Bench {
    fn new() -> Self {
        Self::on(Stored::first(&[1]))
    }

    /// A manager that leads.
    fn on(disk: Stored) -> Self {
        let core = ManagerCore::new(1, 7, &disk).unwrap();
        let mut bench = Self { core, disk, writing: Vec::new(), now: Timestamp(1_000), replies: Vec::new() };
        let outputs = bench.core.start(bench.now);
        bench.take(outputs);
        bench.settle();
        assert!(bench.core.leads());
        bench
    }

    /// The manager dies; what was not written is lost.
    fn crash(self) -> Self {
        Self::on(self.disk)
    }

    fn step(&mut self, input: Input) -> Vec<String> {
        let outputs = self.core.step(input, self.now);
        self.take(outputs)
    }

    fn take(&mut self, outputs: Vec<Output>) -> Vec<String> {
        let lines = outputs.iter().map(line).collect();
        for output in outputs {
            match output {
                Output::Persist(persist) => self.writing.push(persist),
                Output::Reply { id, result } => self.replies.push((id, result)),
                _ => {}
            }
        }
        lines
    }

    fn request(&mut self, id: u64, kind: ChangeKind) -> Vec<String> {
        self.step(Input::Request { id: RequestId(id), kind })
    }

    /// The disk has written what it was given first.
    fn write(&mut self) -> Vec<String> {
        let persist = self.writing.remove(0);
        let sequence = persist.sequence;
        self.disk.absorb(persist);
        self.step(Input::Persisted(sequence))
    }

    /// Until nothing is left to write.
    fn settle(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while !self.writing.is_empty() {
            lines.extend(self.write());
        }
        lines
    }

    fn open(&mut self, session: u64) {
        self.step(Input::SessionOpened { session: SessionId(session), node: NodeId(1) });
        let description = Some(NodeDescription { os: "linux".into(), ..NodeDescription::default() });
        self.report(session, Report { sequence: 1, description, ..Report::default() });
        self.settle();
    }

    fn report(&mut self, session: u64, report: Report) -> Vec<String> {
        self.step(Input::Report { session: SessionId(session), report })
    }
}

fn line(output: &Output) -> String {
    match output {
        Output::Persist(persist) => {
            let changes =
                |entry| changes_of(entry).unwrap().iter().map(|change| kind(&change.kind)).collect();
            let entries: Vec<Vec<String>> = persist.entries.iter().map(changes).collect();
            let snapshot = if persist.snapshot.is_some() { " snapshot" } else { "" };
            format!("persist{snapshot} {}", entries.iter().map(|e| e.join("+")).collect::<Vec<_>>().join(" "))
        }
        Output::Send(message) => format!("send to {}", message.to()),
        Output::Reply { id, result: Ok(applied) } => format!("reply {} changed={}", id.0, applied.changed),
        Output::Reply { id, result: Err(Failure::Refused(Refusal::Stale { .. })) } => {
            format!("reply {} stale", id.0)
        }
        Output::Reply { id, result: Err(failure) } => format!("reply {} {failure:?}", id.0),
        Output::Assign { session, work } => {
            let complete = work.complete.iter().map(|all| format!(" complete of {}", all.tasks.len()));
            let delta = work.delta.iter().map(|delta| format!(" delta of {}", delta.tasks.len()));
            let parts: String = complete.chain(delta).collect();
            format!("assign {}{parts} ack {}", session.0, work.acknowledged)
        }
        Output::EndSession(session) => format!("end session {}", session.0),
        Output::Publish(news) => format!("publish {} events, {} waits", news.events.len(), news.waits.len()),
        Output::WakeAt(at) => format!("wake {:?}", at.map(|at| at.0)),
        Output::Stop(why) => format!("stop: {why}"),
    }
}

/// The variant's name.
fn kind(kind: &ChangeKind) -> String {
    let text = format!("{kind:?}");
    text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}

fn check(got: &[String], expect: &[&str]) {
    assert_eq!(got, expect);
}

#[test]
fn a_group_of_one_leads_after_one_write() {
    let stored = Stored::first(&[1]);
    let mut core = ManagerCore::new(1, 7, &stored).unwrap();
    let outputs: Vec<String> = core.start(Timestamp(1)).iter().map(line).collect();
    check(&outputs, &["persist "]);
    assert!(!core.leads(), "the entry with which it begins is not durable yet");
    assert!(
        core.step(Input::Persisted(1), Timestamp(2)).is_empty(),
        "and then there is nothing to do or to wait for"
    );
    assert!(core.leads() && !core.wants_ticks());
}

#[test]
fn a_wish_is_answered_when_it_is_durable_and_taken_over() {
    let mut bench = Bench::new();
    bench.open(1);
    check(&bench.request(1, put("shop", "a")), &["persist PutStack"]);
    check(
        &bench.write(),
        // What follows from it is decided in the same step.
        &["reply 1 changed=true", "publish 2 events, 0 waits", "persist CreateTask"],
    );
    assert_eq!(bench.core.state().tasks.len(), 0);
    let lines = bench.settle();
    assert!(lines.contains(&"assign 1 delta of 1 ack 1".to_owned()), "{lines:?}");
    check(&bench.request(2, put("shop", "a")), &["persist PutStack"]);
    assert_eq!(bench.settle()[0], "reply 2 changed=false");
}

#[test]
fn what_comes_while_an_entry_is_written_goes_into_the_next() {
    let mut bench = Bench::new();
    check(&bench.request(1, put("a", "x")), &["persist PutStack"]);
    for id in 2..=4 {
        check(&bench.request(id, put(&format!("s{id}"), "x")), &[]);
    }
    let lines = bench.write();
    assert!(lines.contains(&"persist PutStack+PutStack+PutStack".to_owned()), "{lines:?}");
    bench.settle();
    assert_eq!(bench.replies.len(), 4);
    assert_eq!(bench.core.state().stacks.len(), 4);
}

#[test]
fn a_stale_wish_is_refused_and_its_neighbours_are_not() {
    let mut bench = Bench::new();
    bench.request(1, put("shop", "a"));
    bench.settle();
    let seen = bench.core.state().stacks[&StackName("shop".into())].version;
    let on_seen = |image| {
        let put = PutStack { expected: Some(seen), ..wish("shop", image) };
        ChangeKind::PutStack(Box::new(put))
    };
    bench.request(2, on_seen("b"));
    bench.request(3, on_seen("c"));
    bench.request(4, put("other", "a"));
    bench.settle();
    let replies: Vec<bool> = bench.replies.iter().map(|(_, result)| result.is_ok()).collect();
    assert_eq!(replies, [true, true, false, true]);
    assert!(matches!(bench.replies[2].1, Err(Failure::Refused(Refusal::Stale { .. }))));
    let web = ServiceKey::new(&StackName("shop".into()), "web");
    let image = bench.core.state().service(&web).unwrap().spec.compose.image.clone();
    assert_eq!(image.as_deref(), Some("b"));
}

#[test]
fn a_crash_keeps_what_was_answered_and_nothing_half() {
    let mut bench = Bench::new();
    bench.request(1, put("kept", "a"));
    bench.settle();
    let state = bench.core.state().clone();
    bench.request(2, put("lost", "a"));
    assert_eq!(bench.replies.len(), 1, "a wish that is not durable is not answered");
    let bench = bench.crash();
    assert_eq!(bench.core.state(), &state);
}

#[test]
fn reports_are_acknowledged_when_durable_and_not_echoed() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.request(1, put("shop", "a"));
    bench.settle();
    let task = *bench.core.state().tasks.keys().next().unwrap();
    let status = TaskStatus { phase: cluster::Phase::Preparing, ..TaskStatus::default() };
    let report = Report { sequence: 2, statuses: vec![(task, status.clone())], ..Report::default() };
    check(&bench.report(1, report), &["persist Report"]);
    check(&bench.write(), &["publish 1 events, 0 waits", "assign 1 ack 2"]);
    assert_eq!(bench.core.state().tasks[&task].status, status);
    // An agent that lost count gets everything, with nothing to write for it.
    let resync = Report { sequence: 3, resync: true, ..Report::default() };
    check(&bench.report(1, resync), &["assign 1 complete of 1 ack 3"]);
    // A new session ends the old one.
    let outputs = bench.step(Input::SessionOpened { session: SessionId(2), node: NodeId(1) });
    check(&outputs, &["end session 1", "assign 2 complete of 1 ack 0"]);
    check(&bench.report(1, Report { sequence: 4, resync: true, ..Report::default() }), &[]);
}

#[test]
fn a_node_without_session_counts_as_down_after_a_while() {
    let mut bench = Bench::new();
    bench.open(1);
    check(&bench.step(Input::SessionClosed { session: SessionId(1) }), &["wake Some(16000)"]);
    bench.now = Timestamp(15_999);
    check(&bench.step(Input::Wake), &[]);
    bench.now = Timestamp(16_000);
    let lines = bench.step(Input::Wake);
    assert_eq!(lines[0], "persist NodeDown");
    bench.settle();
    let down = cluster::NodeState::Down { since: Timestamp(16_000) };
    assert_eq!(bench.core.state().nodes[&NodeId(1)].state, down);
    bench.open(2);
    assert_eq!(bench.core.state().nodes[&NodeId(1)].state, cluster::NodeState::Ready);
    // A manager that starts gives its nodes as much time as one that saw them go.
    let bench = bench.crash();
    assert_eq!(bench.core.wake_at, Some(bench.now.plus_ms(15_000)));
}

#[test]
fn a_long_log_becomes_a_snapshot() {
    let mut bench = Bench::new();
    bench.request(0, put("shop", "a"));
    bench.settle();
    let mut snapshots = 0;
    for id in 1..=SNAPSHOT_AFTER_ENTRIES {
        bench.request(id, ChangeKind::Scale { replicas: [].into() });
        snapshots += bench.settle().iter().filter(|line| line.starts_with("persist snapshot")).count();
    }
    assert_eq!(snapshots, 1);
    assert!((bench.disk.entries.len() as u64) < SNAPSHOT_AFTER_ENTRIES / 2);
    let state = bench.core.state().clone();
    assert_eq!(bench.crash().core.state(), &state);
}

#[test]
fn what_cannot_be_read_stops_the_manager() {
    let mut disk = Stored::first(&[1]);
    disk.entries.push(LogEntry { index: 2, term: 1, data: b"[{]".to_vec() });
    let mut core = ManagerCore::new(1, 7, &disk).unwrap();
    core.start(Timestamp(1));
    let lines: Vec<String> = core.step(Input::Persisted(1), Timestamp(2)).iter().map(line).collect();
    assert!(lines.last().unwrap().starts_with("stop: cannot read entry 2 of the log"), "{lines:?}");
    assert!(core.step(Input::Wake, Timestamp(3)).is_empty());
    disk.snapshot.state = b"{}".to_vec();
    assert!(matches!(ManagerCore::new(1, 7, &disk), Err(StartError::State(_))));
}

/// Managers whose messages arrive at once, unless one is cut off.
struct Group3 {
    benches: Vec<Bench>,
    cut: Option<usize>,
    trace: Vec<String>,
}

impl Group3 {
    fn new(seed: u64) -> Self {
        let benches = (1..=3)
            .map(|id| {
                let disk = Stored::first(&[1, 2, 3]);
                let core = ManagerCore::new(id, seed + id, &disk).unwrap();
                Bench { core, disk, writing: Vec::new(), now: Timestamp(1_000), replies: Vec::new() }
            })
            .collect();
        let mut group = Self { benches, cut: None, trace: Vec::new() };
        for at in 0..3 {
            let outputs = group.benches[at].core.start(Timestamp(1_000));
            group.deliver(at, outputs);
        }
        group
    }

    fn deliver(&mut self, from: usize, outputs: Vec<Output>) {
        let messages: Vec<PeerMessage> = outputs
            .iter()
            .filter_map(|o| if let Output::Send(m) = o { Some(m.clone()) } else { None })
            .collect();
        let lines = self.benches[from].take(outputs);
        self.trace.extend(lines.into_iter().map(|line| format!("{from}: {line}")));
        while !self.benches[from].writing.is_empty() {
            let persist = self.benches[from].writing.remove(0);
            let sequence = persist.sequence;
            self.benches[from].disk.absorb(persist);
            self.input(from, Input::Persisted(sequence));
        }
        for message in messages {
            let to = usize::try_from(message.to()).unwrap() - 1;
            if self.cut != Some(from) && self.cut != Some(to) {
                self.input(to, Input::Peer(message));
            }
        }
    }

    fn input(&mut self, at: usize, input: Input) {
        let now = self.benches[at].now;
        let outputs = self.benches[at].core.step(input, now);
        self.deliver(at, outputs);
    }

    fn tick(&mut self, times: usize) {
        for _ in 0..times {
            for at in 0..3 {
                self.benches[at].now = self.benches[at].now.plus_ms(100);
                self.input(at, Input::Tick);
            }
        }
    }

    /// The one leader among those that are not cut off.
    fn leader(&self) -> usize {
        let leaders: Vec<usize> =
            (0..3).filter(|at| self.cut != Some(*at) && self.benches[*at].core.leads()).collect();
        assert_eq!(leaders.len(), 1, "leaders: {leaders:?}");
        leaders[0]
    }

    fn wish(&mut self, id: u64, stack: &str) -> bool {
        let leader = self.leader();
        self.input(leader, Input::Request { id: RequestId(id), kind: put(stack, "a") });
        self.benches[leader].replies.iter().any(|(reply, result)| reply.0 == id && result.is_ok())
    }
}

#[test]
fn three_managers_agree_and_survive_one() {
    for seed in 0..20 {
        let mut group = Group3::new(seed);
        group.tick(50);
        assert!(group.benches[0].core.wants_ticks());
        assert!(group.wish(1, "first"));
        let first = group.leader();
        group.cut = Some(first);
        group.tick(80);
        assert_ne!(group.leader(), first);
        assert!(!group.benches[first].core.leads(), "a leader without its group steps back");
        for id in 0..SNAPSHOT_AFTER_ENTRIES {
            assert!(group.wish(10 + id, &format!("s{}", id % 3)));
            if seed > 0 {
                // Once is enough to leave the lost one behind the log.
                break;
            }
        }
        group.cut = None;
        group.tick(80);
        let states: Vec<&State> = group.benches.iter().map(|bench| bench.core.state()).collect();
        assert!(states[0] == states[1] && states[1] == states[2], "seed {seed}: they differ");
        assert!(states[0].stacks.contains_key(&StackName("first".into())));
        let behind = group.benches[first].disk.snapshot.index;
        assert_eq!(behind > 1, seed == 0, "a snapshot reaches who is too far behind, and only then");
    }
}

#[test]
fn the_same_seed_takes_the_same_course() {
    let course = |seed| {
        let mut group = Group3::new(seed);
        group.tick(40);
        group.wish(1, "shop");
        group.cut = Some(group.leader());
        group.tick(60);
        group.trace
    };
    assert_eq!(course(3), course(3));
}

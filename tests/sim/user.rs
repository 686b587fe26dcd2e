//! A user who wishes for this and that, and remembers what was promised.

use std::collections::BTreeMap;

use cluster::compose_spec::{
    Condition, Dependency, Deploy, Duration, Healthcheck, Mount, MountKind, Port, Project, Service,
    UpdateConfig, Volume,
};
use cluster::{
    ChangeKind, FileDigests, PutStack, Refusal, RunAction, ServiceKey, StackName, StackSpec, StopHow, Version,
};
use manager::core::{Applied, Failure, RequestId};

use crate::rng::Rng;

pub(crate) const STACKS: [&str; 2] = ["shop", "blog"];

/// What a user wants of a stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    Up { web: u32, image: u8, force: bool, expected: Option<Version> },
    Down { volumes: bool },
    Scale { web: u32 },
    Restart,
    Stop,
    Start,
}

/// A wish that was sent, until its answer.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: RequestId,
    pub(crate) stack: usize,
    pub(crate) wish: Wish,
}

#[derive(Default)]
pub(crate) struct User {
    requests: u64,
    pub(crate) sent: Option<Sent>,
    /// The newest version that a manager promised.
    pub(crate) promised: Version,
    /// For each stack: the versions at which promised wishes changed it.
    changes: BTreeMap<usize, Vec<Version>>,
    /// How many wishes were refused because the user had looked at something old.
    pub(crate) stale: usize,
    /// What each stack should be like, once it was promised.
    pub(crate) settled: BTreeMap<usize, Wish>,
}

impl User {
    /// Thinks of something.
    pub(crate) fn think(&mut self, rng: &mut Rng) -> (usize, Wish) {
        let stack = rng.index(STACKS.len());
        let versions = self.changes.get(&stack).map_or(&[][..], Vec::as_slice);
        let expected = match versions {
            [] => None,
            // Sometimes the user looked at something old.
            all => rng.percent(30).then(|| all[rng.index(all.len())]),
        };
        let web = u32::try_from(rng.range(1, 5)).expect("small");
        let wish = match rng.range(0, 12) {
            0..=5 => {
                let image = u8::try_from(rng.range(0, 3)).expect("small");
                Wish::Up { web, image, force: rng.percent(10), expected }
            }
            6 => Wish::Down { volumes: rng.percent(50) },
            7 | 8 => Wish::Scale { web },
            9 => Wish::Restart,
            10 => Wish::Stop,
            _ => Wish::Start,
        };
        (stack, wish)
    }

    /// States a wish.
    pub(crate) fn send(&mut self, stack: usize, wish: Wish) -> (RequestId, ChangeKind) {
        self.requests += 1;
        let id = RequestId(self.requests);
        let kind = change(stack, &wish);
        self.sent = Some(Sent { id, stack, wish });
        (id, kind)
    }

    /// Takes an answer; says what is wrong with it, if something is.
    pub(crate) fn answered(
        &mut self,
        id: RequestId,
        result: &Result<Applied, Failure>,
    ) -> Result<(), String> {
        let Some(sent) = self.sent.take_if(|sent| sent.id == id) else { return Ok(()) };
        if matches!(result, Err(Failure::Refused(Refusal::Stale { .. }))) {
            self.stale += 1;
        }
        let Ok(applied) = result else { return Ok(()) };
        self.promised = self.promised.max(applied.version);
        let changes = self.changes.entry(sent.stack).or_default();
        if let Wish::Up { expected: Some(expected), .. } = sent.wish
            && let Some(newer) =
                changes.iter().find(|version| **version > expected && **version < applied.version)
        {
            return Err(format!(
                "a wish that expected version {expected} was granted, though version {newer} had been promised"
            ));
        }
        // Only these two change the version of a stack as a user sees it.
        if applied.changed && matches!(sent.wish, Wish::Up { .. } | Wish::Down { .. }) {
            changes.push(applied.version);
        }
        if matches!(sent.wish, Wish::Up { .. } | Wish::Down { .. }) {
            self.settled.insert(sent.stack, sent.wish);
        }
        Ok(())
    }
}

fn change(stack: usize, wish: &Wish) -> ChangeKind {
    let name = StackName(STACKS[stack].to_owned());
    let web_key = ServiceKey::new(&name, "web");
    let how = StopHow::default();
    match wish {
        Wish::Up { web, image, force, expected } => {
            let spec = StackSpec::from_project(&project(stack, *web, *image), &FileDigests::default());
            let spec = spec.expect("a project that makes sense");
            let forced = spec.services.keys().filter(|_| *force).cloned().collect();
            let put = PutStack { force_recreate: forced, expected: *expected, ..PutStack::new(spec) };
            ChangeKind::PutStack(Box::new(put))
        }
        Wish::Down { volumes } => ChangeKind::RemoveStack { stack: name, volumes: *volumes, only: None, how },
        Wish::Scale { web } => ChangeKind::Scale { replicas: [(web_key, *web)].into() },
        Wish::Restart => ChangeKind::SetRun { services: vec![web_key], action: RunAction::Restart(how) },
        Wish::Stop => ChangeKind::SetRun { services: all(&name), action: RunAction::Stop(how) },
        Wish::Start => ChangeKind::SetRun { services: all(&name), action: RunAction::Start },
    }
}

fn all(stack: &StackName) -> Vec<ServiceKey> {
    ["seed", "store", "web"].map(|service| ServiceKey::new(stack, service)).into()
}

/// A store with a volume and a health check, a job that fills it, and servers that wait for both.
fn project(stack: usize, web: u32, image: u8) -> Project {
    let mut project = Project { name: STACKS[stack].to_owned(), ..Project::default() };
    let always = Some("always".to_owned());
    let healthcheck = Healthcheck {
        test: vec!["CMD".to_owned(), "check".to_owned()],
        interval: Some(Duration::from_secs(1)),
        retries: Some(3),
        ..Healthcheck::default()
    };
    let depends =
        |name: &str, condition| (name.to_owned(), Dependency { condition, restart: false, required: true });
    let store = Service {
        image: Some("store".to_owned()),
        restart: always.clone(),
        healthcheck: Some(healthcheck),
        volumes: vec![volume_mount()],
        ..Service::default()
    };
    let seed = Service {
        image: Some("job".to_owned()),
        restart: Some("on-failure".to_owned()),
        depends_on: [depends("store", Condition::Healthy)].into(),
        ..Service::default()
    };
    let web = Service {
        image: Some(format!("web:{image}")),
        scale: Some(web),
        restart: always,
        ports: vec![Port {
            target: 80,
            published: (stack == 0).then(|| "8080".to_owned()),
            ..Port::default()
        }],
        depends_on: [depends("seed", Condition::CompletedSuccessfully), depends("store", Condition::Healthy)]
            .into(),
        deploy: Some(Box::new(Deploy { update_config: Some(update_config(stack)), ..Deploy::default() })),
        ..Service::default()
    };
    for (name, service) in [("store", store), ("seed", seed), ("web", web)] {
        project.services.insert(name.to_owned(), Box::new(service));
    }
    project.volumes.insert("data".to_owned(), Volume::default());
    project
}

/// One at a time: in the first stack the new one starts first, in the second the old one stops first. Wishes are
/// to be fulfilled in spite of all faults, so none of them ends an update.
fn update_config(stack: usize) -> UpdateConfig {
    UpdateConfig {
        order: Some(if stack == 0 { "start-first" } else { "stop-first" }.to_owned()),
        failure_action: Some("continue".to_owned()),
        monitor: Some(Duration::from_secs(1)),
        delay: (stack == 1).then(|| Duration::from_secs(1)),
        ..UpdateConfig::default()
    }
}

fn volume_mount() -> Mount {
    Mount {
        kind: MountKind::Volume,
        source: Some("data".to_owned()),
        target: "/data".to_owned(),
        read_only: false,
        consistency: None,
        bind: None,
        volume: None,
        tmpfs: None,
        image: None,
    }
}

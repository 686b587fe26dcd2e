//! The way to a container that can be started: image, contents, volumes, namespace, interfaces, names, the
//! container itself.

use ::core::net::IpAddr;
use cluster::{Phase, Problem, Task, VolumeName};
use runtime::volume::VolumeDevice;

use super::action::{Action, ActionId};
use super::record::Origin;
use super::shared::{Shared, Trouble};
use super::task::{Container, Machine, Step, Todo, Wiring, World};
use super::translate::{self, Devices, Parts, Volumes};
use crate::limits::SLOW_ACTION_MS;

/// The number of the first projection.
const FIRST: u64 = 1;

impl Machine {
    /// Everything up to the container, and what a container from an earlier boot has lost.
    pub(super) fn prepare(&mut self, world: &World<'_>) -> Todo {
        let Some(task) = self.task.clone() else { return Ok(()) };
        if self.container == Container::Absent {
            self.phase = self.phase.max(Phase::Preparing);
            self.gather(&task, world)?;
        }
        self.wire(world)?;
        if self.container == Container::Absent {
            return self.create(&task, world);
        }
        self.share_anew(world);
        self.refresh(&task, world)
    }

    /// Image, origin, contents and volumes.
    fn gather(&mut self, task: &Task, world: &World<'_>) -> Todo {
        let Some((image, config)) = self.image.clone() else {
            let (reference, policy) = self.or_trouble(translate::image_of(task))?;
            return Err(Some((Step::Pull, Action::PullImage { reference, policy })));
        };
        if self.origin.is_none() {
            let origin = translate::origin(task, &image, &config);
            let origin = self.or_trouble(origin)?;
            self.record.generation = origin.generation;
            self.answered = origin.generation;
            self.origin = Some(origin);
        }
        let mut mounted = translate::mounted_images(task);
        if let Some(reference) = mounted.find(|reference| !self.mounted_images.contains_key(*reference)) {
            let reference = reference.to_owned();
            let policy = self.or_trouble(translate::pull_policy(task))?;
            return Err(Some((
                Step::PullMounted(reference.clone()),
                Action::PullImage { reference, policy },
            )));
        }
        self.fetch(task)?;
        let mut own = self.origin.iter().flat_map(|origin| &origin.anonymous);
        if let Some((target, name)) = own.find(|(_, name)| !self.own_volumes.contains_key(*name)) {
            let (step, labels) = (Step::OwnVolume(name.clone()), translate::volume_labels(task, target));
            return Err(Some((step, Action::EnsureVolume(name.clone(), labels))));
        }
        let named: Vec<_> = self.origin.iter().flat_map(|origin| origin.volumes.clone()).collect();
        self.wait_for(named.iter().map(|name| world.volumes.get(name)))
    }

    fn fetch(&mut self, task: &Task) -> Todo {
        let missing = task.spec.files.iter().find(|file| !self.blobs.contains_key(&file.digest));
        match missing.map(|file| file.digest.clone()) {
            None => Ok(()),
            Some(digest) => Err(Some((Step::Fetch(digest.clone()), Action::FetchBlob { digest }))),
        }
    }

    /// The namespace with its interfaces and its DNS. All of it may be asked for twice, so what an earlier
    /// run of the agent left is simply asked for again.
    pub(super) fn wire(&mut self, world: &World<'_>) -> Todo {
        let Some(task) = &self.task else { return Ok(()) };
        let isolated = translate::is_isolated(task);
        if task.endpoints.is_empty() && !isolated {
            return Ok(());
        }
        match &self.wiring {
            Wiring::Absent | Wiring::Left => Err(Some((Step::Netns, Action::CreateNetns(self.id)))),
            Wiring::Made(_) if isolated => Ok(()),
            Wiring::Made(_) => {
                let networks = translate::networks(task);
                let endpoints = translate::endpoints(task);
                let endpoints = self.or_trouble(endpoints)?;
                self.wait_for(networks.iter().map(|name| world.networks.get(name)))?;
                Err(Some((Step::Attach, Action::Attach(self.id, endpoints))))
            }
            // A server that knows no names yet would deny them.
            Wiring::Attached(_) if world.next_projection == FIRST => Err(None),
            Wiring::Attached(_) => Err(Some((Step::Dns, Action::ServeDns(self.id)))),
            Wiring::Served(_) => Ok(()),
        }
    }

    fn create(&mut self, task: &Task, world: &World<'_>) -> Todo {
        let (Some((_, config)), Some(origin)) = (&self.image, &self.origin) else { return Err(None) };
        let volumes = self.all_volumes(world);
        let devices = devices(origin, world);
        let parts = Parts {
            image: config,
            netns: match &self.wiring {
                Wiring::Served(path) => Some(path),
                Wiring::Made(path) if translate::is_isolated(task) => Some(path),
                _ => None,
            },
            volumes: &volumes,
            devices: &devices,
            images: &self.mounted_images,
            blobs: &self.blobs,
            gateway: gateway(task, world),
        };
        let config = translate::container(task, origin, parts);
        let config = self.or_trouble(config)?;
        let config = self.share(config, world).ok_or(None)?;
        Err(Some((Step::Create, Action::CreateContainer(Box::new(config)))))
    }

    /// Files that only memory held are given anew to a container from an earlier boot.
    fn refresh(&mut self, task: &Task, world: &World<'_>) -> Todo {
        let Some(mut config) = self.stale.clone() else { return Ok(()) };
        self.fetch(task)?;
        let files = translate::files(task, &self.blobs, gateway(task, world));
        config.files = self.or_trouble(files)?;
        Err(Some((Step::Refresh, Action::CreateContainer(config))))
    }

    fn all_volumes(&self, world: &World<'_>) -> Volumes {
        let mut all = self.own_volumes.clone();
        for name in self.origin.iter().flat_map(|origin| &origin.volumes) {
            if let Some(path) = world.volumes.get(name).and_then(Shared::ready) {
                all.insert(name.0.clone(), path.clone());
            }
        }
        all
    }

    /// Waits until all of these are ready; the first problem among them is the task's.
    fn wait_for<'s, T: 's>(&mut self, things: impl Iterator<Item = Option<&'s Shared<T>>>) -> Todo {
        let mut ready = true;
        for thing in things {
            if thing.and_then(Shared::ready).is_none() {
                ready = false;
                self.blocked = self.blocked.take().or_else(|| thing.and_then(Shared::problem));
            }
        }
        if ready { Ok(()) } else { Err(None) }
    }

    /// What cannot be honoured stays so until the wish changes.
    pub(super) fn or_trouble<T>(&mut self, result: Result<T, String>) -> Result<T, Option<(Step, Action)>> {
        result.map_err(|message| {
            self.trouble = Some(Trouble::lasting(message));
            None
        })
    }

    /// The action takes longer than it should.
    pub(crate) fn takes_long(&mut self, id: ActionId) {
        self.slow |= self.doing.as_ref().is_some_and(|(doing, _)| *doing == id);
    }

    /// A step that takes moments and does not end is told: a file system that does not answer (NFS, FUSE) holds up
    /// whoever touches it, and nobody can say for how long.
    pub(super) fn note_slowness(&mut self) {
        let doing = match &self.doing {
            Some((_, Step::Create | Step::Refresh)) if self.slow => "making",
            Some((_, Step::Start)) if self.slow => "starting",
            _ => return,
        };
        let seconds = SLOW_ACTION_MS / 1000;
        let message = format!(
            "{doing} the container has taken more than {seconds} s already: a file system that it mounts may not answer"
        );
        self.blocked = Some(Problem { message, retry_at: None });
    }
}

/// What is mounted where the named volumes of a container are.
fn devices(origin: &Origin, world: &World<'_>) -> Devices {
    let assigned = world.assigned.map(|assigned| &assigned.volumes);
    let device = |name: &VolumeName| {
        // What cannot be read was refused with the wish.
        let cluster::VolumeDevice { kind, source, options } =
            assigned?.get(name)?.spec.device().ok().flatten()?;
        Some((name.0.clone(), VolumeDevice { kind, source, options }))
    };
    origin.volumes.iter().filter_map(device).collect()
}

fn gateway(task: &Task, world: &World<'_>) -> Option<IpAddr> {
    let first = task.endpoints.first()?;
    let network = world.assigned?.networks.get(&first.network)?;
    network.gateways().next()
}

//! Carries out the core's actions: each is exactly one call of the runtime, the network, the store or the
//! manager (a watch is two: a death is told before its circumstances are known). Nothing is decided here; what went wrong is told to the core.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::dispatch::BlobRequest;
use api::limits::MAX_BLOB_BYTES;
use cluster::{NetworkName, TaskId};
use overlay_net::{Net, View, Zone};
use runtime::image::{Credentials, Image, PullPolicy};
use runtime::volume::Volumes;
use runtime::{ExecConfig, Runtime};
use tokio::sync::{Semaphore, mpsc};
use tonic::transport::Channel;

use crate::chain;
use crate::core::{Action, ActionId, Failure, FailureKind, Outcome, ProbeResult};
use crate::knock;
use crate::limits::{HEALTH_OUTPUT_BYTES, HEAVY_ACTIONS, PROBES, SLOW_ACTION_MS};
use crate::pull::{Pulls, pull};
use crate::run::Event;
use crate::store::Store;
use crate::talk::{Said, Talk};

/// What actions are carried out with.
pub(crate) struct Tools {
    pub(crate) runtime: Runtime,
    pub(crate) net: Net,
    pub(crate) volumes: Volumes,
    pub(crate) store: Store,
    pub(crate) manager: Channel,
    pub(crate) credentials: Credentials,
    pub(crate) pulls: Pulls,
    pub(crate) events: mpsc::Sender<Event>,
}

/// Carries out actions side by side, the expensive ones a few at a time.
pub(crate) struct Executor {
    tools: Arc<Tools>,
    heavy: Arc<Semaphore>,
    probes: Arc<Semaphore>,
}

impl Executor {
    pub(crate) fn new(tools: Tools) -> Executor {
        Executor {
            tools: Arc::new(tools),
            heavy: Arc::new(Semaphore::new(HEAVY_ACTIONS)),
            probes: Arc::new(Semaphore::new(PROBES)),
        }
    }

    /// Begins an action; its end reaches the loop as an event.
    pub(crate) fn begin(&self, id: ActionId, action: Action) {
        tracing::debug!(action = id.0, "{action}");
        let turn = match &action {
            Action::CreateContainer(_) | Action::Start(_) | Action::RemoveContainer(_) => Some(&self.heavy),
            Action::Probe(..) | Action::Knock(..) => Some(&self.probes),
            _ => None,
        };
        let (turn, tools) = (turn.cloned(), self.tools.clone());
        tokio::spawn(async move {
            let work = tools.carry_out(id, action);
            let result = match turn {
                None => work.await,
                Some(turns) => {
                    // The semaphores are never closed.
                    let turn = turns.acquire_owned().await.ok();
                    tokio::pin!(work);
                    match tokio::time::timeout(Duration::from_millis(SLOW_ACTION_MS), &mut work).await {
                        Ok(result) => result,
                        Err(_) => {
                            // Others need not wait until what hangs goes on.
                            drop(turn);
                            let _ = tools.events.send(Event::Slow(id)).await;
                            work.await
                        }
                    }
                }
            };
            if let Err(failure) = &result {
                tracing::debug!(action = id.0, "failed: {}", failure.message);
            }
            // The loop is gone only when the agent is being stopped.
            let _ = tools.events.send(Event::Done(id, result)).await;
        });
    }

    /// Replaces the names of a network; at once.
    pub(crate) fn set_zone(&self, network: &NetworkName, zone: Option<Zone>) {
        self.tools.net.set_zone(&network.0, zone);
    }

    /// Replaces what a task may resolve; at once.
    pub(crate) fn set_view(&self, task: TaskId, view: Option<View>) {
        self.tools.net.set_view(&task.to_string(), view);
    }
}

type Carried = Result<Outcome, Failure>;

impl Tools {
    async fn carry_out(&self, id: ActionId, action: Action) -> Carried {
        let (runtime, net) = (&self.runtime, &self.net);
        match action {
            Action::PullImage { reference, policy } => {
                let image = self.pull(reference, policy).await?;
                Ok(Outcome::Image { id: image.id, config: Arc::new(image.config) })
            }
            Action::FetchBlob { digest } => self.fetch(digest).await,
            Action::EnsureNetwork(spec) => of_net(net.ensure_network(&spec).await),
            Action::RemoveNetwork(name) => of_net(net.remove_network(&name.0).await),
            Action::EnsureVolume(name, labels) => {
                self.on_disk(move |volumes| Ok(Outcome::Path(volumes.create(&name, &labels)?.path))).await
            }
            Action::RemoveVolume(name) => {
                self.on_disk(move |volumes| volumes.remove(&name).map(|_| Outcome::Done)).await
            }
            Action::CreateNetns(task) => {
                net.create_netns(&task.to_string()).await.map(Outcome::Path).map_err(|e| net_failure(&e))
            }
            Action::RemoveNetns(task) => of_net(net.remove_netns(&task.to_string()).await),
            Action::Attach(task, endpoints) => of_net(net.attach(&task.to_string(), &endpoints).await),
            Action::ServeDns(task) => of_net(net.serve_dns(&task.to_string()).await),
            Action::CreateContainer(config) => of_runtime(runtime.create(*config).await),
            Action::Start(task) => {
                runtime.start(&task.to_string()).await.map(Outcome::Started).map_err(|e| runtime_failure(&e))
            }
            Action::Watch(task) => self.watch(id, &task.to_string()).await,
            Action::Signal(task, signal) => of_runtime(runtime.ask_to_end(&task.to_string(), signal).await),
            Action::Kill(task) => of_runtime(runtime.kill_all(&task.to_string()).await),
            Action::RemoveContainer(task) => of_runtime(runtime.remove(&task.to_string()).await),
            Action::Probe(task, exec) | Action::Hook(task, exec) => {
                probe(runtime, task, *exec).await.map(Outcome::Probed)
            }
            Action::RunBefore(task, before) => {
                let ended = runtime.run_before(&task.to_string(), *before).await;
                ended.map(Outcome::Exited).map_err(|e| runtime_failure(&e))
            }
            Action::EndBefore(task) => of_runtime(runtime.end_before(&task.to_string()).await),
            Action::Knock(_, knock) => Ok(Outcome::Probed(knock::knock(&knock).await)),
            Action::SetBalance(balance) => {
                net.set_balance(&balance).await.map(Outcome::Balanced).map_err(|e| net_failure(&e))
            }
            Action::Keep(task, record) => {
                let kept = self.store.keep(task, record).await;
                kept.map(|()| Outcome::Done)
                    .map_err(|message| Failure { message, kind: FailureKind::Passing })
            }
        }
    }

    /// Waits for the end of a container, and tells at once that it has come: how it ended is known only when the
    /// shim has written it down.
    async fn watch(&self, id: ActionId, container: &str) -> Carried {
        match self.runtime.dying(container).await {
            Ok(()) => drop(self.events.send(Event::Dying(id)).await),
            Err(error) => tracing::debug!(action = id.0, "its end is noticed late: {}", chain(&error)),
        }
        let ended = self.runtime.wait(container).await;
        ended.map(Outcome::Exited).map_err(|error| runtime_failure(&error))
    }

    async fn pull(&self, reference: String, policy: PullPolicy) -> Result<Image, Failure> {
        let (images, credentials) = (self.runtime.images().clone(), self.credentials.clone());
        let name = reference.clone();
        let pull = async {
            let pulled = pull(images, name, policy, credentials, |_| {}).await;
            pulled.map_err(|error| image_failure(&error))
        };
        self.pulls.share(&reference, policy, pull).await
    }

    async fn on_disk(
        &self,
        work: impl FnOnce(Volumes) -> runtime::image::Result<Outcome> + Send + 'static,
    ) -> Carried {
        let volumes = self.volumes.clone();
        match tokio::task::spawn_blocking(move || work(volumes)).await {
            Ok(result) => result.map_err(|error| image_failure(&error)),
            Err(error) => Err(Failure { message: chain(&error), kind: FailureKind::Passing }),
        }
    }

    async fn fetch(&self, digest: String) -> Carried {
        let failed = |status: tonic::Status| Failure {
            message: format!("cannot get content {digest} from the manager: {}", status.message()),
            kind: FailureKind::Passing,
        };
        let request = BlobRequest { digest: digest.clone() };
        let mut client = api::dispatch_client(self.manager.clone());
        let mut parts = client.get_blob(request).await.map_err(failed)?.into_inner();
        let mut content = Vec::new();
        while let Some(part) = parts.message().await.map_err(failed)? {
            content.extend_from_slice(&part.data);
            if content.len() > MAX_BLOB_BYTES {
                let message = format!("content {digest} is larger than {MAX_BLOB_BYTES} bytes");
                return Err(Failure { message, kind: FailureKind::Lasting });
            }
        }
        Ok(Outcome::Blob(content))
    }
}

/// The status of a process that SIGKILL ended.
const KILLED: i32 = 137;

/// Runs a health check or a hook and keeps the beginning of what it prints.
async fn probe(runtime: &Runtime, task: TaskId, exec: ExecConfig) -> Result<ProbeResult, Failure> {
    let timeout = exec.timeout_ms.map(Duration::from_millis);
    let began = Instant::now();
    let session = runtime.exec(&task.to_string(), exec).await.map_err(|error| runtime_failure(&error))?;
    let mut talk = Talk::new(session);
    let mut output = Vec::new();
    let code = loop {
        match talk.next().await.map_err(|error| runtime_failure(&error))? {
            Said::Stdout(bytes) | Said::Stderr(bytes) => {
                let room = HEALTH_OUTPUT_BYTES.saturating_sub(output.len());
                output.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Said::Ended(code) => break code,
        }
    };
    let timed_out = code == KILLED && timeout.is_some_and(|timeout| began.elapsed() >= timeout);
    Ok(ProbeResult { code, timed_out, output: String::from_utf8_lossy(&output).into_owned() })
}

fn of_runtime(result: runtime::Result<()>) -> Carried {
    result.map(|()| Outcome::Done).map_err(|error| runtime_failure(&error))
}

fn of_net(result: overlay_net::Result<()>) -> Carried {
    result.map(|()| Outcome::Done).map_err(|error| net_failure(&error))
}

fn runtime_failure(error: &runtime::Error) -> Failure {
    let kind = match error {
        runtime::Error::Command { code, .. } => FailureKind::Command(*code),
        runtime::Error::NotFound { .. } | runtime::Error::NotRunning { .. } => FailureKind::Gone,
        runtime::Error::Invalid { .. } => FailureKind::Lasting,
        _ => FailureKind::Passing,
    };
    Failure { message: chain(error), kind }
}

fn image_failure(error: &runtime::image::Error) -> Failure {
    use runtime::image::Error;
    let kind = match error {
        Error::Reference { .. } | Error::Hostile { .. } => FailureKind::Lasting,
        _ => FailureKind::Passing,
    };
    Failure { message: chain(error), kind }
}

fn net_failure(error: &overlay_net::Error) -> Failure {
    let kind = match error {
        overlay_net::Error::Invalid(_) => FailureKind::Lasting,
        _ => FailureKind::Passing,
    };
    Failure { message: chain(error), kind }
}

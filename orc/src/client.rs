//! The way to the engine: each request is one function, each error says what was being done.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use api::control::control_client::ControlClient;
use api::control::{self, Accepted, ApplyStackReply, BlobChunk, VersionReply, WatchEvent};
use api::convert;
use api::node::node_client::NodeClient;
use api::node::{
    CheckPortsReply, CheckPortsRequest, CommitRequest, CopyPart, CopyRequest, ExecInput, ExecOutput, Image,
    ImageBytes, ImageListRequest, ImageProgress, ImagePullRequest, ImageRemoveRequest, ImageResolveRequest,
    ImageSaveRequest, LogLine, LogsRequest, PauseRequest, Port, Process, SignalRequest, StatsReply,
    StatsRequest, TaskRequest,
};
use api::refusal::Details;
use api::unix::ConnectError;
use cluster::view::StackView;
use cluster::{PutStack, RunAction, ServiceSpec, StopHow, Volume, VolumeName};
use tokio_stream::Stream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::cli::Global;
use crate::engine::dirs::Dirs;
use crate::engine::{identity, start};
use crate::failure::{Doing, Failure, Outcome};
use crate::output::Output;

/// A connection to an engine. Cloning it is cheap and shares the connection.
#[derive(Clone)]
pub(crate) struct Client {
    control: ControlClient<Channel>,
    node: NodeClient<Channel>,
    dirs: Dirs,
}

/// A failure that the engine answered with: its own words, and its hint.
pub(crate) fn refusal(doing: &str, status: &Status) -> Failure {
    // What the engine says has no source on this side; only a connection that broke does.
    let broke = std::error::Error::source(status).is_some() || status.message().contains("transport");
    let failure = match status.code() {
        _ if broke => {
            return Failure::new(doing)
                .because(&std::io::Error::other("the connection to the engine broke"))
                .hint("what it was told goes on when it runs again: try again; `orc engine logs` has its last words");
        }
        tonic::Code::FailedPrecondition | tonic::Code::NotFound | tonic::Code::InvalidArgument => {
            Failure::new(status.message())
        }
        _ => Failure::new(doing).because(&std::io::Error::other(status.message().to_owned())),
    };
    match Details::of(status).hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// An answer that makes no sense to this build.
pub(crate) fn misunderstood(status: &Status) -> Failure {
    refusal("this `orc` does not understand the engine", status)
        .hint("it may be of another version: `orc engine stop`, then try again")
}

impl Client {
    /// Connects to this user's engine, and starts it if it does not run.
    pub(crate) async fn connect(global: &Global) -> Outcome<Self> {
        let dirs = Dirs::new(global.data_dir.as_deref())?;
        if let Some(client) = Self::running(&dirs).await? {
            return Ok(client);
        }
        start::start(&dirs)?;
        let client = Self::running(&dirs).await?;
        client.ok_or_else(|| start::vanished(&dirs))
    }

    /// Connects to the engine of these folders if it runs.
    pub(crate) async fn running(dirs: &Dirs) -> Outcome<Option<Self>> {
        own_socket(&dirs.socket())?;
        match api::unix::connect(&dirs.socket()).await {
            Ok(channel) => Ok(Some(Self {
                control: api::control_client(channel.clone()),
                node: api::node_client(channel),
                dirs: dirs.clone(),
            })),
            Err(ConnectError::Absent { .. }) => Ok(None),
            Err(error @ ConnectError::Foreign { .. }) => Err(Failure::new(error.to_string())
                .hint("it might only pretend to be an engine; nothing was sent to it")),
            Err(error) => Err(Failure::new("cannot reach the engine").because(&error)),
        }
    }

    /// Restarts an engine of another build, which containers outlive, so that both understand each other.
    pub(crate) async fn same_build(&mut self, output: &Output) -> Outcome {
        let version = self.version().await?;
        if version.build_id == identity::build_id() && version.protocol == api::PROTOCOL {
            return Ok(());
        }
        output.note(&format!("the engine is another build (orc {}); restarting it", version.program));
        start::stop(&self.dirs)?;
        start::start(&self.dirs)?;
        *self = Self::running(&self.dirs.clone()).await?.ok_or_else(|| start::vanished(&self.dirs))?;
        Ok(())
    }

    /// Who answers.
    pub(crate) async fn version(&mut self) -> Outcome<VersionReply> {
        let reply = self.control.version(control::VersionRequest {}).await;
        Ok(reply.map_err(|status| refusal("cannot ask the engine for its version", &status))?.into_inner())
    }

    /// Stores a content.
    pub(crate) async fn put_blob(&mut self, content: &[u8]) -> Outcome {
        let chunks: Vec<BlobChunk> = content
            .chunks(api::limits::CHUNK_BYTES)
            .map(|data| BlobChunk { data: data.to_vec() })
            // An empty content is one, too.
            .chain(content.is_empty().then(BlobChunk::default))
            .collect();
        let reply = self.control.put_blob(tokio_stream::iter(chunks)).await;
        reply.map(|_| ()).map_err(|status| refusal("cannot store a secret or config", &status))
    }

    /// States a wish.
    pub(crate) async fn apply(&mut self, put: &PutStack, dry_run: bool) -> Outcome<ApplyStackReply> {
        let request = control::ApplyStackRequest { put_stack_json: convert::to_json(put), dry_run };
        let reply = self.control.apply_stack(request).await;
        let doing = || format!("cannot state the wish for stack `{}`", put.spec.name);
        Ok(reply.map_err(|status| refusal(&doing(), &status))?.into_inner())
    }

    /// Wishes a stack away with these of its volumes; answers the version at which that is visible, or `None` when
    /// there is no such stack.
    pub(crate) async fn remove_stack(
        &mut self,
        stack: &str,
        volumes: &[VolumeName],
        how: StopHow,
    ) -> Outcome<Option<u64>> {
        let names = volumes.iter().map(|volume| volume.0.clone()).collect();
        let request =
            control::RemoveStackRequest { stack: stack.to_owned(), volumes: names, how: Some(how.into()) };
        match self.control.remove_stack(request).await {
            Ok(reply) => Ok(Some(reply.into_inner().version)),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(refusal(&format!("cannot remove stack `{stack}`"), &status)),
        }
    }

    /// Wishes for a one-off container; one that is held is started by a wish of its own.
    pub(crate) async fn put_one_off(
        &mut self,
        stack: &str,
        service: &str,
        spec: &ServiceSpec,
        held: bool,
    ) -> Outcome<u64> {
        let request = control::PutOneOffRequest {
            stack: stack.to_owned(),
            service: service.to_owned(),
            service_spec_json: convert::to_json(spec),
            held,
        };
        let reply = self.control.put_one_off(request).await;
        Ok(reply.map_err(|status| refusal(&format!("cannot run `{service}`"), &status))?.into_inner().version)
    }

    /// Keeps a one-off for as long as the answer is held: after that it goes, if it was never started or is
    /// to go with its end.
    pub(crate) async fn keep_one_off(&mut self, stack: &str, service: &str) -> Outcome<Streaming<Accepted>> {
        let request = control::KeepOneOffRequest { stack: stack.to_owned(), service: service.to_owned() };
        let reply = self.control.keep_one_off(request).await;
        Ok(reply.map_err(|status| refusal(&format!("cannot run `{service}`"), &status))?.into_inner())
    }

    /// Wishes that services run, stop, restart or go; no name means all of the stack.
    pub(crate) async fn set_run(
        &mut self,
        stack: &str,
        services: &[String],
        action: &RunAction,
    ) -> Outcome<u64> {
        let (action, how) = convert::run_action_to(action.clone());
        let request = control::SetRunRequest {
            stack: stack.to_owned(),
            services: services.to_vec(),
            action: action.into(),
            how,
        };
        let reply = self.control.set_run(request).await;
        let doing = format!("cannot change what runs of stack `{stack}`");
        Ok(reply.map_err(|status| refusal(&doing, &status))?.into_inner().version)
    }

    /// Wishes for numbers of replicas.
    pub(crate) async fn scale(&mut self, stack: &str, replicas: &[(String, u32)]) -> Outcome<u64> {
        let request =
            control::ScaleRequest { stack: stack.to_owned(), replicas: replicas.iter().cloned().collect() };
        let reply = self.control.scale(request).await;
        Ok(reply
            .map_err(|status| refusal(&format!("cannot scale stack `{stack}`"), &status))?
            .into_inner()
            .version)
    }

    /// The stacks there are, or the one named.
    pub(crate) async fn list(&mut self, stack: Option<&str>) -> Outcome<Vec<StackView>> {
        let request = control::ListRequest { stack: stack.map(ToOwned::to_owned) };
        let reply =
            self.control.list(request).await.map_err(|status| refusal("cannot list stacks", &status))?;
        let stacks = reply.into_inner().stacks_json;
        let views: Result<Vec<StackView>, Status> =
            stacks.iter().map(|json| convert::from_json(json, "a stack")).collect();
        views.map_err(|status| misunderstood(&status))
    }

    /// The stack named, if it is there.
    pub(crate) async fn stack(&mut self, name: &str) -> Outcome<Option<StackView>> {
        Ok(self.list(Some(name)).await?.into_iter().find(|view| view.name.0 == name))
    }

    /// The volumes of a stack, which are there when it is not, too.
    pub(crate) async fn volumes(&mut self, stack: &str) -> Outcome<Vec<Volume>> {
        let reply = self.control.volumes(control::VolumesRequest { stack: stack.to_owned() }).await;
        let reply = reply.map_err(|status| refusal("cannot list volumes", &status))?.into_inner();
        let volumes = reply.volumes_json.iter().map(|json| convert::from_json(json, "a volume"));
        volumes.collect::<Result<_, Status>>().map_err(|status| misunderstood(&status))
    }

    /// What is, and every change of it.
    pub(crate) async fn watch(&mut self, stack: Option<&str>) -> Outcome<Streaming<WatchEvent>> {
        let request = control::WatchRequest { stack: stack.map(ToOwned::to_owned) };
        let reply = self.control.watch(request).await;
        Ok(reply.map_err(|status| refusal("cannot follow the engine", &status))?.into_inner())
    }

    /// The host ports of these that somebody else uses, and what else of the machine is in the way.
    pub(crate) async fn check_ports(&mut self, ports: Vec<Port>) -> Outcome<CheckPortsReply> {
        let reply = self.node.check_ports(CheckPortsRequest { ports }).await;
        Ok(reply.map_err(|status| refusal("cannot look at the host's ports", &status))?.into_inner())
    }

    /// Lines of containers' output.
    pub(crate) async fn logs(&mut self, request: LogsRequest) -> Outcome<Streaming<LogLine>> {
        let reply = self.node.logs(request).await;
        Ok(reply.map_err(|status| refusal("cannot read the logs", &status))?.into_inner())
    }

    /// A process in a running container.
    pub(crate) async fn exec(
        &mut self,
        input: impl Stream<Item = ExecInput> + Send + 'static,
    ) -> Outcome<Streaming<ExecOutput>> {
        let reply = self.node.exec(input).await;
        Ok(reply.map_err(|status| refusal("cannot run the command", &status))?.into_inner())
    }

    /// The console of a running container.
    pub(crate) async fn attach(
        &mut self,
        input: impl Stream<Item = ExecInput> + Send + 'static,
    ) -> Outcome<Streaming<ExecOutput>> {
        let reply = self.node.attach(input).await;
        Ok(reply.map_err(|status| refusal("cannot attach to the container", &status))?.into_inner())
    }

    /// Sends a signal to the first process of a container.
    pub(crate) async fn signal(&mut self, task: &str, signal: i32) -> Outcome {
        let reply = self.node.signal(SignalRequest { task: task.to_owned(), signal }).await;
        reply.map(drop).map_err(|status| refusal("cannot send the signal", &status))
    }

    /// Stops or starts the clock of a container.
    pub(crate) async fn pause(&mut self, task: &str, paused: bool) -> Outcome {
        let reply = self.node.pause(PauseRequest { task: task.to_owned(), paused }).await;
        reply.map(drop).map_err(|status| refusal("cannot pause or unpause the container", &status))
    }

    /// The processes of a container.
    pub(crate) async fn top(&mut self, task: &str) -> Outcome<Vec<Process>> {
        let reply = self.node.top(TaskRequest { task: task.to_owned() }).await;
        Ok(reply.map_err(|status| refusal("cannot list the processes", &status))?.into_inner().processes)
    }

    /// What containers use now.
    pub(crate) async fn stats(&mut self, tasks: Vec<String>) -> Outcome<StatsReply> {
        let reply = self.node.stats(StatsRequest { tasks }).await;
        Ok(reply.map_err(|status| refusal("cannot look at what containers use", &status))?.into_inner())
    }

    /// An archive of a file or folder of a container.
    pub(crate) async fn copy_out(&mut self, request: CopyRequest) -> Outcome<Streaming<ImageBytes>> {
        let doing = format!("cannot copy `{}`", request.path);
        let reply = self.node.copy_out(request).await;
        Ok(reply.map_err(|status| refusal(&doing, &status))?.into_inner())
    }

    /// Unpacks an archive in a container.
    pub(crate) async fn copy_in(&mut self, parts: impl Stream<Item = CopyPart> + Send + 'static) -> Outcome {
        let reply = self.node.copy_in(parts).await;
        reply.map(drop).map_err(|status| refusal("cannot copy into the container", &status))
    }

    /// An archive of all that is a container's own.
    pub(crate) async fn export(&mut self, task: &str) -> Outcome<Streaming<ImageBytes>> {
        let reply = self.node.export(TaskRequest { task: task.to_owned() }).await;
        Ok(reply.map_err(|status| refusal("cannot export the container", &status))?.into_inner())
    }

    /// Makes an image of a container; answers its id.
    pub(crate) async fn commit(&mut self, request: CommitRequest) -> Outcome<String> {
        let reply = self.node.commit(request).await;
        Ok(reply.map_err(|status| refusal("cannot make an image of the container", &status))?.into_inner().id)
    }

    /// Pulls an image.
    pub(crate) async fn pull(&mut self, request: ImagePullRequest) -> Outcome<Streaming<ImageProgress>> {
        let doing = format!("cannot pull `{}`", request.reference);
        let reply = self.node.image_pull(request).await;
        Ok(reply.map_err(|status| refusal(&doing, &status))?.into_inner())
    }

    /// The name in full with the digest that its registry has for it now.
    pub(crate) async fn resolve_image(&mut self, request: ImageResolveRequest) -> Outcome<String> {
        let doing = format!("cannot find the digest of `{}`", request.reference);
        let reply = self.node.image_resolve(request).await;
        Ok(reply.map_err(|status| refusal(&doing, &status))?.into_inner().pinned)
    }

    /// The images on this machine.
    pub(crate) async fn images(&mut self, reference: Option<String>) -> Outcome<Vec<Image>> {
        let reply = self.node.image_list(ImageListRequest { reference }).await;
        Ok(reply.map_err(|status| refusal("cannot list images", &status))?.into_inner().images)
    }

    /// Takes images from an archive.
    pub(crate) async fn load_images(
        &mut self,
        archive: impl Stream<Item = ImageBytes> + Send + 'static,
    ) -> Outcome<Vec<Image>> {
        let reply = self.node.image_load(archive).await;
        Ok(reply.map_err(|status| refusal("cannot load the images", &status))?.into_inner().images)
    }

    /// An archive of images.
    pub(crate) async fn save_images(&mut self, references: Vec<String>) -> Outcome<Streaming<ImageBytes>> {
        let reply = self.node.image_save(ImageSaveRequest { references }).await;
        Ok(reply.map_err(|status| refusal("cannot save the images", &status))?.into_inner())
    }

    /// Removes images; answers those that are gone.
    pub(crate) async fn remove_images(
        &mut self,
        references: Vec<String>,
        force: bool,
    ) -> Outcome<Vec<Image>> {
        let reply = self.node.image_remove(ImageRemoveRequest { references, force }).await;
        Ok(reply.map_err(|status| refusal("cannot remove the images", &status))?.into_inner().images)
    }
}

/// Refuses a socket that belongs to neither this user nor root: whoever owns it decides who listens there.
fn own_socket(socket: &Path) -> Outcome {
    // A socket that is not there belongs to nobody.
    let Ok(found) = std::fs::symlink_metadata(socket) else { return Ok(()) };
    let user = rustix::process::geteuid().as_raw();
    if found.uid() == user || found.uid() == 0 {
        return Ok(());
    }
    let message =
        format!("the socket `{}` belongs to user {}, not to user {user}", socket.display(), found.uid());
    Err(Failure::new(message).hint("it might only pretend to be an engine's; nothing was sent to it"))
}

/// The process that listens on a socket, as the kernel says; `None` when nobody does.
pub(crate) fn listener_pid(socket: &Path) -> Outcome<Option<rustix::process::Pid>> {
    use std::io::ErrorKind;
    own_socket(socket)?;
    let stream = match std::os::unix::net::UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => {
            return Err(Failure::new(format!("cannot reach `{}`", socket.display())).because(&error));
        }
    };
    let credentials = rustix::net::sockopt::socket_peercred(&stream);
    Ok(Some(credentials.doing(|| "cannot see who listens".to_owned())?.pid))
}

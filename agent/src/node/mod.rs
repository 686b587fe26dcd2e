//! What this node offers to people's programs: the logs of its containers, commands in them, its images, and
//! who has its ports.

mod command;
mod files;
mod images;
mod logs;
mod processes;

use std::pin::Pin;

use api::node::node_server::Node;
use api::node::{
    CheckPortsReply, CheckPortsRequest, CommitReply, CommitRequest, CopyPart, CopyRequest, Done, ExecInput,
    ExecOutput, ImageBytes, ImageListReply, ImageListRequest, ImageProgress, ImagePullRequest,
    ImageRemoveRequest, ImageResolveReply, ImageResolveRequest, ImageSaveRequest, LogLine, LogsRequest,
    PauseRequest, PortOwner, SignalRequest, StatsReply, StatsRequest, TaskRequest, TopReply,
};
use futures_util::Stream;
use overlay_net::{Net, Protocol};
use runtime::Runtime;
use runtime::image::Credentials;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use crate::chain;
use crate::limits::PORTS;
use crate::run::Event;

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// See `proto/node.proto`. Cheap to clone.
#[derive(Clone)]
pub struct NodeService {
    runtime: Runtime,
    net: Net,
    credentials: Credentials,
    /// The agent's loop, which has to know what is done beside it.
    events: mpsc::Sender<Event>,
}

impl std::fmt::Debug for NodeService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeService").finish_non_exhaustive()
    }
}

impl NodeService {
    pub(crate) fn new(
        runtime: Runtime,
        net: Net,
        credentials: Credentials,
        events: mpsc::Sender<Event>,
    ) -> NodeService {
        NodeService { runtime, net, credentials, events }
    }
}

#[tonic::async_trait]
impl Node for NodeService {
    type LogsStream = Answers<LogLine>;
    type ExecStream = Answers<ExecOutput>;
    type AttachStream = Answers<ExecOutput>;
    type ImagePullStream = Answers<ImageProgress>;
    type ImageSaveStream = Answers<ImageBytes>;
    type CopyOutStream = Answers<ImageBytes>;
    type ExportStream = Answers<ImageBytes>;

    async fn logs(&self, request: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        Ok(Response::new(logs::read(&self.runtime, &request.into_inner())?))
    }

    async fn exec(
        &self,
        request: Request<Streaming<ExecInput>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        Ok(Response::new(command::exec(self.runtime.clone(), request.into_inner()).await?))
    }

    async fn attach(
        &self,
        request: Request<Streaming<ExecInput>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        Ok(Response::new(command::attach(self.runtime.clone(), request.into_inner()).await?))
    }

    async fn signal(&self, request: Request<SignalRequest>) -> Result<Response<Done>, Status> {
        Ok(Response::new(processes::signal(&self.runtime, &request.into_inner()).await?))
    }

    async fn pause(&self, request: Request<PauseRequest>) -> Result<Response<Done>, Status> {
        let request = request.into_inner();
        Ok(Response::new(processes::pause(&self.runtime, &self.events, &request).await?))
    }

    async fn top(&self, request: Request<TaskRequest>) -> Result<Response<TopReply>, Status> {
        Ok(Response::new(processes::top(&self.runtime, &request.into_inner()).await?))
    }

    async fn stats(&self, request: Request<StatsRequest>) -> Result<Response<StatsReply>, Status> {
        Ok(Response::new(processes::stats(&self.runtime, &request.into_inner()).await?))
    }

    async fn copy_out(&self, request: Request<CopyRequest>) -> Result<Response<Self::CopyOutStream>, Status> {
        Ok(Response::new(files::copy_out(&self.runtime, request.into_inner()).await?))
    }

    async fn copy_in(&self, request: Request<Streaming<CopyPart>>) -> Result<Response<Done>, Status> {
        Ok(Response::new(files::copy_in(&self.runtime, request.into_inner()).await?))
    }

    async fn export(&self, request: Request<TaskRequest>) -> Result<Response<Self::ExportStream>, Status> {
        Ok(Response::new(files::export(&self.runtime, &request.into_inner()).await?))
    }

    async fn commit(&self, request: Request<CommitRequest>) -> Result<Response<CommitReply>, Status> {
        Ok(Response::new(files::commit(&self.runtime, request.into_inner()).await?))
    }

    async fn image_pull(
        &self,
        request: Request<ImagePullRequest>,
    ) -> Result<Response<Self::ImagePullStream>, Status> {
        let images = self.runtime.images().clone();
        Ok(Response::new(images::pull(images, self.credentials.clone(), request.into_inner())))
    }

    async fn image_resolve(
        &self,
        request: Request<ImageResolveRequest>,
    ) -> Result<Response<ImageResolveReply>, Status> {
        let (images, credentials) = (self.runtime.images().clone(), self.credentials.clone());
        Ok(Response::new(images::resolve(images, credentials, request.into_inner()).await?))
    }

    async fn image_list(
        &self,
        request: Request<ImageListRequest>,
    ) -> Result<Response<ImageListReply>, Status> {
        let images = self.runtime.images().clone();
        Ok(Response::new(images::list(images, request.into_inner()).await?))
    }

    async fn image_load(
        &self,
        request: Request<Streaming<ImageBytes>>,
    ) -> Result<Response<ImageListReply>, Status> {
        let images = self.runtime.images().clone();
        Ok(Response::new(images::load(images, request.into_inner()).await?))
    }

    async fn image_save(
        &self,
        request: Request<ImageSaveRequest>,
    ) -> Result<Response<Self::ImageSaveStream>, Status> {
        let images = self.runtime.images().clone();
        Ok(Response::new(images::save(images, request.into_inner())))
    }

    async fn image_remove(
        &self,
        request: Request<ImageRemoveRequest>,
    ) -> Result<Response<ImageListReply>, Status> {
        let images = self.runtime.images().clone();
        Ok(Response::new(images::remove(images, request.into_inner()).await?))
    }

    async fn check_ports(
        &self,
        request: Request<CheckPortsRequest>,
    ) -> Result<Response<CheckPortsReply>, Status> {
        let ports = request.into_inner().ports;
        if ports.len() > PORTS {
            return Err(Status::invalid_argument(format!("more than {PORTS} ports at once")));
        }
        let mut taken = Vec::new();
        for port in ports {
            let number = u16::try_from(port.port)
                .map_err(|_| Status::invalid_argument(format!("{} is not a port", port.port)))?;
            let protocol = if port.protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
            let ip = match port.host_ip.as_str() {
                "" => None,
                text => Some(
                    text.parse()
                        .map_err(|_| Status::invalid_argument(format!("`{text}` is not an address")))?,
                ),
            };
            let owner = self.net.port_owner(protocol, ip, number).await;
            let owner = owner.map_err(|error| Status::internal(chain(&error)))?;
            // The engine's own ports are published by itself and are no obstacle.
            if let Some(owner) = owner.filter(|owner| owner.pid != std::process::id()) {
                taken.push(PortOwner { port: Some(port), pid: owner.pid, command: owner.command });
            }
        }
        let obstacle = self.net.obstacle().await.map_err(|error| Status::internal(chain(&error)))?;
        Ok(Response::new(CheckPortsReply { taken, obstacle: obstacle.unwrap_or_default() }))
    }
}

/// What the runtime says, as gRPC has it.
fn status(error: &runtime::Error) -> Status {
    let message = chain(error);
    match error {
        runtime::Error::NotFound { .. } => Status::not_found(message),
        runtime::Error::NotRunning { .. } => Status::failed_precondition(message),
        runtime::Error::Invalid { .. } => Status::invalid_argument(message),
        _ => Status::internal(message),
    }
}

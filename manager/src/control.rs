//! The Control service: each call becomes one event for the loop, and its answer a message.

use std::collections::BTreeMap;

use api::control::control_server::Control;
use api::control::set_run_request::Action;
use api::control::{
    Accepted, ApplyStackReply, ApplyStackRequest, BlobChunk, BlobReply, KeepOneOffRequest, ListReply,
    ListRequest, PutOneOffRequest, RemoveStackRequest, ScaleRequest, SetRunRequest, VersionReply,
    VersionRequest, VolumesReply, VolumesRequest, WatchRequest,
};
use api::convert::{from_json, run_action_from, to_json};
use api::limits::MAX_BLOB_BYTES;
use api::refusal;
use cluster::{ChangeKind, PutStack, ServiceKey, ServiceSpec, StackName, VolumeName};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::blobs::Blobs;
use crate::core::{Applied, Failure};
use crate::hub::Told;
use crate::run::{Condition, Event};

/// See `proto/control.proto`.
pub struct ControlService {
    events: mpsc::Sender<Event>,
    blobs: Blobs,
    version: VersionReply,
    condition: watch::Receiver<Condition>,
}

type Answer<T> = Result<Response<T>, Status>;

impl ControlService {
    pub(crate) fn new(
        events: mpsc::Sender<Event>,
        blobs: Blobs,
        version: VersionReply,
        condition: watch::Receiver<Condition>,
    ) -> Self {
        Self { events, blobs, version, condition }
    }

    /// Hands an event to the loop and waits for the answer.
    async fn ask<T>(&self, event: impl FnOnce(oneshot::Sender<T>) -> Event) -> Result<T, Status> {
        let (answer, answered) = oneshot::channel();
        self.events.send(event(answer)).await.map_err(|_| self.ended())?;
        answered.await.map_err(|_| self.ended())
    }

    /// Why there is no answer.
    fn ended(&self) -> Status {
        match self.condition.borrow().ended.clone().flatten() {
            Some(why) => refusal::status(Code::Unavailable, &format!("the engine cannot go on: {why}"), None),
            None => refusal::status(Code::Unavailable, "the engine is ending", Some("try again")),
        }
    }

    async fn wish(&self, kind: ChangeKind) -> Result<Applied, Status> {
        let kind = Box::new(kind);
        self.ask(|answer| Event::Request { kind, answer }).await?.map_err(|failure| failure_status(&failure))
    }

    /// All services of a stack but its one-offs, for calls that name none.
    async fn services_of(&self, stack: &StackName) -> Result<Vec<ServiceKey>, Status> {
        let stack = stack.clone();
        let (_, views) = self.ask(|answer| Event::List { stack: Some(stack.clone()), answer }).await?;
        let Some(view) = views.into_iter().next() else {
            let object = format!("stack `{stack}`");
            return Err(refusal::to_status(&cluster::Refusal::Unknown { object }));
        };
        let services =
            view.services.iter().filter(|(_, service)| service.spec.one_off.is_none() && !service.removing);
        Ok(services.map(|(service, _)| ServiceKey::new(&stack, service)).collect())
    }

    /// A wish whose secrets were never sent could not be fulfilled by any agent.
    fn check_files(&self, put: &PutStack) -> Result<(), Status> {
        for (name, service) in &put.spec.services {
            if let Some(file) = service.files.iter().find(|file| !self.blobs.has(&file.digest)) {
                return Err(refusal::status(
                    Code::FailedPrecondition,
                    &format!(
                        "service `{name}`: the content of {} ({}) is not stored",
                        file.target, file.digest
                    ),
                    Some("store it with PutBlob before the wish that names it"),
                ));
            }
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Control for ControlService {
    type WatchStream = ReceiverStream<Told>;
    type KeepOneOffStream = ReceiverStream<Result<Accepted, Status>>;

    async fn version(&self, _: Request<VersionRequest>) -> Answer<VersionReply> {
        Ok(Response::new(self.version.clone()))
    }

    async fn put_blob(&self, request: Request<Streaming<BlobChunk>>) -> Answer<BlobReply> {
        let mut chunks = request.into_inner();
        let mut content = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            content.extend(chunk.data);
            if content.len() > MAX_BLOB_BYTES {
                let message = format!("a secret or config has at most {MAX_BLOB_BYTES} bytes");
                return Err(refusal::status(
                    Code::ResourceExhausted,
                    &message,
                    Some("mount a volume instead"),
                ));
            }
        }
        let (blobs, size) = (self.blobs.clone(), content.len() as u64);
        let stored = tokio::task::spawn_blocking(move || blobs.put(&content)).await;
        let stored = stored.map_err(|e| Status::internal(e.to_string()))?;
        let digest = stored.map_err(|e| Status::internal(format!("cannot store a content: {e}")))?;
        Ok(Response::new(BlobReply { digest, size }))
    }

    async fn apply_stack(&self, request: Request<ApplyStackRequest>) -> Answer<ApplyStackReply> {
        let request = request.into_inner();
        let put: PutStack = from_json(&request.put_stack_json, "the stack")?;
        if request.dry_run {
            // Contents are stored when something is really to be done.
            let kind = Box::new(ChangeKind::PutStack(Box::new(put)));
            let plan = self.ask(|answer| Event::Plan { kind, answer }).await?;
            let plan = plan.map_err(|refused| refusal::to_status(&refused))?;
            return Ok(Response::new(ApplyStackReply {
                version: 0,
                plan: plan.to_string(),
                plan_json: to_json(&plan),
                changed: !plan.steps.is_empty(),
            }));
        }
        self.check_files(&put)?;
        let Applied { version, changed } = self.wish(ChangeKind::PutStack(Box::new(put))).await?;
        Ok(Response::new(ApplyStackReply { version: version.0, changed, ..ApplyStackReply::default() }))
    }

    async fn remove_stack(&self, request: Request<RemoveStackRequest>) -> Answer<Accepted> {
        let request = request.into_inner();
        let how = request.how.map(Into::into).unwrap_or_default();
        let stack = StackName(request.stack);
        let volumes = !request.volumes.is_empty();
        let only = Some(request.volumes.into_iter().map(VolumeName).collect());
        accepted(self.wish(ChangeKind::RemoveStack { stack, volumes, only, how }).await?)
    }

    async fn put_one_off(&self, request: Request<PutOneOffRequest>) -> Answer<Accepted> {
        let request = request.into_inner();
        let spec: ServiceSpec = from_json(&request.service_spec_json, "the service")?;
        let service = ServiceKey::new(&StackName(request.stack), &request.service);
        let spec = Box::new(spec);
        accepted(self.wish(ChangeKind::PutOneOff { service, spec, held: request.held }).await?)
    }

    async fn keep_one_off(&self, request: Request<KeepOneOffRequest>) -> Answer<Self::KeepOneOffStream> {
        let request = request.into_inner();
        let service = ServiceKey::new(&StackName(request.stack), &request.service);
        let (sender, stream) = mpsc::channel(1);
        // The channel is new and has room.
        let _ = sender.try_send(Ok(Accepted::default()));
        let events = self.events.clone();
        tokio::spawn(async move {
            sender.closed().await;
            let kind = Box::new(ChangeKind::ReleaseOneOff { service });
            let (answer, _) = oneshot::channel();
            // An engine that is ending keeps what it cannot release.
            let _ = events.send(Event::Request { kind, answer }).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn set_run(&self, request: Request<SetRunRequest>) -> Answer<Accepted> {
        let request = request.into_inner();
        let action = Action::try_from(request.action)
            .map_err(|_| Status::invalid_argument(format!("{} is no known action", request.action)))?;
        let stack = StackName(request.stack);
        let services = match request.services.as_slice() {
            [] => self.services_of(&stack).await?,
            names => names.iter().map(|name| ServiceKey::new(&stack, name)).collect(),
        };
        let action = run_action_from(action, request.how);
        accepted(self.wish(ChangeKind::SetRun { services, action }).await?)
    }

    async fn scale(&self, request: Request<ScaleRequest>) -> Answer<Accepted> {
        let request = request.into_inner();
        let stack = StackName(request.stack);
        let replicas: BTreeMap<ServiceKey, u32> = request
            .replicas
            .iter()
            .map(|(service, replicas)| (ServiceKey::new(&stack, service), *replicas))
            .collect();
        accepted(self.wish(ChangeKind::Scale { replicas }).await?)
    }

    async fn list(&self, request: Request<ListRequest>) -> Answer<ListReply> {
        let stack = request.into_inner().stack.map(StackName);
        let (version, stacks) = self.ask(|answer| Event::List { stack, answer }).await?;
        let stacks_json = stacks.iter().map(to_json).collect();
        Ok(Response::new(ListReply { version: version.0, stacks_json }))
    }

    async fn volumes(&self, request: Request<VolumesRequest>) -> Answer<VolumesReply> {
        let stack = StackName(request.into_inner().stack);
        let volumes = self.ask(|answer| Event::Volumes { stack, answer }).await?;
        Ok(Response::new(VolumesReply { volumes_json: volumes.iter().map(to_json).collect() }))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let stack = request.into_inner().stack.map(StackName);
        let events = self.ask(|answer| Event::Watch { stack, answer }).await?;
        Ok(Response::new(ReceiverStream::new(events)))
    }
}

fn accepted(applied: Applied) -> Answer<Accepted> {
    Ok(Response::new(Accepted { version: applied.version.0 }))
}

fn failure_status(failure: &Failure) -> Status {
    match failure {
        Failure::Refused(refused) => refusal::to_status(refused),
        Failure::NotLeader(_) => {
            refusal::status(Code::Unavailable, "no manager leads at the moment", Some("try again"))
        }
        Failure::Overloaded => {
            refusal::status(Code::ResourceExhausted, "too many wishes wait already", Some("try again later"))
        }
        Failure::Unknown => refusal::status(
            Code::Unknown,
            "the manager that took the wish lost its lead before it could say what became of it",
            Some("look what is there, and state the wish again: stating it twice does no harm"),
        ),
    }
}

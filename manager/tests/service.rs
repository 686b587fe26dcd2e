//! A whole manager behind a real socket.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;

use api::control::control_client::ControlClient;
use api::control::{
    ApplyStackRequest, BlobChunk, ListRequest, RemoveStackRequest, VersionRequest, WatchEvent, WatchRequest,
};
use api::convert::{Report, Watched, Work, to_json};
use api::dispatch::BlobRequest;
use cluster::{
    FileDigests, NodeDescription, NodeId, Phase, PutStack, Refusal, StackSpec, TaskStatus, Version,
};
use manager::{Manager, ManagerConfig, ManagerError};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

/// An engine without agent.
struct Engine {
    manager: Manager,
    channel: Channel,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
}

fn config(folder: &Path) -> ManagerConfig {
    ManagerConfig {
        data_dir: folder.join("data"),
        engine_id: "cafe0123".into(),
        node: NodeId(7),
        program: "0.1.0".into(),
        build_id: "test".into(),
    }
}

async fn start(folder: &Path) -> Engine {
    let manager = manager::start(config(folder)).await.unwrap();
    let path = folder.join("socket");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let router = api::Router::new().with(manager.control_service()).with(manager.dispatch_service());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let clients = api::clients::Clients::default();
        api::unix::serve(listener, router, clients, async { _ = stopped.await }).await.unwrap();
    });
    let channel = api::unix::connect(&path).await.unwrap();
    Engine { manager, channel, stop, server }
}

impl Engine {
    fn control(&self) -> ControlClient<Channel> {
        api::control_client(self.channel.clone())
    }

    async fn end(self) {
        self.manager.shutdown().await;
        self.stop.send(()).unwrap();
        drop(self.channel);
        self.server.await.unwrap();
    }
}

fn wish(image: &str) -> PutStack {
    let service = serde_json::json!({"image": image, "network_mode": "none"});
    let project = serde_json::json!({"name": "shop", "services": {"web": service}});
    let project = serde_json::from_value(project).unwrap();
    PutStack::new(StackSpec::from_project(&project, &FileDigests::default()).unwrap())
}

fn apply(put: &PutStack) -> ApplyStackRequest {
    ApplyStackRequest { put_stack_json: to_json(put), dry_run: false }
}

async fn next(events: &mut Streaming<WatchEvent>) -> (u64, Watched) {
    let event = events.message().await.unwrap().expect("the watch goes on");
    (event.version, Watched::from_event(event).unwrap())
}

#[tokio::test]
async fn a_wish_is_planned_taken_over_watched_and_kept() {
    let folder = TempDir::new().unwrap();
    let engine = start(folder.path()).await;
    assert!(engine.manager.idle().is());
    let mut control = engine.control();
    let version = control.version(VersionRequest {}).await.unwrap().into_inner();
    assert_eq!((version.engine_id.as_str(), version.protocol), ("cafe0123", api::PROTOCOL));

    let watch = WatchRequest { stack: Some("shop".into()) };
    let mut events = control.watch(watch).await.unwrap().into_inner();
    assert_eq!(next(&mut events).await, (0, Watched::Synced));

    let dry = ApplyStackRequest { dry_run: true, ..apply(&wish("a")) };
    let planned = control.apply_stack(dry).await.unwrap().into_inner();
    assert!(planned.changed, "{planned:?}");
    assert!(engine.manager.idle().is(), "a plan changes nothing");

    let applied = control.apply_stack(apply(&wish("a"))).await.unwrap().into_inner();
    assert!(applied.changed && !engine.manager.idle().is());
    let again = control.apply_stack(apply(&wish("a"))).await.unwrap().into_inner();
    assert_eq!((again.changed, again.version), (false, applied.version));
    let (version, event) = next(&mut events).await;
    assert!(version >= applied.version);
    assert!(matches!(event, Watched::Stack(view) if view.services.contains_key("web")));

    // What was answered is there after a restart.
    let before = control.list(ListRequest::default()).await.unwrap().into_inner();
    engine.end().await;
    let engine = start(folder.path()).await;
    let mut control = engine.control();
    let after = control.list(ListRequest::default()).await.unwrap().into_inner();
    assert_eq!(after.stacks_json, before.stacks_json);
    // A new watcher is told what there is.
    let mut events = control.watch(WatchRequest::default()).await.unwrap().into_inner();
    assert!(matches!(next(&mut events).await.1, Watched::Stack(_)));
    assert_eq!(next(&mut events).await.1, Watched::Synced);

    control.remove_stack(RemoveStackRequest { stack: "shop".into(), ..Default::default() }).await.unwrap();
    engine.manager.idle().becomes(true).await;
    while next(&mut events).await.1 != Watched::StackGone(cluster::StackName("shop".into())) {}
    engine.end().await;
}

#[tokio::test]
async fn refusals_can_be_understood_by_programs() {
    let folder = TempDir::new().unwrap();
    let engine = start(folder.path()).await;
    let mut control = engine.control();
    let stale = PutStack { expected: Some(Version(99)), ..wish("a") };
    let status = control.apply_stack(apply(&stale)).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert!(matches!(api::refusal::from_status(&status), Some(Refusal::Stale { expected: Version(99), .. })));
    let status =
        control.set_run(api::control::SetRunRequest { stack: "none".into(), ..Default::default() }).await;
    assert_eq!(status.unwrap_err().code(), Code::NotFound);
    let garbage = ApplyStackRequest { put_stack_json: b"{".to_vec(), dry_run: false };
    assert_eq!(control.apply_stack(garbage).await.unwrap_err().code(), Code::InvalidArgument);
    engine.end().await;
}

#[tokio::test]
async fn a_folder_has_one_manager() {
    let folder = TempDir::new().unwrap();
    let engine = start(folder.path()).await;
    let second = manager::start(config(folder.path())).await.map(|_| ()).unwrap_err();
    assert!(matches!(second, ManagerError::Disk(manager::DiskError::InUse { .. })), "{second}");
    engine.end().await;
}

#[tokio::test]
async fn secrets_travel_beside_the_log() {
    let folder = TempDir::new().unwrap();
    let engine = start(folder.path()).await;
    let mut put = wish("a");
    let web = std::sync::Arc::make_mut(put.spec.services.get_mut("web").unwrap());
    let chunks = [b"top ".to_vec(), b"secret".to_vec()].map(|data| BlobChunk { data });
    let digest = {
        let missing = cluster::FileMount {
            target: "/run/secrets/key".into(),
            digest: "0".repeat(64),
            uid: 0,
            gid: 0,
            mode: 0o400,
        };
        web.files.push(missing);
        let status = engine.control().apply_stack(apply(&put)).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        let stored = engine.control().put_blob(tokio_stream::iter(chunks)).await.unwrap().into_inner();
        assert_eq!(stored.size, 10);
        stored.digest
    };
    let web = std::sync::Arc::make_mut(put.spec.services.get_mut("web").unwrap());
    web.files[0].digest.clone_from(&digest);
    engine.control().apply_stack(apply(&put)).await.unwrap();
    let mut dispatch = api::dispatch_client(engine.channel.clone());
    let mut blob = dispatch.get_blob(BlobRequest { digest }).await.unwrap().into_inner();
    assert_eq!(blob.message().await.unwrap().unwrap().data, b"top secret");
    let unknown = dispatch.get_blob(BlobRequest { digest: "../log.redb".into() }).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    engine.end().await;
}

#[tokio::test]
async fn an_agent_gets_its_work_and_is_acknowledged() {
    let folder = TempDir::new().unwrap();
    let engine = start(folder.path()).await;
    let (reports, sent) = mpsc::channel(8);
    let mut dispatch = api::dispatch_client(engine.channel.clone());
    let mut work = dispatch.session(ReceiverStream::new(sent)).await.unwrap().into_inner();
    let mut said = Report {
        node: 7,
        sequence: 1,
        description: Some(NodeDescription { os: "linux".into(), ..NodeDescription::default() }),
        ..Report::default()
    };
    reports.send(said.to_message()).await.unwrap();
    let first = Work::from_message(&work.message().await.unwrap().unwrap()).unwrap();
    let mut mine = first.complete.expect("the first is complete");

    engine.control().apply_stack(apply(&wish("a"))).await.unwrap();
    let mut acknowledged = first.acknowledged;
    while mine.tasks.is_empty() {
        let more = Work::from_message(&work.message().await.unwrap().unwrap()).unwrap();
        acknowledged = more.acknowledged;
        more.delta.into_iter().for_each(|delta| mine.apply_delta(delta).unwrap());
    }
    assert_eq!(acknowledged, 1);
    let task = *mine.tasks.keys().next().unwrap();
    let status = TaskStatus { phase: Phase::Preparing, ..TaskStatus::default() };
    said = Report { node: 7, sequence: 2, statuses: vec![(task, status)], ..Report::default() };
    reports.send(said.to_message()).await.unwrap();
    while acknowledged < 2 {
        acknowledged = work.message().await.unwrap().unwrap().acknowledged;
    }
    let list = engine.control().list(ListRequest::default()).await.unwrap().into_inner();
    let view: cluster::view::StackView = serde_json::from_slice(&list.stacks_json[0]).unwrap();
    assert_eq!(view.services["web"].tasks[&task].task.status.phase, Phase::Preparing);

    // A session is one node's.
    said = Report { node: 8, sequence: 3, ..Report::default() };
    reports.send(said.to_message()).await.unwrap();
    let status = loop {
        match work.message().await {
            Ok(message) => assert!(message.is_some(), "an answer comes before the end"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::InvalidArgument);
    engine.end().await;
}

//! Two ends of a real socket.

use tokio::sync::oneshot;
use tonic::{Code, Request, Response, Status, Streaming};

use super::*;
use crate::dispatch::dispatch_server::Dispatch;
use crate::dispatch::{Assignment, BlobData, BlobRequest, Report};

type Stream<T> = tokio_stream::Iter<std::vec::IntoIter<Result<T, Status>>>;

/// Offers blobs whose content is their digest.
struct Echo;

#[tonic::async_trait]
impl Dispatch for Echo {
    type SessionStream = Stream<Assignment>;
    type GetBlobStream = Stream<BlobData>;

    async fn session(&self, _: Request<Streaming<Report>>) -> Result<Response<Self::SessionStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_blob(&self, request: Request<BlobRequest>) -> Result<Response<Self::GetBlobStream>, Status> {
        let data = request.into_inner().digest.into_bytes();
        Ok(Response::new(tokio_stream::iter(vec![Ok(BlobData { data })])))
    }
}

struct Served {
    folder: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
}

/// An engine that belongs to `uid`.
fn serve_as(uid: u32) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(async move {
        let router = Router::new().with(crate::dispatch_server(Echo));
        let stopped = async {
            let _ = stopped.await;
        };
        serve_for(uid, listener, router, stopped).await.unwrap();
    });
    Served { folder, stop, server }
}

impl Served {
    async fn channel(&self) -> Channel {
        connect(&self.folder.path().join("socket")).await.unwrap()
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap();
    }
}

#[tokio::test]
async fn the_owner_is_answered() {
    let served = serve_as(rustix::process::geteuid().as_raw());
    let channel = served.channel().await;
    let request = BlobRequest { digest: "abc".into() };
    let mut blob = crate::dispatch_client(channel.clone()).get_blob(request).await.unwrap().into_inner();
    assert_eq!(blob.message().await.unwrap().unwrap().data, b"abc");
    // A service that nobody mounted is an answer, too.
    let missing = crate::node_client(channel).image_list(crate::node::ImageListRequest::default()).await;
    assert_eq!(missing.unwrap_err().code(), Code::Unimplemented);
    served.end().await;
}

#[tokio::test]
async fn a_foreigner_is_refused() {
    // Root may talk to everyone's engine, so that the caller must be somebody else than root for this; the
    // router is asked directly instead.
    let served = serve_as(rustix::process::geteuid().as_raw());
    let stream = UnixStream::connect(served.folder.path().join("socket")).await.unwrap();
    let caller = |uid_of_engine: u32, info: Option<tonic::transport::server::UdsConnectInfo>| {
        let mut request = http::Request::new(tonic::body::Body::empty());
        if let Some(info) = info {
            request.extensions_mut().insert(info);
        }
        let mut router = Router::new().only(uid_of_engine);
        async move { Status::from_header_map(router.call(request).await.unwrap().headers()).unwrap().code() }
    };
    let info = tonic::transport::server::Connected::connect_info(&stream);
    let me = info.peer_cred.unwrap().uid();
    let elsewhere = if me == 0 { Code::Unimplemented } else { Code::PermissionDenied };
    assert_eq!(caller(me, Some(info.clone())).await, Code::Unimplemented);
    assert_eq!(caller(me + 1, Some(info)).await, elsewhere);
    assert_eq!(caller(me, None).await, Code::PermissionDenied);
    drop(stream);
    served.end().await;
}

#[tokio::test]
async fn nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    assert!(matches!(connect(&path).await, Err(ConnectError::Absent { .. })));
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a process that was killed leaves its socket");
    assert!(matches!(connect(&path).await, Err(ConnectError::Absent { .. })));
}

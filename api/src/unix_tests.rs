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
        serve_for(uid, listener, router, Clients::default(), stopped).await.unwrap();
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

/// The socket that [`as_a_foreigner`] talks to when this program runs it as another user.
const FOREIGNERS_SOCKET: &str = "ORC_TEST_FOREIGNERS_SOCKET";
const NOBODY: u32 = 65_534;

/// The other half of [`a_foreigner_is_refused`]; does nothing by itself.
#[tokio::test]
async fn as_a_foreigner() {
    let Some(path) = std::env::var_os(FOREIGNERS_SOCKET) else { return };
    let channel = connect(Path::new(&path)).await.unwrap();
    let refused = crate::dispatch_client(channel).get_blob(BlobRequest { digest: "abc".into() }).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_foreigner_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else.
        return;
    }
    let served = serve_as(0);
    let socket = served.folder.path().join("socket");
    for (path, mode) in [(served.folder.path(), 0o755), (socket.as_path(), 0o777)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // This program where everybody may execute it.
    let program = served.folder.path().join("foreigner");
    std::fs::copy("/proc/self/exe", &program).unwrap();
    let mut foreigner = tokio::process::Command::new(&program);
    foreigner.args(["--exact", "unix::tests::as_a_foreigner"]).env(FOREIGNERS_SOCKET, &socket).uid(NOBODY);
    let output = foreigner.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
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

//! Files of containers, as archives in both directions.

use std::io::Write;
use std::path::PathBuf;

use api::convert::from_json;
use api::node::copy_part::Kind;
use api::node::{
    CommitReply, CommitRequest, CopyPart, CopyRequest, CopyTarget, Done, ImageBytes, TaskRequest,
};
use api::parts::{Parts, Sink};
use runtime::copy::Packing;
use runtime::image::Changes;
use runtime::{Files, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::command::task_id;
use super::{Answers, status};
use crate::limits::STREAM_PARTS;

/// Sends an archive of a file or folder.
pub(super) async fn copy_out(runtime: &Runtime, request: CopyRequest) -> Result<Answers<ImageBytes>, Status> {
    let files = runtime.files(&task_id(&request.task)?).await.map_err(|error| status(&error))?;
    Ok(send(files, request.path.into(), Packing { follow: request.follow, ..Packing::default() }))
}

/// Sends an archive of all that is the container's own: what is mounted into it is left out.
pub(super) async fn export(runtime: &Runtime, request: &TaskRequest) -> Result<Answers<ImageBytes>, Status> {
    let files = runtime.files(&task_id(&request.task)?).await.map_err(|error| status(&error))?;
    Ok(send(files, PathBuf::from("/"), Packing { one_mount: true, ..Packing::default() }))
}

fn send(files: Files, path: PathBuf, packing: Packing) -> Answers<ImageBytes> {
    let (answers, stream) = mpsc::channel(STREAM_PARTS);
    tokio::task::spawn_blocking(move || {
        let mut sink = Sink::new(answers.clone(), |data| Ok(ImageBytes { data }));
        let packed = files.tree.pack(&path, packing, &mut sink);
        let sent = packed.map_err(|error| status(&error)).and_then(|()| {
            sink.flush().map_err(|error| Status::internal(format!("cannot send the archive: {error}")))
        });
        if let Err(error) = sent {
            // The caller may have gone away.
            let _ = answers.blocking_send(Err(error));
        }
    });
    Box::pin(ReceiverStream::new(stream))
}

/// Unpacks an archive into a container.
pub(super) async fn copy_in(runtime: &Runtime, mut parts: Streaming<CopyPart>) -> Result<Done, Status> {
    let Some(CopyPart { kind: Some(Kind::Target(target)) }) = parts.message().await? else {
        return Err(Status::invalid_argument("the first message has to say where to"));
    };
    let CopyTarget { task, path, content, keep_owner } = target;
    let files = runtime.files(&task_id(&task)?).await.map_err(|error| status(&error))?;
    let (bytes, receiver) = mpsc::channel(STREAM_PARTS);
    let unpacking = tokio::task::spawn_blocking(move || {
        let owner = (!keep_owner).then_some((0, 0));
        files.tree.unpack(&PathBuf::from(path), content, owner, Parts::new(receiver))
    });
    while let Some(CopyPart { kind }) = parts.message().await? {
        // Whoever unpacks has hung up, and says why below.
        if let Some(Kind::Data(data)) = kind
            && bytes.send(data).await.is_err()
        {
            break;
        }
    }
    drop(bytes);
    let unpacked = unpacking.await.map_err(|error| Status::internal(error.to_string()))?;
    unpacked.map_err(|error| status(&error))?;
    Ok(Done {})
}

/// Makes an image of a container.
pub(super) async fn commit(runtime: &Runtime, request: CommitRequest) -> Result<CommitReply, Status> {
    let task = task_id(&request.task)?;
    let config = from_json(&request.config_json, "the changes")?;
    let changes = Changes {
        parent: String::new(),
        reference: request.reference,
        created: request.created,
        author: request.author,
        message: request.message,
        config,
    };
    let id = runtime.commit(&task, changes, request.pause).await.map_err(|error| status(&error))?;
    Ok(CommitReply { id })
}

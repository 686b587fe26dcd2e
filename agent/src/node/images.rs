//! The images of this node: pull, list, load, save, remove.

use std::io::Write;

use api::node::{
    Image, ImageBytes, ImageListReply, ImageListRequest, ImageProgress, ImagePullRequest, ImageRemoveRequest,
    ImageResolveReply, ImageResolveRequest, ImageSaveRequest,
};
use api::parts::{Parts, Sink};
use runtime::image::{Credentials, Error, ImageStore, ImageSummary, PullPolicy, PullProgress, Reference};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::Answers;
use crate::chain;
use crate::limits::STREAM_PARTS;

/// Pulls an image and says how far it is.
pub(super) fn pull(
    images: ImageStore,
    credentials: Credentials,
    request: ImagePullRequest,
) -> Answers<ImageProgress> {
    let (answers, stream) = mpsc::channel(STREAM_PARTS);
    let credentials = with_config(credentials, request.docker_config);
    tokio::spawn(async move {
        let policy = if request.always { PullPolicy::Always } else { PullPolicy::Missing };
        // Progress that nobody takes in time is out of date anyway.
        let takes = answers.clone();
        let progress = move |progress: PullProgress| drop(takes.try_send(Ok(words(&progress))));
        let pulled =
            crate::pull::pull(images.clone(), request.reference, policy, credentials, progress).await;
        let last = pulled.map_err(|error| status(&error)).and_then(|image| {
            let summary = images.list().map_err(|error| status(&error))?;
            let found = summary.into_iter().find(|summary| summary.id == image.id);
            let image = found.map(|summary| message(&images, summary));
            Ok(ImageProgress { message: "ready".to_owned(), image, ..ImageProgress::default() })
        });
        // The caller may have gone away.
        let _ = answers.send(last).await;
    });
    Box::pin(ReceiverStream::new(stream))
}

/// Asks the registry what it means by a name.
pub(super) async fn resolve(
    images: ImageStore,
    credentials: Credentials,
    request: ImageResolveRequest,
) -> Result<ImageResolveReply, Status> {
    let credentials = with_config(credentials, request.docker_config);
    let pinned = crate::pull::resolve(images, request.reference, credentials).await;
    Ok(ImageResolveReply { pinned: pinned.map_err(|error| status(&error))?.to_string() })
}

/// The caller's own `config.json`, if there is one, instead of the engine's.
fn with_config(mut credentials: Credentials, docker_config: String) -> Credentials {
    if !docker_config.is_empty() {
        credentials.docker_config = Some(docker_config.into());
    }
    credentials
}

fn words(progress: &PullProgress) -> ImageProgress {
    let (message, done_bytes, total_bytes) = match progress {
        PullProgress::Resolving => ("resolving".to_owned(), 0, 0),
        PullProgress::Downloading { layer, done, total } => (format!("downloading {layer}"), *done, *total),
        PullProgress::Unpacking { layer } => (format!("unpacking {layer}"), 0, 0),
        PullProgress::Ready { layer } => (format!("ready {layer}"), 0, 0),
        PullProgress::Retrying { reason, delay_ms } => (format!("again in {delay_ms} ms: {reason}"), 0, 0),
    };
    ImageProgress { message, done_bytes, total_bytes, image: None }
}

/// All images, or those that a name or an id means.
pub(super) async fn list(images: ImageStore, request: ImageListRequest) -> Result<ImageListReply, Status> {
    blocking(move || {
        let wanted = match &request.reference {
            None => None,
            Some(reference) => match images.get(reference)? {
                Some(image) => Some(image.id),
                None => return Ok(ImageListReply::default()),
            },
        };
        let all = images.list()?.into_iter();
        let fits = |summary: &ImageSummary| wanted.as_ref().is_none_or(|id| *id == summary.id);
        Ok(ImageListReply { images: all.filter(fits).map(|summary| message(&images, summary)).collect() })
    })
    .await
}

/// Reads an archive; answers the images that it brought.
pub(super) async fn load(
    images: ImageStore,
    mut parts: Streaming<ImageBytes>,
) -> Result<ImageListReply, Status> {
    let (bytes, archive) = mpsc::channel(STREAM_PARTS);
    let loading = tokio::spawn(blocking(move || {
        let names = images.load(Parts::new(archive))?;
        let all = images.list()?.into_iter();
        let brought = |summary: &ImageSummary| summary.references.iter().any(|name| names.contains(name));
        Ok(ImageListReply { images: all.filter(brought).map(|summary| message(&images, summary)).collect() })
    }));
    while let Some(part) = parts.message().await? {
        // The store has what it needs, or has refused it.
        if bytes.send(part.data).await.is_err() {
            break;
        }
    }
    drop(bytes);
    loading.await.map_err(|error| Status::internal(error.to_string()))?
}

/// Writes an archive of images.
pub(super) fn save(images: ImageStore, request: ImageSaveRequest) -> Answers<ImageBytes> {
    let (answers, stream) = mpsc::channel(STREAM_PARTS);
    tokio::spawn(async move {
        let sink = Sink::new(answers.clone(), |data| Ok(ImageBytes { data }));
        let saved = blocking(move || {
            let mut sink = sink;
            images.save(&request.references, &mut sink)?;
            sink.flush().map_err(|source| Error::Io { doing: "cannot send the archive", source })
        });
        if let Err(error) = saved.await {
            // The caller may have gone away.
            let _ = answers.send(Err(error)).await;
        }
    });
    Box::pin(ReceiverStream::new(stream))
}

/// Removes names, and images with their last name; answers what is gone.
pub(super) async fn remove(
    images: ImageStore,
    request: ImageRemoveRequest,
) -> Result<ImageListReply, Status> {
    blocking(move || {
        let mut gone = Vec::new();
        for reference in &request.references {
            let removed = images.remove(reference, request.force)?;
            let id = removed.deleted.unwrap_or_default();
            gone.push(Image { id, references: removed.untagged, ..Image::default() });
        }
        Ok(ImageListReply { images: gone })
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Status::internal(error.to_string()))?.map_err(|error| status(&error))
}

fn status(error: &Error) -> Status {
    let message = chain(error);
    match error {
        Error::NotFound { .. } | Error::NotPresent { .. } => Status::not_found(message),
        Error::Reference { .. } | Error::Digest { .. } | Error::Ambiguous { .. } => {
            Status::invalid_argument(message)
        }
        Error::InUse { .. } | Error::BuiltIn { .. } => Status::failed_precondition(message),
        Error::Registry { .. } => Status::unavailable(message),
        _ => Status::internal(message),
    }
}

fn message(images: &ImageStore, summary: ImageSummary) -> Image {
    // An image that was removed meanwhile has no digest any more.
    let digest = images.get(&summary.id).ok().flatten().and_then(|image| image.digest);
    Image {
        id: summary.id,
        references: summary.references.iter().map(|reference| familiar(reference)).collect(),
        size_bytes: summary.size,
        created_at_ms: summary.created.as_deref().and_then(unix_ms).unwrap_or(0),
        digests: digest.into_iter().collect(),
    }
}

/// A name as people write it. What the store holds is always one.
fn familiar(reference: &str) -> String {
    reference.parse::<Reference>().map_or_else(|_| reference.to_owned(), |parsed| parsed.familiar())
}

/// `2026-01-02T03:04:05.678Z` in milliseconds since 1970; images are dated in UTC.
fn unix_ms(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since the 1st of March of the year 0, in a calendar whose years begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::unix_ms;

    #[test]
    fn dates_of_images() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00.5Z", Some(951_825_600_000)),
            ("2026-11-20T23:36:00Z", Some(1_795_217_760_000)),
            ("0001-01-01T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(unix_ms(text), expected, "{text}");
        }
    }
}

//! `orc image ls|pull|load|save|rm`: the images on this machine.

use std::path::PathBuf;

use api::node::{Image, ImageBytes, ImagePullRequest};
use cluster::Timestamp;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::images::{bytes, repository_and_tag};
use super::ps::{self, Format};
use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::{self, Client};
use crate::failure::{Doing, Failure, Outcome};
use crate::output::progress::{Renderer, Status, Step};
use crate::output::table::Table;
use crate::output::{Output, raw};
use crate::project;

/// Parts of an archive under way; more wait in the file.
const QUEUE: usize = 4;

/// What to do with images.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the images on this machine
    #[command(alias = "list")]
    Ls {
        /// Only print ids
        #[arg(short, long)]
        quiet: bool,
        /// Form of the output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Only images of this name
        reference: Option<String>,
    },
    /// Fetch images from their registries
    Pull {
        /// Ask the registry although the image is there
        #[arg(long)]
        always: bool,
        /// Image names
        #[arg(required = true)]
        references: Vec<String>,
    },
    /// Take images from an archive of `docker save` or an OCI archive
    Load {
        /// The archive (default: standard input)
        #[arg(short, long, value_name = "FILE")]
        input: Option<PathBuf>,
    },
    /// Put images into an archive
    Save {
        /// The archive (default: standard output)
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Image names
        #[arg(required = true)]
        references: Vec<String>,
    },
    /// Remove images
    #[command(alias = "remove")]
    Rm {
        /// Remove images that containers use, too
        #[arg(short, long)]
        force: bool,
        /// Image names or ids
        #[arg(required = true)]
        references: Vec<String>,
    },
}

/// Runs it.
pub(crate) async fn run(command: &Command, global: &Global, output: &Output) -> Outcome {
    let mut client = Client::connect(global).await?;
    match command {
        Command::Ls { quiet, format, reference } => {
            let images = client.images(reference.clone()).await?;
            list(&images, *quiet, *format, output);
            Ok(())
        }
        Command::Pull { always, references } => pull(&mut client, references, *always, output).await,
        Command::Load { input } => load(&mut client, input.as_ref(), output).await,
        Command::Save { output: file, references } => save(&mut client, references, file.as_ref()).await,
        Command::Rm { force, references } => {
            for image in client.remove_images(references.clone(), *force).await? {
                image.references.iter().for_each(|reference| output.line(&format!("removed {reference}")));
            }
            Ok(())
        }
    }
}

fn list(images: &[Image], quiet: bool, format: Format, output: &Output) {
    let now = Timestamp(now_ms());
    let mut table = Table::new(&["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    for image in images {
        if quiet {
            output.line(&image.id);
            continue;
        }
        let created = Timestamp(image.created_at_ms);
        // Not every image says when it was made.
        let dated = image.created_at_ms > 0;
        let since = if dated { format!("{} ago", ps::ago(now, created)) } else { "N/A".to_owned() };
        let nameless = [String::from("<none>:<none>")];
        let names = if image.references.is_empty() { &nameless[..] } else { &image.references };
        for name in names {
            let (repository, tag) = repository_and_tag(name);
            if format == Format::Json {
                let object = json!({
                    "ID": image.id, "Repository": repository, "Tag": tag,
                    "Digest": image.digests.first().map_or("<none>", String::as_str),
                    "CreatedAt": dated.then(|| ps::time(created)), "CreatedSince": since,
                    "Size": bytes(image.size_bytes),
                    // What docker does not say.
                    "SizeBytes": image.size_bytes,
                });
                output.line(&object.to_string());
            } else {
                let (id, size) = (short(&image.id), bytes(image.size_bytes));
                table.row([repository.to_owned(), tag.to_owned(), id, since.clone(), size]);
            }
        }
    }
    if !quiet && format == Format::Table {
        output.data(&table.render());
    }
}

/// The first digits of a digest, as Docker shows it.
pub(crate) fn short(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

pub(super) async fn pull(
    client: &mut Client,
    references: &[String],
    always: bool,
    output: &Output,
) -> Outcome {
    let docker_config = project::docker_config().map_or_else(String::new, |path| path.display().to_string());
    let mut renderer = output.progress();
    let mut result = Ok(());
    for reference in references {
        let request =
            ImagePullRequest { reference: reference.clone(), always, docker_config: docker_config.clone() };
        let pulled = pull_one(client, request, renderer.as_mut()).await;
        if pulled.is_err() {
            renderer.update(reference, step(reference, "failed", String::new(), Status::Failed));
        }
        result = result.and(pulled);
    }
    renderer.finish();
    result
}

async fn pull_one(client: &mut Client, request: ImagePullRequest, renderer: &mut dyn Renderer) -> Outcome {
    let reference = request.reference.clone();
    let doing = format!("cannot pull `{reference}`");
    renderer.update(&reference, step(&reference, "pulling", String::new(), Status::Working));
    let mut stream = client.pull(request).await?;
    while let Some(progress) = stream.message().await.map_err(|status| client::refusal(&doing, &status))? {
        let (text, note, status) = match &progress.image {
            Some(image) => ("pulled".to_owned(), short(&image.id), Status::Done),
            None if progress.total_bytes > 0 => {
                let share = format!("{} of {}", bytes(progress.done_bytes), bytes(progress.total_bytes));
                (progress.message, share, Status::Working)
            }
            None => (progress.message, String::new(), Status::Working),
        };
        renderer.update(&reference, step(&reference, &text, note, status));
    }
    Ok(())
}

fn step(label: &str, text: &str, note: String, status: Status) -> Step {
    Step { label: label.to_owned(), text: text.to_owned(), note, status }
}

async fn load(client: &mut Client, input: Option<&PathBuf>, output: &Output) -> Outcome {
    let source: Box<dyn AsyncRead + Send + Unpin> = match input {
        Some(path) => {
            let file = tokio::fs::File::open(path).await;
            Box::new(file.doing(|| format!("cannot open `{}`", path.display()))?)
        }
        None => Box::new(tokio::io::stdin()),
    };
    let (sender, receiver) = mpsc::channel(QUEUE);
    let reading = tokio::spawn(read_archive(source, sender));
    let loaded = client.load_images(ReceiverStream::new(receiver)).await;
    reading.await.doing(|| "cannot read the archive".to_owned())??;
    for image in loaded? {
        image.references.iter().for_each(|reference| output.line(&format!("loaded {reference}")));
        if image.references.is_empty() {
            output.line(&format!("loaded {}", image.id));
        }
    }
    Ok(())
}

async fn read_archive(
    mut source: Box<dyn AsyncRead + Send + Unpin>,
    to: mpsc::Sender<ImageBytes>,
) -> Outcome {
    loop {
        let mut data = Vec::with_capacity(api::limits::CHUNK_BYTES);
        let length = (&mut source).take(api::limits::CHUNK_BYTES as u64).read_to_end(&mut data).await;
        // When the engine has hung up, it says why.
        if length.doing(|| "cannot read the archive".to_owned())? == 0
            || to.send(ImageBytes { data }).await.is_err()
        {
            return Ok(());
        }
    }
}

async fn save(client: &mut Client, references: &[String], file: Option<&PathBuf>) -> Outcome {
    if file.is_none() && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        return Err(Failure::new("an archive is nothing for a terminal").hint("name a file with `--output`"));
    }
    let mut stream = client.save_images(references.to_vec()).await?;
    let mut target = match file {
        Some(path) => {
            let created = tokio::fs::File::create(path).await;
            Some(created.doing(|| format!("cannot write `{}`", path.display()))?)
        }
        None => None,
    };
    let failed = |status: tonic::Status| client::refusal("cannot save the images", &status);
    while let Some(part) = stream.message().await.map_err(failed)? {
        match &mut target {
            Some(file) => file.write_all(&part.data).await.doing(|| "cannot write the archive".to_owned())?,
            None => raw::stdout(&part.data),
        }
    }
    if let Some(mut file) = target {
        file.flush().await.doing(|| "cannot write the archive".to_owned())?;
    }
    Ok(())
}

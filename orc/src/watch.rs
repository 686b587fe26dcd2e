//! A stack as it is now, kept up to date by the manager.

use api::control::WatchEvent;
use api::convert::Watched;
use cluster::view::StackView;
use tonic::Streaming;

use crate::client::{self, Client};
use crate::failure::{Failure, Outcome};

/// One stack, followed.
pub(crate) struct StackWatch {
    stream: Streaming<WatchEvent>,
    view: Option<StackView>,
    version: u64,
}

impl StackWatch {
    /// Begins to follow a stack, which need not be there yet, and waits until all is known that there is.
    pub(crate) async fn open(client: &mut Client, stack: &str) -> Outcome<Self> {
        let stream = client.watch(Some(stack)).await?;
        let mut watch = Self { stream, view: None, version: 0 };
        while !watch.receive().await? {}
        Ok(watch)
    }

    /// The stack; `None` when there is none.
    pub(crate) fn view(&self) -> Option<&StackView> {
        self.view.as_ref()
    }

    /// Waits for the next version of what there is. Cancel safe.
    pub(crate) async fn changed(&mut self) -> Outcome {
        while !self.receive().await? {}
        Ok(())
    }

    /// Waits until the view is at least as new as a version.
    pub(crate) async fn reach(&mut self, version: u64) -> Outcome {
        while self.version < version {
            self.changed().await?;
        }
        Ok(())
    }

    /// Takes one message over; answers whether it was the last part of a version: all of it is in the view then.
    async fn receive(&mut self) -> Outcome<bool> {
        let message =
            self.stream.message().await.map_err(|status| client::refusal("the engine went away", &status))?;
        let message = message.ok_or_else(|| {
            Failure::new("the engine ended")
                .hint("what it was told goes on when it is started again: see `orc ps`")
        })?;
        let version = message.version;
        let watched = Watched::from_event(message).map_err(|status| client::misunderstood(&status))?;
        match watched {
            Watched::Stack(view) => self.view = Some(*view),
            Watched::Task { service, task, view, .. } => {
                // A service's first task follows the stack that names the service.
                if let Some(service) = self.view.as_mut().and_then(|stack| stack.services.get_mut(&service)) {
                    match view {
                        Some(view) => _ = service.tasks.insert(task, *view),
                        None => _ = service.tasks.remove(&task),
                    }
                }
            }
            Watched::Service { service, view, .. } => {
                if let Some(stack) = self.view.as_mut() {
                    match view {
                        Some(view) => _ = stack.services.insert(service, *view),
                        None => _ = stack.services.remove(&service),
                    }
                }
            }
            Watched::StackGone(_) => self.view = None,
            Watched::Synced => {
                self.version = self.version.max(version);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

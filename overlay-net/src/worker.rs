//! The one thread that talks to the kernel: jobs are done one after the other, in the order they were given.
//!
//! More threads would only wait for each other at the kernel's lock of the routing tables.

use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::host::Host;
use crate::{Error, Result};

type Job = Box<dyn FnOnce(&mut Host) + Send>;

/// Gives jobs to the thread, which ends when the last clone is gone.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// Starts the thread in the caller's network namespace; `open` makes what the jobs work on.
    pub(crate) async fn start(open: impl FnOnce() -> Result<Host> + Send + 'static) -> Result<Worker> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (ready, opened) = oneshot::channel();
        std::thread::Builder::new()
            .name("orc-net".into())
            .spawn(move || match open() {
                Ok(mut host) => {
                    // Nobody waits any more: the queue is closed as well, so the loop ends.
                    let _ = ready.send(Ok(()));
                    queue.into_iter().for_each(|job| job(&mut host));
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            })
            .map_err(|source| Error::system("start the network worker", source))?;
        opened.await.map_err(|_| Error::Closed)??;
        Ok(Worker { jobs })
    }

    /// Has `job` done on the thread, some time. A failure is only worth a note.
    pub(crate) fn post(&self, job: impl FnOnce(&mut Host) -> Result<()> + Send + 'static) {
        let job: Job = Box::new(move |host| {
            if let Err(error) = job(host) {
                tracing::debug!("{error}");
            }
        });
        // If the thread has ended, there is nothing left to do it for.
        let _ = self.jobs.send(job);
    }

    /// Does `job` on the thread and gives its result.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Host) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |host| {
            // A caller that stopped waiting does not undo what was done.
            let _ = done.send(job(host));
        });
        self.jobs.send(job).map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::Closed)?
    }
}

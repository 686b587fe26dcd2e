//! Lines from several tasks at once, also of tasks that appear later.

use std::collections::BTreeMap;

use api::node::{LogLine, LogsRequest};
use cluster::view::StackView;
use cluster::{Task, TaskId};
use tokio::sync::mpsc;

use crate::client::{self, Client};
use crate::failure::Outcome;
use crate::output::log::LogPrinter;

/// Lines under way from the engine; more wait at their source.
const QUEUE: usize = 256;

/// Which lines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query {
    /// Those that will be written too.
    pub(crate) follow: bool,
    /// At most so many of each task's old ones.
    pub(crate) tail: Option<u64>,
    /// Not older, in milliseconds since the epoch.
    pub(crate) since_ms: Option<u64>,
    /// Not newer.
    pub(crate) until_ms: Option<u64>,
}

/// The lines of some tasks.
pub(crate) struct Lines {
    client: Client,
    query: Query,
    sender: mpsc::Sender<Outcome<LogLine>>,
    receiver: mpsc::Receiver<Outcome<LogLine>>,
    /// The name of each task asked for.
    names: BTreeMap<String, String>,
    /// How many lines of each task were printed; they were its first ones.
    printed: BTreeMap<String, u64>,
    /// How many lines of each task came from those who follow.
    followed: BTreeMap<String, u64>,
    open: usize,
}

impl Lines {
    /// No lines yet.
    pub(crate) fn new(client: Client, query: Query) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (names, printed, followed) = Default::default();
        Self { client, query, sender, receiver, names, printed, followed, open: 0 }
    }

    /// Asks for the lines of those tasks that were not asked for yet. The first request gets old lines merged
    /// by time; a task that appears later has none that anyone missed.
    pub(crate) fn add(&mut self, view: &StackView, wanted: impl Fn(&str) -> bool) {
        self.add_tasks(view, |service, _| wanted(service));
    }

    /// Likewise, for single tasks.
    pub(crate) fn add_tasks(&mut self, view: &StackView, wanted: impl Fn(&str, &Task) -> bool) {
        let mut new = Vec::new();
        for (service, value) in &view.services {
            // Before there is a container there is no log that could be followed.
            let tasks = value.tasks.values().filter(|task| task.task.container().is_some());
            for task in tasks.filter(|task| wanted(service, &task.task)) {
                let name = short_name(view, service, value.spec.one_off.is_some(), &task.container_name);
                if self.names.insert(task.task.id.to_string(), name).is_none() {
                    new.push(task.task.id);
                }
            }
        }
        self.request(&new);
    }

    fn request(&mut self, tasks: &[TaskId]) {
        if tasks.is_empty() {
            return;
        }
        let request = LogsRequest {
            tasks: tasks.iter().map(TaskId::to_string).collect(),
            follow: self.query.follow,
            tail: self.query.tail,
            since_ms: self.query.since_ms,
            until_ms: self.query.until_ms,
        };
        self.open += 1;
        let (mut client, sender) = (self.client.clone(), self.sender.clone());
        tokio::spawn(async move {
            let failed = forward(&mut client, request, &sender).await;
            if let Err(failure) = failed {
                let _ = sender.send(Err(failure)).await;
            }
            // A line from nobody marks the end.
            let _ = sender.send(Ok(LogLine::default())).await;
        });
    }

    /// How names are shown, for a printer.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.names.values().cloned()
    }

    /// How a task is shown.
    pub(crate) fn name(&self, task: TaskId) -> &str {
        self.names.get(&task.to_string()).map_or("", String::as_str)
    }

    /// Whether lines can still come.
    pub(crate) fn is_open(&self) -> bool {
        self.open > 0
    }

    /// The next line; `None` when there will be none from the tasks added so far. Cancel safe.
    pub(crate) async fn next(&mut self) -> Outcome<Option<LogLine>> {
        while self.open > 0 {
            // `self` holds a sender, so that the channel is never closed.
            match self.receiver.recv().await {
                Some(Ok(line)) if line.task.is_empty() => self.open -= 1,
                Some(line) => return line.map(Some),
                None => break,
            }
        }
        Ok(None)
    }

    /// Prints a line, unless it was among the rest that was printed already.
    pub(crate) fn print(&mut self, line: &LogLine, printer: &mut LogPrinter) {
        let followed = self.followed.entry(line.task.clone()).or_default();
        *followed += 1;
        let number = *followed;
        self.print_once(line, number, printer);
    }

    fn print_once(&mut self, line: &LogLine, number: u64, printer: &mut LogPrinter) {
        let printed = self.printed.entry(line.task.clone()).or_default();
        if number <= *printed {
            return;
        }
        *printed = number;
        let name = self.names.get(&line.task).map_or(line.task.as_str(), String::as_str);
        printer.line(name, &time(line), &line.line);
    }

    /// Prints what containers that have ended wrote and nobody printed yet. A line that was written just before
    /// the end may reach a follower after the news of the end: only the log itself knows which is the last.
    pub(crate) async fn rest_of(&mut self, tasks: &[TaskId], printer: &mut LogPrinter) -> Outcome {
        let tasks = tasks.iter().map(TaskId::to_string).collect();
        let request = LogsRequest {
            tasks,
            follow: false,
            tail: self.query.tail,
            since_ms: self.query.since_ms,
            until_ms: self.query.until_ms,
        };
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        let mut stream = self.client.logs(request).await?;
        let failed = |status: tonic::Status| client::refusal("cannot read the logs", &status);
        while let Some(line) = stream.message().await.map_err(failed)? {
            let seen = seen.entry(line.task.clone()).or_default();
            *seen += 1;
            let number = *seen;
            self.print_once(&line, number, printer);
        }
        Ok(())
    }
}

async fn forward(client: &mut Client, request: LogsRequest, to: &mpsc::Sender<Outcome<LogLine>>) -> Outcome {
    let mut stream = client.logs(request).await?;
    loop {
        let line =
            stream.message().await.map_err(|status| client::refusal("cannot read the logs", &status))?;
        match line {
            Some(line) => {
                if to.send(Ok(line)).await.is_err() {
                    return Ok(());
                }
            }
            None => return Ok(()),
        }
    }
}

/// `web-1` of `shop-web-1`, as docker compose shows it.
fn short_name(view: &StackView, service: &str, one_off: bool, container: &str) -> String {
    if one_off {
        return service.to_owned();
    }
    let prefix = format!("{}-", view.name);
    container.strip_prefix(&prefix).unwrap_or(container).to_owned()
}

/// RFC 3339 with nanoseconds, as Docker prints it.
fn time(line: &LogLine) -> String {
    let nanos = i128::from(line.at_ms) * 1_000_000 + i128::from(line.at_nanos);
    jiff::Timestamp::from_nanosecond(nanos).map_or_else(|_| "-".to_owned(), |time| format!("{time:.9}"))
}

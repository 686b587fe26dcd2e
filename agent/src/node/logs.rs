//! The logs of several containers as one stream: what is there in the order of time, then what comes.

use std::collections::BTreeMap;

use api::node::{LogLine, LogsRequest};
use cluster::TaskId;
use futures_util::stream::{SelectAll, StreamExt};
use runtime::{LogQuery, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Answers, status};
use crate::limits::{LOG_TASKS, STREAM_PARTS};

/// Reads the logs that are asked for. A reader that is slow slows only itself.
#[allow(clippy::result_large_err, reason = "tonic's error, as its traits want it")]
pub(super) fn read(runtime: &Runtime, request: &LogsRequest) -> Result<Answers<LogLine>, Status> {
    if request.tasks.len() > LOG_TASKS {
        return Err(Status::invalid_argument(format!("more than {LOG_TASKS} tasks at once")));
    }
    let mut tasks = Vec::new();
    for text in &request.tasks {
        let bad = |_| Status::invalid_argument(format!("`{text}` is not the id of a task"));
        tasks.push(text.parse::<TaskId>().map_err(bad)?.to_string());
    }
    let query = LogQuery {
        tail: request.tail.map(|tail| usize::try_from(tail).unwrap_or(usize::MAX)),
        since_ms: request.since_ms,
        until_ms: request.until_ms,
        after_seq: None,
        follow: false,
    };
    let (lines, answers) = mpsc::channel(STREAM_PARTS);
    let reader = Reader { runtime: runtime.clone(), lines };
    tokio::spawn(reader.run(tasks, query, request.follow));
    Ok(Box::pin(ReceiverStream::new(answers)))
}

struct Reader {
    runtime: Runtime,
    lines: mpsc::Sender<Result<LogLine, Status>>,
}

/// The reader has gone away.
struct Gone;

impl Reader {
    async fn run(self, tasks: Vec<String>, query: LogQuery, follow: bool) {
        let live = LogQuery { follow: true, ..query };
        // Without any line of the past there is nothing to go on from.
        let past = if follow && query.tail == Some(0) {
            tasks.into_iter().map(|task| (task, live)).collect()
        } else {
            let Ok(last) = self.past(&tasks, query).await else { return };
            let go_on = |task: String| {
                let after_seq = last.get(&task).copied();
                (task, LogQuery { tail: None, after_seq, ..live })
            };
            tasks.into_iter().map(go_on).collect()
        };
        if follow {
            // Whether it ends or its reader goes, the stream is over.
            let _ = self.live(past).await;
        }
    }

    /// Sends what is there, the oldest line of all first; gives the number of each task's last line.
    async fn past(&self, tasks: &[String], query: LogQuery) -> Result<BTreeMap<String, u64>, Gone> {
        let mut streams: Vec<_> = tasks.iter().map(|task| self.runtime.logs(task, query)).collect();
        let mut heads = Vec::with_capacity(streams.len());
        for stream in &mut streams {
            heads.push(stream.next().await);
        }
        let mut last = BTreeMap::new();
        loop {
            let oldest = heads
                .iter()
                .enumerate()
                .filter_map(|(index, head)| {
                    Some((head.as_ref()?.as_ref().map_or(0, |line| line.at_ms), index))
                })
                .min();
            let Some((_, index)) = oldest else { return Ok(last) };
            let next = streams[index].next().await;
            let Some(line) = std::mem::replace(&mut heads[index], next) else { continue };
            if let Ok(line) = &line {
                last.insert(tasks[index].clone(), line.seq);
            }
            self.send(&tasks[index], line).await?;
        }
    }

    /// Sends what comes, until the containers are removed.
    async fn live(&self, tasks: Vec<(String, LogQuery)>) -> Result<(), Gone> {
        let mut all = SelectAll::new();
        for (task, query) in tasks {
            let stream = self.runtime.logs(&task, query);
            all.push(stream.map(move |line| (task.clone(), line)));
        }
        loop {
            let next = tokio::select! {
                next = all.next() => next,
                () = self.lines.closed() => return Err(Gone),
            };
            let Some((task, line)) = next else { return Ok(()) };
            self.send(&task, line).await?;
        }
    }

    async fn send(&self, task: &str, line: runtime::Result<runtime::LogLine>) -> Result<(), Gone> {
        let answer = match line {
            Ok(line) => Ok(message(task, line)),
            // A container that is not made yet, or not any more, has said nothing.
            Err(runtime::Error::NotFound { .. }) => return Ok(()),
            Err(error) => Err(status(&error)),
        };
        self.lines.send(answer).await.map_err(|_| Gone)
    }
}

fn message(task: &str, line: runtime::LogLine) -> LogLine {
    let mut bytes = line.bytes;
    if !line.partial {
        bytes.push(b'\n');
    }
    LogLine {
        task: task.to_owned(),
        at_ms: line.at_ms,
        at_nanos: 0,
        stderr: line.stream == runtime::Stream::Stderr,
        line: bytes,
    }
}

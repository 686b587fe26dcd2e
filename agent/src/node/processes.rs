//! What is done to containers' processes at once, without a wish: signals and pauses, and looking at them.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use api::node::{
    Done, PauseRequest, Process, SignalRequest, StatsReply, StatsRequest, TaskRequest, TopReply, Usage,
};
use cluster::TaskId;
use runtime::Runtime;
use tokio::sync::mpsc;
use tonic::Status;

use super::command::task_id;
use super::status;
use crate::limits::LOG_TASKS;
use crate::machine;
use crate::run::Event;

/// Sends a signal to the first process of a container.
pub(super) async fn signal(runtime: &Runtime, request: &SignalRequest) -> Result<Done, Status> {
    let task = task_id(&request.task)?;
    runtime.signal(&task, request.signal).await.map_err(|error| status(&error))?;
    Ok(Done {})
}

/// Stops the clock of a container, or starts it again, and says so.
pub(super) async fn pause(
    runtime: &Runtime,
    events: &mpsc::Sender<Event>,
    request: &PauseRequest,
) -> Result<Done, Status> {
    let task = task_id(&request.task)?;
    let done = if request.paused { runtime.pause(&task).await } else { runtime.unpause(&task).await };
    done.map_err(|error| status(&error))?;
    if let Ok(id) = task.parse::<TaskId>() {
        // An agent that is being stopped leaves it to the next one to see.
        let _ = events.send(Event::Paused(id, request.paused)).await;
    }
    Ok(Done {})
}

/// The processes of a container.
pub(super) async fn top(runtime: &Runtime, request: &TaskRequest) -> Result<TopReply, Status> {
    let task = task_id(&request.task)?;
    let processes = runtime.processes(&task).await.map_err(|error| status(&error))?;
    let process = |process: runtime::ProcessStatus| Process {
        pid: process.pid,
        parent: process.parent,
        uid: process.uid,
        terminal: process.terminal.unwrap_or_default(),
        started_at_ms: process.started_at_ms,
        cpu_ms: process.cpu_ms,
        command: process.command,
    };
    Ok(TopReply { processes: processes.into_iter().map(process).collect() })
}

/// What containers use.
pub(super) async fn stats(runtime: &Runtime, request: &StatsRequest) -> Result<StatsReply, Status> {
    if request.tasks.len() > LOG_TASKS {
        return Err(Status::invalid_argument(format!("more than {LOG_TASKS} tasks at once")));
    }
    let mut tasks = Vec::with_capacity(request.tasks.len());
    for task in &request.tasks {
        // One that has ended meanwhile uses nothing.
        let Ok(stats) = runtime.stats(&task_id(task)?).await else { continue };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        tasks.push(Usage {
            task: task.clone(),
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            cpu_nanos: stats.cpu_nanos,
            memory_bytes: stats.memory_bytes,
            memory_limit_bytes: stats.memory_limit_bytes,
            pids: stats.pids,
            read_bytes: stats.read_bytes,
            written_bytes: stats.written_bytes,
            received_bytes: stats.received_bytes,
            sent_bytes: stats.sent_bytes,
        });
    }
    let description = machine::describe(&BTreeMap::new());
    Ok(StatsReply {
        tasks,
        machine_memory_bytes: description.memory_bytes,
        processors: u32::try_from(description.cpu_nanos / 1_000_000_000).unwrap_or(1),
    })
}

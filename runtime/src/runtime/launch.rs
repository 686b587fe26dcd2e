//! Starting a container: one process that says on one pipe how it went.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::io::AsyncReadExt;

use super::watch::{Entry, clean_up, watch};
use super::{Inner, blocking, create, join};
use crate::bundle::{Bundle, Launched};
use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::external;
use crate::folders;
use crate::limits;
use crate::process::ProcessId;
use crate::session::FdStream;
use crate::status::{FoundState, Started};

pub(super) async fn start(inner: &Arc<Inner>, entry: &Arc<Entry>) -> Result<Started> {
    let id = entry.id.clone();
    if matches!(*entry.state.borrow(), FoundState::Running(_)) {
        return Err(Error::AlreadyRunning { id });
    }
    let (mut child, report) = {
        let (inner, given) = (inner.clone(), entry.swap_given(None));
        blocking(move || spawn(&inner, &id, given).inspect_err(|_| inner.mounted.leave(&id))).await?
    };
    let launched = hear(report).await;
    match launched {
        Some(Launched::Running(started)) => {
            let shim = ProcessId::of(child.id()).ok().and_then(ProcessId::open);
            // Its child has not been collected, so its number is still its own and the handle opens.
            let shim = shim.ok_or_else(|| Error::Start {
                id: entry.id.clone(),
                reason: "its shim cannot be watched".to_owned(),
            })?;
            entry.state.send_replace(FoundState::Running(started));
            watch(inner.clone(), entry.clone(), shim, Some(child))?;
            Ok(started)
        }
        failed => {
            let inner = inner.clone();
            let entry = entry.clone();
            blocking(move || {
                let _ = child.kill();
                let _ = child.wait();
                Err(unwind(&inner, &entry, failed))
            })
            .await
        }
    }
}

/// The shim's word, or nothing if it ended or hung without one.
async fn hear(report: OwnedFd) -> Option<Launched> {
    let mut report = FdStream::new(report).ok()?;
    let mut text = Vec::new();
    let read = tokio::time::timeout(limits::START_TIMEOUT, report.read_to_end(&mut text)).await;
    read.ok()?.ok()?;
    serde_json::from_slice(&text).ok()
}

fn spawn(inner: &Inner, id: &str, given: Option<UnixStream>) -> Result<(Child, OwnedFd)> {
    let folders = inner.folders(id);
    let mut stored = create::stored(&folders)?.ok_or_else(|| Error::NotFound { id: id.to_owned() })?;
    let missing = (0..stored.config.files.len()).find(|index| !folders.injected(*index).exists());
    if let Some(index) = missing {
        let target = &stored.config.files[index].target;
        let reason = format!("the content for `{target}` did not outlive the reboot; create it again first");
        return Err(Error::Start { id: id.to_owned(), reason });
    }
    folders::private_dir(&folders.run)?;
    let refused = |reason| Error::Start { id: id.to_owned(), reason };
    let oci_runtime =
        external::program(&stored.config, inner.config.oci_runtime.as_deref()).map_err(refused)?;
    let logs = inner.folders(stored.config.log.of.as_deref().unwrap_or(id)).logs();
    let joined = join::resolve(inner, &mut stored.config)?;
    let bundle = Bundle {
        config: stored.config,
        joined,
        root: stored.root,
        images: stored.images,
        durable: folders.durable.clone(),
        logs,
        run: folders.run.clone(),
        cgroup: inner.cgroup_path(id)?,
        program: inner.program.clone(),
        oci_runtime,
    };
    inner.mounted.take(&bundle.config)?;
    // A shim that was killed may have left a group; a container never starts into another's.
    clean_up(&folders, &inner.cgroup(id)?)?;
    folders::write_json(&folders.bundle(), &bundle, false)?;
    let parent = Cgroup::at(&folders::cgroup_parent(&inner.config.engine_id));
    parent
        .and_then(|parent| parent.ensure())
        .map_err(Error::system("cannot make a cgroup for containers"))?;
    if let Some(asked) = &bundle.config.cgroup_parent {
        let engine = &inner.config.engine_id;
        Cgroup::at(&folders::cgroup_parent_of(engine, Some(asked)))
            .and_then(|parent| parent.ensure_as(engine))
            .map_err(Error::system(format!("cannot make the cgroup `{asked}` for a container")))?;
    }
    // From here on the earlier run is forgotten; until the new one writes its own it counts as created.
    folders::remove_file(&folders.started())?;
    folders::remove_file(&folders.exit())?;
    let log = File::create(folders.shim_log()).map_err(Error::file("cannot create", &folders.shim_log()))?;
    let mut child = Command::new(inner.sealed.path())
        .arg0("orc")
        .arg("shim")
        .arg(&folders.run)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(given.map_or_else(Stdio::null, |given| OwnedFd::from(given).into()))
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(Error::file("cannot start a shim from", &inner.program))?;
    let report = child.stdout.take().ok_or_else(|| Error::Start {
        id: id.to_owned(),
        reason: "its shim has no standard output".to_owned(),
    })?;
    Ok((child, report.into()))
}

/// Removes what a shim that failed, hung or was killed may have left, and says why it did not start.
fn unwind(inner: &Inner, entry: &Entry, launched: Option<Launched>) -> Error {
    let id = entry.id.clone();
    let folders = inner.folders(&id);
    let said = std::fs::read_to_string(folders.shim_log()).unwrap_or_default();
    let cleaned = inner.cgroup(&id).and_then(|cgroup| clean_up(&folders, &cgroup));
    if let Err(error) = cleaned {
        tracing::warn!("{}", crate::error::chain(&error));
    }
    let _ = folders::remove_file(&folders.started());
    inner.mounted.leave(&id);
    match launched {
        Some(Launched::Failed(failure)) => match failure.code {
            Some(code) => {
                if let Ok(Some(exit)) = folders::read_json(&folders.exit()) {
                    entry.state.send_replace(FoundState::Exited(exit));
                }
                Error::Command { code, reason: failure.reason }
            }
            None => {
                entry.state.send_replace(FoundState::Created);
                Error::Start { id, reason: explained(failure.reason, &said) }
            }
        },
        _ => {
            entry.state.send_replace(FoundState::Created);
            let seconds = limits::START_TIMEOUT.as_secs();
            let reason = format!("its shim ended or said nothing for {seconds} seconds");
            Error::Start { id, reason: explained(reason, &said) }
        }
    }
}

/// libcontainer logs what its errors do not say.
fn explained(reason: String, said: &str) -> String {
    match said.lines().next() {
        Some(first) if !reason.contains(first) => format!("{reason} ({first})"),
        _ => reason,
    }
}

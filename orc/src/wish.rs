//! From a loaded project to a wish that the manager can be given: contents read and stored, ports looked at.

use std::fs::File;
use std::path::Path;

use api::limits::MAX_BLOB_BYTES;
use api::node::Port;
use cluster::view::{PortChoice, port_choice};
use cluster::{FileDigests, PutStack, Refusal, StackSpec};
use compose_spec::{Loaded, Project};
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::failure::{Doing, Failure, Outcome};
use crate::output::Output;
use crate::{files, project};

/// A wish and what has to be stored before it is stated.
pub(crate) struct Wish {
    pub(crate) put: PutStack,
    blobs: Vec<Vec<u8>>,
}

impl Wish {
    /// The wish for a project as it stands: all of it, replaced only where it changed.
    pub(crate) fn new(loaded: &Loaded, project: &Project) -> Outcome<Self> {
        let mut contents = Contents { loaded, blobs: Vec::new(), missing: Vec::new() };
        let digests = contents.digests(project);
        let mut wrong = contents.missing;
        let spec = match StackSpec::from_project(project, &digests) {
            Ok(spec) if wrong.is_empty() => spec,
            result => {
                let errors = result.err().into_iter().flat_map(|errors| errors.0);
                wrong.extend(errors.map(|error| error.to_string()));
                return Err(Failure::new(format!("cannot run stack `{}`", project.name)).causes(wrong));
            }
        };
        let config_files = loaded.files.iter().map(|path| path.display().to_string()).collect();
        let put = PutStack { config_files, ..PutStack::new(spec) };
        Ok(Self { put, blobs: contents.blobs })
    }

    /// Refuses what no engine would grant, all of it at once.
    pub(crate) fn check(&self) -> Outcome {
        let refusals = self.put.check();
        let text = |refusal: &Refusal| match refusal.hint() {
            Some(hint) => format!("{refusal}: {hint}"),
            None => refusal.to_string(),
        };
        match refusals.as_slice() {
            [] => Ok(()),
            [one] => {
                let failure = Failure::new(one.to_string());
                Err(one.hint().map(str::to_owned).into_iter().fold(failure, Failure::hint))
            }
            all => Err(Failure::new(format!("stack `{}` cannot be granted", self.put.spec.name))
                .causes(all.iter().map(text))),
        }
    }

    /// Refuses when a host port that the file names is somebody else's, before anything is started; warns when
    /// the machine's packet filter is in the way.
    pub(crate) async fn check_ports(&self, client: &mut Client, output: &Output) -> Outcome {
        let mut ports = Vec::new();
        for (name, service) in &self.put.spec.services {
            if self.put.services.is_empty() || self.put.services.contains(name) {
                ports.extend(service.compose.ports.iter().filter_map(fixed_port));
            }
        }
        let reply = client.check_ports(ports).await?;
        if !reply.obstacle.is_empty() {
            output.warning(&reply.obstacle);
        }
        let Some(first) = reply.taken.first() else { return Ok(()) };
        let port = first.port.clone().unwrap_or_default();
        let owner = match (first.command.as_str(), first.pid) {
            ("", _) => "another program".to_owned(),
            (command, pid) => format!("`{command}` (pid {pid})"),
        };
        Err(Failure::new(format!("port {}/{} is already used by {owner}", port.port, port.protocol))
            .hint("end that program, or publish another port; nothing was started"))
    }

    /// Stores the contents of secrets and configs.
    pub(crate) async fn store(&self, client: &mut Client) -> Outcome {
        for blob in &self.blobs {
            client.put_blob(blob).await?;
        }
        Ok(())
    }
}

fn fixed_port(port: &compose_spec::Port) -> Option<Port> {
    let PortChoice::Fixed(number) = port_choice(port) else { return None };
    Some(Port {
        host_ip: port.host_ip.clone().unwrap_or_default(),
        port: number.into(),
        protocol: port.protocol.clone().unwrap_or_else(|| "tcp".to_owned()),
    })
}

struct Contents<'a> {
    loaded: &'a Loaded,
    blobs: Vec<Vec<u8>>,
    /// Why some contents cannot be had.
    missing: Vec<String>,
}

impl Contents<'_> {
    fn digests(&mut self, project: &Project) -> FileDigests {
        let mut digests = FileDigests::default();
        for (key, secret) in &project.secrets {
            let what = format!("secret `{key}`");
            let content = self.content(&what, secret.file.as_deref(), secret.environment.as_deref(), None);
            digests.secrets.insert(key.clone(), self.keep(content));
        }
        for (key, config) in &project.configs {
            let (file, variable) = (config.file.as_deref(), config.environment.as_deref());
            let content = self.content(&format!("config `{key}`"), file, variable, config.content.as_deref());
            digests.configs.insert(key.clone(), self.keep(content));
        }
        digests
    }

    fn content(
        &self,
        what: &str,
        file: Option<&str>,
        variable: Option<&str>,
        content: Option<&str>,
    ) -> Outcome<Vec<u8>> {
        if let Some(file) = file {
            let path = self.loaded.project_directory.join(Path::new(file));
            let read = File::open(&path).and_then(|file| files::read_at_most(file, MAX_BLOB_BYTES));
            return read.doing(|| format!("cannot read {what} from `{}`", path.display()));
        }
        let text = match (variable, content) {
            (Some(name), _) => {
                let value = self.loaded.environment.get(name).cloned().or_else(|| project::variable(name));
                value.ok_or_else(|| Failure::new(format!("{what} comes from `{name}`, which is not set")))?
            }
            (None, Some(content)) => content.to_owned(),
            (None, None) => {
                return Err(Failure::new(format!("{what} names no file, variable or content"))
                    .hint("secrets and configs from outside the file are not supported yet"));
            }
        };
        if text.len() > MAX_BLOB_BYTES {
            return Err(Failure::new(format!("{what} has more than {MAX_BLOB_BYTES} bytes")));
        }
        Ok(text.into_bytes())
    }

    /// The digest under which a content is stored; that of one that cannot be had does not matter.
    fn keep(&mut self, content: Outcome<Vec<u8>>) -> String {
        match content {
            Ok(content) => {
                let digest = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
                self.blobs.push(content);
                digest
            }
            Err(failure) => {
                self.missing.push(failure.in_one_line());
                String::new()
            }
        }
    }
}

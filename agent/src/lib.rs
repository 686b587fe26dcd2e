//! Makes this node match its assignments, and reports what really happens.
//!
//! [`core`] decides: assignments and happenings in, actions and reports out, time as an argument. It is pure,
//! so the simulator drives it as it is. Everything else here is its shell: `run` is the one loop, `session`
//! speaks with the manager, `execute` carries out each action with one call, `store` keeps what must outlive
//! the process, `adopt` looks at what an earlier process left, `node` answers people.
//!
//! ```text
//! manager ──assignments──► session ──► run ──► core ──► execute ──► runtime, overlay-net
//!         ◄───reports─────────┘         ▲                  │
//!                                       └──────done────────┘
//! ```

mod adopt;
pub mod core;
mod execute;
mod knock;
pub mod limits;
mod machine;
mod node;
mod outbox;
mod pull;
mod run;
mod session;
mod store;
mod talk;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cluster::NodeId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

pub use node::NodeService;

use execute::Executor;
use outbox::Outbox;
use store::Store;

/// Where an agent keeps its things, and who it is.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Durable: images, volumes, containers, `agent.redb`.
    pub data_dir: PathBuf,
    /// A tmpfs, gone after a reboot: sockets, network namespaces, injected files.
    pub run_dir: PathBuf,
    /// Eight lower-case hexadecimal characters that keep several engines on one machine apart.
    pub engine_id: String,
    /// This node in the cluster.
    pub node: NodeId,
    /// What its owner says of it, for `deploy.placement`.
    pub labels: BTreeMap<String, String>,
    /// `crun`, `runc` or `youki` to be used instead of the built-in runtime.
    pub oci_runtime: Option<PathBuf>,
    /// Docker's `config.json` with credentials for registries.
    pub docker_config: Option<PathBuf>,
    /// Docker's `certs.d` with the certificates of registries.
    pub docker_certs: Option<PathBuf>,
    /// Docker's `daemon.json` with the mirrors of Docker Hub.
    pub docker_daemon: Option<PathBuf>,
    /// The executable that is run as shims and that the image `orc/demo` is made from. `None`: this process's own.
    pub program: Option<PathBuf>,
}

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The container half.
    #[error("cannot open the containers of this engine")]
    Runtime(#[from] runtime::Error),
    /// Images or volumes.
    #[error("cannot open the images and volumes of this engine")]
    Image(#[from] runtime::image::Error),
    /// The network half.
    #[error("cannot open the networks of this engine")]
    Net(#[from] overlay_net::Error),
    /// The agent's own file.
    #[error("cannot open the agent's own state")]
    Store(#[from] store::Error),
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    node: NodeService,
    known: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts the agent of this node: adopts what runs, then follows the manager at the other end of `manager`.
///
/// # Errors
/// Something that the agent keeps cannot be opened.
pub async fn start(config: AgentConfig, manager: Channel) -> Result<Agent, Error> {
    let net_config =
        overlay_net::NetConfig { run_dir: config.run_dir.clone(), engine_id: config.engine_id.clone() };
    let runtime_config = runtime::RuntimeConfig {
        data_dir: config.data_dir.clone(),
        run_dir: config.run_dir.clone(),
        engine_id: config.engine_id.clone(),
        oci_runtime: config.oci_runtime.clone(),
        program: config.program.clone(),
    };
    let runtime = runtime::Runtime::open(runtime_config).await?;
    let net = overlay_net::Net::open(net_config).await?;
    let volumes = runtime::volume::Volumes::open(&config.data_dir)?;
    let store = Store::open(&config.data_dir.join("agent.redb"))?;
    let found = adopt::look(&runtime, &net, &store).await?;
    let credentials = runtime::image::Credentials {
        docker_config: config.docker_config.clone(),
        docker_certs: config.docker_certs.clone(),
        docker_daemon: config.docker_daemon.clone(),
    };

    let (events, inbox) = run::channel();
    let executor = Executor::new(execute::Tools {
        runtime: runtime.clone(),
        net: net.clone(),
        volumes,
        store: store.clone(),
        manager: manager.clone(),
        credentials: credentials.clone(),
        pulls: pull::Pulls::default(),
        events: events.clone(),
    });
    let (stop, stopped) = watch::channel(false);
    let outbox = Arc::new(Outbox::default());
    let looping = run::Loop {
        node: config.node,
        found,
        store,
        executor,
        outbox: outbox.clone(),
        inbox,
        stopped: stopped.clone(),
    };
    let node = NodeService::new(runtime, net, credentials, events.clone());
    let (knows, known) = watch::channel(false);
    let session = session::Session {
        manager,
        node: config.node,
        labels: config.labels,
        outbox,
        events,
        known: knows,
        stopped,
    };
    let tasks = vec![tokio::spawn(looping.run()), tokio::spawn(session.run())];
    Ok(Agent { node, known, stop, tasks })
}

impl Agent {
    /// What this node offers to people's programs, to be mounted beside the manager's services.
    #[must_use]
    pub fn node_service(&self) -> NodeService {
        self.node.clone()
    }

    /// Waits until the manager knows what this agent found on the machine: before that, what the manager says of
    /// this node is what an earlier run of the agent said. Never done when the agent has ended.
    pub async fn known(&self) {
        let mut known = self.known.clone();
        if known.wait_for(|known| *known).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Stops the agent. Containers keep running, networks and ports stay as they are.
    pub async fn shutdown(self) {
        // The receivers live as long as the tasks that are waited for here.
        let _ = self.stop.send(true);
        for task in self.tasks {
            // A task that panicked has ended, too.
            let _ = task.await;
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

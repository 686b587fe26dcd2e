//! `orc port`: the public address of a port.

use cluster::view::PublishedPort;

use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::{pick, project};

/// Flags of `orc port`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// tcp or udp
    #[arg(long, default_value = "tcp", value_parser = ["tcp", "udp"])]
    protocol: String,
    /// Which replica
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    index: u32,
    /// Service
    service: String,
    /// Port in the container (default: all)
    private_port: Option<u16>,
}

/// Prints addresses, a line each.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let found = pick::services(&stack, view.as_ref(), std::slice::from_ref(&args.service))?;
    let wanted = |port: &&PublishedPort| {
        port.protocol == args.protocol
            && port.slot.is_none_or(|slot| slot == args.index)
            && args.private_port.is_none_or(|target| target == port.target)
    };
    let ports: Vec<&PublishedPort> =
        found.iter().flat_map(|(_, service)| &service.ports).filter(wanted).collect();
    if ports.is_empty() {
        let which = args.private_port.map_or_else(String::new, |port| format!(" {port}/{}", args.protocol));
        return Err(Failure::new(format!("service `{}` publishes no port{which}", args.service)));
    }
    for port in ports {
        let host = port.host_ip.unwrap_or_else(|| std::net::Ipv4Addr::UNSPECIFIED.into());
        output.line(&std::net::SocketAddr::new(host, port.host_port).to_string());
    }
    Ok(())
}

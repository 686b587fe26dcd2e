//! What crosses a process boundary: three gRPC services, their translation to `cluster` types, and the
//! unix socket they are spoken over.
//!
//! Specs, views and statuses travel as JSON of `cluster` types ([`convert`]): one vocabulary, not two.

pub mod clients;
pub mod convert;
pub mod inside;
pub mod limits;
pub mod parts;
pub mod refusal;
mod router;
pub mod unix;

pub use router::Router;

/// Grows when an older program and a newer engine (or the other way round) would misunderstand each other.
pub const PROTOCOL: u32 = 1;

/// What people's programs ask of a manager (`proto/control.proto`).
#[allow(unreachable_pub, clippy::all, clippy::too_many_lines, reason = "generated")]
pub mod control {
    include!("generated/orc.control.v1.rs");
}

/// Between a manager and the agents (`proto/dispatch.proto`).
#[allow(unreachable_pub, clippy::all, clippy::too_many_lines, reason = "generated")]
pub mod dispatch {
    include!("generated/orc.dispatch.v1.rs");
}

/// What one node offers about its own containers and images (`proto/node.proto`).
#[allow(unreachable_pub, clippy::all, clippy::too_many_lines, reason = "generated")]
pub mod node {
    include!("generated/orc.node.v1.rs");
}

/// The standard health check of gRPC servers, which containers may answer (`proto/health.proto`).
#[allow(unreachable_pub, clippy::all, clippy::too_many_lines, reason = "generated")]
pub mod health {
    include!("generated/grpc.health.v1.rs");
}

/// Clients and servers with the limits of this crate, so that both ends agree on them.
mod limited {
    use tonic::transport::Channel;

    use crate::limits::MAX_MESSAGE_BYTES;

    macro_rules! limited {
        ($client:ident, $client_type:path, $server:ident, $server_type:ident, $trait:path) => {
            /// A client with the limits of this crate.
            #[must_use]
            pub fn $client(channel: Channel) -> $client_type {
                <$client_type>::new(channel)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES)
            }

            /// A server with the limits of this crate, to be mounted with [`crate::Router::with`].
            pub fn $server<T: $trait>(service: T) -> $server_type<T> {
                $server_type::new(service)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES)
            }
        };
    }

    use crate::control::control_server::ControlServer;
    use crate::dispatch::dispatch_server::DispatchServer;
    use crate::node::node_server::NodeServer;
    limited!(
        control_client,
        crate::control::control_client::ControlClient<Channel>,
        control_server,
        ControlServer,
        crate::control::control_server::Control
    );
    limited!(
        dispatch_client,
        crate::dispatch::dispatch_client::DispatchClient<Channel>,
        dispatch_server,
        DispatchServer,
        crate::dispatch::dispatch_server::Dispatch
    );
    limited!(
        node_client,
        crate::node::node_client::NodeClient<Channel>,
        node_server,
        NodeServer,
        crate::node::node_server::Node
    );
}
pub use limited::{
    control_client, control_server, dispatch_client, dispatch_server, node_client, node_server,
};

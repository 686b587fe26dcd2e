//! `demo health`: a gRPC server that answers nothing but `grpc.health.v1`, the standard check of its health.

use api::health::health_check_response::ServingStatus;
use api::health::health_server::{Health, HealthServer};
use api::health::{HealthCheckRequest, HealthCheckResponse};
use tokio::signal::unix::{SignalKind, signal};
use tonic::{Request, Response, Status};

use super::{Outcome, block_on, number};

/// Serves until SIGTERM, for the whole server and for the services that are named after the port.
pub(super) fn run(args: &[String]) -> Outcome {
    let port: u16 = number(args, 0, 50051)?;
    let services = args.iter().skip(1).cloned().collect();
    block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        tonic::transport::Server::builder()
            .serve_with_shutdown(([0, 0, 0, 0], port).into(), HealthServer::new(Services(services)), async {
                _ = terminate.recv().await
            })
            .await
            .map_err(|error| format!("cannot serve on port {port}: {error}"))
    })?;
    Ok(0)
}

/// The names of the services that are well.
struct Services(Vec<String>);

#[tonic::async_trait]
impl Health for Services {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !service.is_empty() && !self.0.contains(&service) {
            return Err(Status::not_found(format!("there is no service `{service}`")));
        }
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }
}

//! Several gRPC services on one connection: by the first part of the path, as gRPC has it. tonic's own
//! router is axum, which is much more than that.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::server::UdsConnectInfo;
use tower::Service;

type Request = http::Request<Body>;
type Response = http::Response<Body>;
type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// The services that one socket offers.
#[derive(Clone, Default)]
pub struct Router {
    services: Arc<BTreeMap<&'static str, Box<dyn Endpoint>>>,
    only: Option<u32>,
}

/// A service without its type.
trait Endpoint: Send + Sync {
    fn call(&self, request: Request) -> Answer;
    fn boxed(&self) -> Box<dyn Endpoint>;
}

struct Plain<S>(S);

impl<S> Endpoint for Plain<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    fn call(&self, request: Request) -> Answer {
        // Generated services are always ready.
        Box::pin(self.0.clone().call(request))
    }

    fn boxed(&self) -> Box<dyn Endpoint> {
        Box::new(Self(self.0.clone()))
    }
}

impl Router {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers one more service; a second one of the same name replaces the first.
    #[must_use]
    pub fn with<S>(self, service: S) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let mut services: BTreeMap<_, _> =
            self.services.iter().map(|(name, service)| (*name, service.boxed())).collect();
        services.insert(S::NAME, Box::new(Plain(service)));
        Self { services: Arc::new(services), only: self.only }
    }

    /// Answers only processes of this user and of root; all others get `PermissionDenied`.
    #[must_use]
    pub(crate) fn only(self, uid: u32) -> Self {
        Self { only: Some(uid), ..self }
    }

    fn refuse(&self, request: &Request) -> Option<Status> {
        let owner = self.only?;
        let caller = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred.as_ref());
        match caller.map(tokio::net::unix::UCred::uid) {
            Some(uid) if uid == owner || uid == 0 => None,
            Some(uid) => Some(Status::permission_denied(format!(
                "this engine belongs to user {owner}, and user {uid} asks"
            ))),
            None => Some(Status::permission_denied("the kernel does not say who asks")),
        }
    }
}

impl Service<Request> for Router {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        if let Some(status) = self.refuse(&request) {
            return Box::pin(std::future::ready(Ok(status.into_http())));
        }
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        match self.services.get(name) {
            Some(service) => service.call(request),
            None => {
                let status = Status::unimplemented(format!("this engine has no service `{name}`"));
                Box::pin(std::future::ready(Ok(status.into_http())))
            }
        }
    }
}

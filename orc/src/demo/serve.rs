//! `demo serve`: a web server that says which replica answers.

use std::net::IpAddr;

use super::http::{Request, Response};
use super::server::{self, Handler};
use super::{Outcome, block_on, client, hostname, number};

/// Serves until SIGTERM. `STORE` names the key-value store behind `/kv/`.
pub(super) fn run(args: &[String]) -> Outcome {
    let port = number(args, 0, 80)?;
    let store = std::env::var("STORE").unwrap_or_else(|_| "http://store".to_owned());
    let web = Web { store: store.trim_end_matches('/').to_owned(), name: hostname() };
    block_on(server::run(port, web))?;
    Ok(0)
}

struct Web {
    store: String,
    name: String,
}

impl Handler for Web {
    async fn answer(&self, request: Request, local: IpAddr) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "HEAD", "/") => Response::text(200, format!("hello from {} at {local}\n", self.name)),
            ("GET" | "HEAD", "/healthz") => Response::text(200, "ok\n"),
            (method @ ("GET" | "PUT"), path) if path.starts_with("/kv") => {
                match client::exchange(method, &format!("{}{path}", self.store), &request.body).await {
                    Ok(response) => response,
                    Err(message) => Response::text(502, format!("the store does not answer: {message}\n")),
                }
            }
            ("GET" | "HEAD", _) => Response::text(404, "there is nothing here\n"),
            _ => Response::text(405, "this cannot be done here\n"),
        }
    }
}

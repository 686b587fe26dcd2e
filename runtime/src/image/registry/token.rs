//! Logging in where the registry says, as far as credentials may go there.
//!
//! A registry that wants a token names the place that gives one (its realm), and the user's password is sent there. It
//! goes over TLS, or to this machine when the registry is on this machine; anywhere else everybody could read it. Nor
//! is it sent on to where that place redirects.

use oci_client::secrets::RegistryAuth;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url, header};
use serde::Deserialize;

use super::retry::{self, Failure};
use crate::image::{Reference, limits};

/// Exchanges a name and password for a token, where the registry wants one; otherwise gives back what it was given.
///
/// # Errors
/// The registry or its realm cannot be asked, or refuses; or the password must not be sent there.
pub(super) async fn exchange(
    reference: &Reference,
    base: &str,
    certificates: &[Vec<u8>],
    auth: RegistryAuth,
) -> Result<RegistryAuth, Failure> {
    let RegistryAuth::Basic(user, password) = &auth else { return Ok(auth) };
    let client = client(certificates).map_err(|error| Failure::lasting(retry::chain(&error)))?;
    let asked = client.get(format!("{base}/v2/")).send().await.map_err(failure)?;
    let challenges = asked.headers().get_all(header::WWW_AUTHENTICATE);
    let challenge = challenges.iter().filter_map(|value| Challenge::parse(value.to_str().ok()?)).next();
    let Some(challenge) = challenge else { return Ok(auth) };
    let mut realm = realm(&challenge.realm, reference.is_loopback()).map_err(Failure::lasting)?;
    realm.query_pairs_mut().append_pair("scope", &format!("repository:{}:pull", reference.repository()));
    if let Some(service) = &challenge.service {
        realm.query_pairs_mut().append_pair("service", service);
    }
    let answer = client.get(realm).basic_auth(user, Some(password)).send().await.map_err(failure)?;
    let status = answer.status();
    if !status.is_success() {
        let reason = format!("login failed: HTTP status {}", status.as_u16());
        let passing = status.as_u16() == 429 || status.is_server_error();
        return Err(if passing { Failure::passing(reason) } else { Failure::lasting(reason) });
    }
    let text = answer.bytes().await.map_err(failure)?;
    if text.len() as u64 > limits::TOKEN_BYTES {
        return Err(Failure::lasting("login failed: the token is too long"));
    }
    let token: Token = serde_json::from_slice(&text)
        .map_err(|error| Failure::lasting(format!("login failed: no token in the answer: {error}")))?;
    let token = token.token.or(token.access_token).filter(|token| !token.is_empty());
    token.map(RegistryAuth::Bearer).ok_or_else(|| Failure::lasting("login failed: no token in the answer"))
}

fn client(certificates: &[Vec<u8>]) -> reqwest::Result<Client> {
    let certificates: reqwest::Result<Vec<Certificate>> =
        certificates.iter().map(|pem| Certificate::from_pem(pem)).collect();
    Client::builder()
        .tls_certs_merge(certificates?)
        .redirect(Policy::none())
        .connect_timeout(limits::CONNECT_TIMEOUT)
        .read_timeout(limits::READ_TIMEOUT)
        .user_agent(concat!("orc/", env!("CARGO_PKG_VERSION")))
        .build()
}

fn failure(error: reqwest::Error) -> Failure {
    let lasting = error.is_connect() || error.is_builder() || error.is_redirect();
    let reason = retry::chain(&error);
    if lasting { Failure::lasting(reason) } else { Failure::passing(reason) }
}

/// The place that gives tokens, if a password may be sent there.
fn realm(text: &str, registry_is_here: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("the registry wants a login at `{text}`: {error}"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if here && registry_is_here => Ok(url),
        _ => {
            Err(format!("the registry wants the password to be sent to `{text}`, where others could read it"))
        }
    }
}

/// `Bearer realm="https://...",service="..."` of RFC 6750.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
}

impl Challenge {
    /// `None` for another kind of challenge, and for one without a realm.
    fn parse(text: &str) -> Option<Challenge> {
        let (kind, mut rest) = text.trim().split_once(' ')?;
        if !kind.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            match name.trim_matches([' ', ',']).to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                _ => {}
            }
            rest = after;
        }
        Some(Challenge { realm: realm?, service })
    }
}

/// The answer of a realm; older ones call the token by the second name.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let check = |text: &str, expect: Option<(&str, Option<&str>)>| {
            let found = Challenge::parse(text);
            let found = found.as_ref().map(|c| (c.realm.as_str(), c.service.as_deref()));
            assert_eq!(found, expect, "{text}");
        };
        check(
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="a,b""#,
            Some(("https://auth.example/token", Some("registry.example"))),
        );
        check(r#"bearer Service=x, realm="https://a/?b=c""#, Some(("https://a/?b=c", Some("x"))));
        check(r#"Bearer service="x""#, None);
        check(r#"Bearer realm="unfinished"#, None);
        check(r#"Basic realm="https://a""#, None);
        check("", None);
    }

    #[test]
    fn passwords_are_sent_where_nobody_reads_along() {
        let check = |text: &str, here: bool, expect: bool| {
            assert_eq!(realm(text, here).is_ok(), expect, "{text}");
        };
        check("https://auth.example/token", false, true);
        check("http://auth.example/token", false, false);
        check("http://auth.example/token", true, false);
        check("http://127.0.0.1:5000/token", true, true);
        check("http://[::1]:5000/token", true, true);
        check("http://127.0.0.1:5000/token", false, false);
        check("file:///etc/passwd", true, false);
        check("no url", true, false);
    }
}

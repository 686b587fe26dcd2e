//! Who we are to a registry: Docker's configuration file, with its credential helpers.

use std::fs::File;
use std::io::Read;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;

use crate::image::{Credentials, Error, Reference, Result, limits};

/// What the file says about the reference's registry; anonymous if it says nothing. Blocking: a helper is a
/// program.
pub(super) fn find(reference: &Reference, credentials: &Credentials) -> Result<RegistryAuth> {
    let Some(path) = &credentials.docker_config else { return Ok(RegistryAuth::Anonymous) };
    let fail = |reason: String| Error::Credentials {
        registry: reference.registry().to_owned(),
        file: path.clone(),
        reason,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(RegistryAuth::Anonymous),
        Err(error) => return Err(fail(error.to_string())),
    };
    let mut text = Vec::new();
    file.take(limits::DOCKER_CONFIG_BYTES).read_to_end(&mut text).map_err(|e| fail(e.to_string()))?;
    for server in servers(reference.registry()) {
        match docker_credential::get_credential_from_reader(text.as_slice(), &server) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(RegistryAuth::Basic(user, password));
            }
            Ok(DockerCredential::IdentityToken(_)) => {
                return Err(fail(
                    "identity tokens are not supported; log in with a password or access token".into(),
                ));
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            // A helper that knows nothing says so in words and fails.
            Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains("not found") => {}
            Err(error) => return Err(fail(error.to_string())),
        }
    }
    Ok(RegistryAuth::Anonymous)
}

/// How the file may spell a registry.
fn servers(registry: &str) -> Vec<String> {
    if registry == "docker.io" {
        vec!["https://index.docker.io/v1/".to_owned(), "index.docker.io".to_owned(), "docker.io".to_owned()]
    } else {
        vec![registry.to_owned(), format!("https://{registry}")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docker_config_is_understood() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        // `user:pass` and `me:hub` in base64.
        let text = r#"{"auths": {"127.0.0.1:5000": {"auth": "dXNlcjpwYXNz"},
            "https://index.docker.io/v1/": {"auth": "bWU6aHVi"}, "broken.io": {"auth": "!"}}}"#;
        std::fs::write(&path, text).unwrap();
        let ask = |reference: &str, path: Option<&std::path::Path>| {
            let credentials =
                Credentials { docker_config: path.map(ToOwned::to_owned), ..Credentials::default() };
            find(&reference.parse().unwrap(), &credentials)
        };
        let basic = |user: &str, password: &str| RegistryAuth::Basic(user.into(), password.into());
        assert_eq!(ask("127.0.0.1:5000/x", Some(&path)).unwrap(), basic("user", "pass"));
        assert_eq!(ask("nginx", Some(&path)).unwrap(), basic("me", "hub"));
        assert_eq!(ask("other.io/x", Some(&path)).unwrap(), RegistryAuth::Anonymous);
        assert_eq!(ask("nginx", Some(&dir.path().join("none"))).unwrap(), RegistryAuth::Anonymous);
        assert_eq!(ask("nginx", None).unwrap(), RegistryAuth::Anonymous);
        let error = ask("broken.io/x", Some(&path)).unwrap_err().to_string();
        assert!(error.contains("broken.io") && error.contains("config.json"), "{error}");
    }
}

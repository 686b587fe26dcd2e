//! Whose certificates are believed besides those of the system (`SSL_CERT_FILE`): Docker's `certs.d`, one folder per
//! registry.

use std::fs::File;
use std::io::Read;

use crate::image::{Credentials, Error, Reference, Result, limits};

/// The certificates (PEM) in the registry's folder, every file that ends with `.crt`; `None` when there is no folder.
/// Blocking.
///
/// # Errors
/// One of them cannot be read.
pub(super) fn find(reference: &Reference, credentials: &Credentials) -> Result<Option<Vec<Vec<u8>>>> {
    let Some(all) = &credentials.docker_certs else { return Ok(None) };
    let folder = all.join(reference.registry());
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(None) };
    let mut certificates = Vec::new();
    for entry in entries.flatten().take(limits::CERTIFICATES) {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "crt") {
            let mut pem = Vec::new();
            let read =
                File::open(&path).and_then(|file| file.take(limits::CERTIFICATE_BYTES).read_to_end(&mut pem));
            read.map_err(|error| Error::Credentials {
                registry: reference.registry().to_owned(),
                file: path.clone(),
                reason: error.to_string(),
            })?;
            certificates.push(pem);
        }
    }
    Ok(Some(certificates))
}

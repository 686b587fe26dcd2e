//! Writes `api/src/generated/` anew from `api/proto/`; with `--check` it only compares, and fails if they differ.
//! `protox` is the compiler, so that nobody needs a `protoc`.

use std::error::Error;
use std::fs;
use std::path::Path;

const PROTOS: [&str; 4] = ["control.proto", "dispatch.proto", "health.proto", "node.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("this crate has no parent")?;
    let kept = api.join("src/generated");
    let made = tempfile::tempdir()?;
    let descriptors = protox::compile(PROTOS, [api.join("proto")])?;
    tonic_prost_build::configure().out_dir(made.path()).compile_fds(descriptors)?;
    let checks = std::env::args().any(|word| word == "--check");
    for file in fs::read_dir(made.path())? {
        let name = file?.file_name();
        let (text, there) = (fs::read_to_string(made.path().join(&name))?, kept.join(&name));
        if !checks {
            fs::write(&there, text)?;
        } else if fs::read_to_string(&there).unwrap_or_default() != text {
            return Err(format!(
                "{} is not what the protos say; run this without `--check`",
                there.display()
            )
            .into());
        }
    }
    Ok(())
}

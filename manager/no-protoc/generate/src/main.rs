//! Writes `no-protoc/src/generated/` anew from the proto of the raft-proto that orc is built with; with `--check` it only
//! compares, and fails if they differ.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAME: &str = "eraftpb.rs";

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = here.join("../src/generated").join(NAME);
    let protos = raft_proto(&here.join("../../../Cargo.toml"))?.join("proto");
    let made = tempfile::tempdir()?;
    // The compiler takes itself to be called by a build script.
    std::env::set_var("OUT_DIR", made.path());
    protobuf_build::Builder::new()
        .out_dir(made.path().display().to_string())
        .search_dir_for_protos(&protos.display().to_string())
        .includes(&[protos.display().to_string()])
        .include_google_protos()
        .generate();
    let text = fs::read_to_string(made.path().join(NAME))?;
    if !std::env::args().any(|word| word == "--check") {
        fs::write(&kept, text)?;
    } else if fs::read_to_string(&kept).unwrap_or_default() != text {
        return Err(format!("{} is not what the proto says; run this without `--check`", kept.display()).into());
    }
    Ok(())
}

/// The folder of the raft-proto that a workspace is built with.
fn raft_proto(workspace: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(workspace)
        .output()?;
    if !cargo.status.success() {
        return Err(String::from_utf8_lossy(&cargo.stderr).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.stdout)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .filter(|package| package["name"] == "raft-proto")
        .find_map(|package| package["manifest_path"].as_str())
        .ok_or("orc is not built with raft-proto")?;
    Ok(Path::new(manifest).parent().ok_or("a manifest lies in a folder")?.to_owned())
}

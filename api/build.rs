//! Compiles the protos. `protox` is the compiler, so that nobody who builds orc needs a `protoc`.

use std::error::Error;

const PROTOS: [&str; 4] =
    ["proto/control.proto", "proto/dispatch.proto", "proto/node.proto", "proto/health.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for proto in PROTOS {
        println!("cargo:rerun-if-changed={proto}");
    }
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}

//! Stands in for the compiler of protos that raft-proto's build script calls.
//!
//! The real one runs a `protoc` that it brings along as a binary, and has to be built with a second protobuf library,
//! its generator and regular expressions. All of that makes one file of one proto, the same each time; so that file is
//! kept in `generated/`, and put where the build script's crate looks for it. `generate/` writes it anew with the real
//! compiler, and `.ci/run` compares.

use std::path::Path;
use std::{env, fs};

/// Takes what a build script says of its protos, and gives it what is kept.
#[derive(Debug, Default)]
pub struct Builder;

impl Builder {
    pub fn new() -> Self {
        Self
    }

    /// Not looked at: there is one proto.
    pub fn search_dir_for_protos(&mut self, _: &str) -> &mut Self {
        self
    }

    /// Not looked at.
    pub fn includes(&mut self, _: &[String]) -> &mut Self {
        self
    }

    /// Not looked at.
    pub fn include_google_protos(&mut self) -> &mut Self {
        self
    }

    /// Writes the modules into the folder of the crate that is built.
    ///
    /// # Panics
    /// Outside of a build script, or when a file cannot be written: the real one does as well.
    pub fn generate(&self) {
        let protos = Path::new(&env::var_os("OUT_DIR").expect("build scripts have a folder")).join("protos");
        fs::create_dir_all(&protos).expect("the folder can be made");
        for (name, text) in
            [("mod.rs", "pub mod eraftpb;\n"), ("eraftpb.rs", include_str!("generated/eraftpb.rs"))]
        {
            fs::write(protos.join(name), text).expect("a file can be written there");
        }
    }
}

//! Any `.env` file is either read or refused.
#![no_main]

use compose_spec::{LoadRequest, MemoryFiles, load, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut files = MemoryFiles::new();
    files.insert("/fuzz/compose.yaml", "services: {a: {image: i, env_file: [.env, {path: .env, format: raw}]}}");
    files.insert("/fuzz/.env", text);
    let request = LoadRequest { working_dir: "/fuzz".into(), ..LoadRequest::default() };
    let loaded = load(&request, &files);
    render(&loaded.diagnostics, &loaded.sources, true);
});

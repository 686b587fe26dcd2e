//! `docker compose config --format json` over this crate, to compare it with other implementations:
//! `config [-f FILE].. [--profile P].. [--env-file F].. [--project-name N] [--project-directory D] config
//! [--format json] [--no-...].. [SERVICE..]`.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use compose_spec::{Files, LoadRequest, load, render};

struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
        let source: Box<dyn Read> = if path == Path::new("-") {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(path)?)
        };
        let mut content = Vec::new();
        source.take(limit as u64 + 1).read_to_end(&mut content)?;
        if content.len() > limit {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(content)
    }

    fn is_file(&self, path: &Path) -> bool {
        path == Path::new("-") || path.is_file()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

fn request() -> Option<LoadRequest> {
    let mut request = LoadRequest {
        working_dir: std::env::current_dir().ok()?,
        env: std::env::vars().collect(),
        ..LoadRequest::default()
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-f" => request.files.push(words.next()?.into()),
            "--profile" => request.profiles.push(words.next()?),
            "--env-file" => request.env_files.push(words.next()?.into()),
            "--project-name" | "-p" => request.project_name = Some(words.next()?),
            "--project-directory" => request.project_directory = Some(words.next()?.into()),
            "config" => {}
            "--format" => drop(words.next()),
            "--no-interpolate" => request.no_interpolate = true,
            "--no-normalize" => request.no_normalize = true,
            "--no-path-resolution" => request.no_path_resolution = true,
            "--no-consistency" => request.no_consistency = true,
            "--no-env-resolution" => request.no_env_resolution = true,
            _ => request.services.push(word),
        }
    }
    Some(request)
}

fn main() -> ExitCode {
    let Some(request) = request() else {
        eprintln!("a flag lacks its value");
        return ExitCode::from(2);
    };
    let loaded = load(&request, &Disk);
    eprint!("{}", render(&loaded.diagnostics, &loaded.sources, false));
    match loaded.to_json_text() {
        Some(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

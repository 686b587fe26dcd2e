//! `demo cat`, `ls`, `stat`, `write` and `rm`: looking into a container that has no shell.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::{Outcome, required};
use crate::output::raw;

/// Prints files, or what comes in.
pub(super) fn cat(args: &[String]) -> Outcome {
    if args.is_empty() {
        copy(&mut io::stdin().lock()).map_err(|error| format!("standard input: {error}"))?;
    }
    for path in args {
        let file = fs::File::open(path);
        file.and_then(|mut file| copy(&mut file)).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(0)
}

fn copy(from: &mut dyn Read) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => raw::stdout(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Lists the names in a folder.
pub(super) fn ls(args: &[String]) -> Outcome {
    let path = args.first().map_or(".", String::as_str);
    let entries = fs::read_dir(path).map_err(|error| format!("{path}: {error}"))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort_unstable();
    for name in names {
        raw::stdout(format!("{name}\n").as_bytes());
    }
    Ok(0)
}

/// Prints `KIND MODE UID:GID SIZE PATH` for each path, without following a link.
pub(super) fn stat(args: &[String]) -> Outcome {
    required(args, 0, "a path")?;
    for path in args {
        let found = fs::symlink_metadata(path).map_err(|error| format!("{path}: {error}"))?;
        let kind = match found.file_type() {
            kind if kind.is_dir() => "folder",
            kind if kind.is_symlink() => "link",
            kind if kind.is_char_device() || kind.is_block_device() => "device",
            kind if kind.is_file() => "file",
            _ => "other",
        };
        let (mode, uid, gid, size) = (found.mode() & 0o7777, found.uid(), found.gid(), found.size());
        raw::stdout(format!("{kind} {mode:04o} {uid}:{gid} {size} {path}\n").as_bytes());
    }
    Ok(0)
}

/// Writes a text into a file, or what comes in.
pub(super) fn write(args: &[String]) -> Outcome {
    let path = required(args, 0, "the path")?;
    let written = match args.get(1) {
        Some(text) => fs::write(path, text),
        None => {
            fs::File::create(path).and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file).map(drop))
        }
    };
    written.map_err(|error| format!("{path}: {error}"))?;
    Ok(0)
}

/// Removes files.
pub(super) fn rm(args: &[String]) -> Outcome {
    for path in args {
        fs::remove_file(path).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(0)
}

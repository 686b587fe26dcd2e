//! A container's output on disk: written by its shim, read by the engine, each on its own.
//!
//! The folder holds files named by the number of their first record (`00000000000000000001.log`). A record is
//! one line: `<number> <milliseconds> <o|e> <F|P> <bytes>`, `P` if the line goes on in the next record of the
//! same stream. Files are never renamed; the writer goes on in a new one and removes the oldest. So a reader
//! needs no lock, and a number is all it must remember to go on without gap or duplicate.

mod forward;
pub(crate) mod read;
pub(crate) mod write;

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::folders;
use crate::status::{LogLine, Stream};

/// Number, time and marks of a record are shorter than this, in bytes.
const PREFIX_BYTES: usize = 64;

/// The files, oldest first, with the number of their first record.
fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let names = folders::names(folder)?;
    let numbered =
        names.iter().filter_map(|name| Some((name.strip_suffix(".log")?.parse().ok()?, folder.join(name))));
    let mut files: Vec<(u64, PathBuf)> = numbered.collect();
    files.sort();
    Ok(files)
}

fn file(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.log"))
}

/// The head of a record, up to and with the space before its bytes.
fn head(line: &LogLine) -> String {
    let stream = match line.stream {
        Stream::Stdout => 'o',
        Stream::Stderr => 'e',
    };
    let part = if line.partial { 'P' } else { 'F' };
    format!("{} {} {stream} {part} ", line.seq, line.at_ms)
}

/// A record without its line feed; `None` if it is not one, as after a power failure in the middle of it.
fn parse(record: &[u8]) -> Option<LogLine> {
    let mut fields = record.splitn(5, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let seq = text()?.parse().ok()?;
    let at_ms = text()?.parse().ok()?;
    let stream = match text()? {
        "o" => Stream::Stdout,
        "e" => Stream::Stderr,
        _ => return None,
    };
    let partial = match text()? {
        "F" => false,
        "P" => true,
        _ => return None,
    };
    Some(LogLine { at_ms, stream, bytes: fields.next()?.to_vec(), seq, partial })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        for (stream, partial, bytes) in [
            (Stream::Stdout, false, &b"hello  world"[..]),
            (Stream::Stderr, true, b"\xff\x00"),
            (Stream::Stdout, false, b""),
        ] {
            let line = LogLine { at_ms: 1, stream, bytes: bytes.to_vec(), seq: 7, partial };
            let record = [head(&line).as_bytes(), bytes].concat();
            assert!(record.len() - bytes.len() < PREFIX_BYTES);
            assert_eq!(parse(&record), Some(line));
        }
        for broken in ["", "7", "7 1 o", "7 1 x F a", "x 1 o F a", "7 1 o G a"] {
            assert_eq!(parse(broken.as_bytes()), None, "{broken}");
        }
    }
}

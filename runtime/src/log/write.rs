//! The writing half: splits output into lines, numbers them, starts new files, removes old ones.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::forward::Forwarder;
use super::{PREFIX_BYTES, file, files, head, parse};
use crate::config::LogConfig;
use crate::error::{Error, Result};
use crate::limits;
use crate::process::now_ms;
use crate::status::{LogLine, Stream};

pub(crate) struct Writer {
    folder: PathBuf,
    limits: LogConfig,
    file: File,
    /// Bytes in `file`.
    length: u64,
    /// Number of the next record.
    next: u64,
    /// Output without a line feed so far, per stream.
    pending: [Vec<u8>; 2],
    forwarder: Option<Forwarder>,
}

impl Writer {
    /// Goes on where an earlier shim of the same container stopped.
    pub(crate) fn open(folder: &Path, limits: &LogConfig) -> Result<Writer> {
        fs::create_dir_all(folder).map_err(Error::file("cannot create", folder))?;
        let (first, path) = files(folder)?.pop().unwrap_or_else(|| (1, file(folder, 1)));
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(&path)
            .map_err(Error::file("cannot open", &path))?;
        let (next, length) = resume(&mut file, first).map_err(Error::file("cannot read", &path))?;
        let forwarder = limits.forward.as_ref().map(Forwarder::open).transpose()?;
        let (folder, limits, pending) = (folder.to_owned(), limits.clone(), Default::default());
        Ok(Writer { folder, limits, file, length, next, pending, forwarder })
    }

    /// Takes output as it comes; complete lines are on disk when this returns.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if self.limits.off {
            return Ok(());
        }
        let mut batch = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let complete = piece.last() == Some(&b'\n');
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let mut pending = std::mem::take(&mut self.pending[stream as usize]);
            for part in text.chunks(limits::LOG_LINE_BYTES) {
                pending.extend_from_slice(part);
                while pending.len() > limits::LOG_LINE_BYTES {
                    let rest = pending.split_off(limits::LOG_LINE_BYTES);
                    self.add(&mut batch, stream, &pending, true)?;
                    pending = rest;
                }
            }
            if complete {
                self.add(&mut batch, stream, &pending, false)?;
                pending.clear();
            }
            self.pending[stream as usize] = pending;
        }
        self.flush(&mut batch)
    }

    /// Output that ended without a line feed is a line all the same.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut self.pending[stream as usize]);
            if !rest.is_empty() {
                let mut batch = Vec::new();
                self.add(&mut batch, stream, &rest, false)?;
                self.flush(&mut batch)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, batch: &mut Vec<u8>, stream: Stream, bytes: &[u8], partial: bool) -> io::Result<()> {
        let line = LogLine { at_ms: now_ms(), stream, bytes: Vec::new(), seq: self.next, partial };
        if let Some(forwarder) = &self.forwarder {
            forwarder.send(&line, bytes);
        }
        batch.extend_from_slice(head(&line).as_bytes());
        batch.extend_from_slice(bytes);
        batch.push(b'\n');
        self.next += 1;
        if self.length + batch.len() as u64 >= self.limits.max_bytes {
            self.flush(batch)?;
            self.rotate()?;
        }
        Ok(())
    }

    /// One write for everything that came together.
    fn flush(&mut self, batch: &mut Vec<u8>) -> io::Result<()> {
        self.file.write_all(batch)?;
        self.length += batch.len() as u64;
        batch.clear();
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = file(&self.folder, self.next);
        self.file = OpenOptions::new().create(true).append(true).open(path)?;
        self.length = 0;
        let mut kept = files(&self.folder).map_err(io::Error::other)?;
        let surplus = kept.len().saturating_sub(self.limits.files.max(1) as usize);
        for (_, old) in kept.drain(..surplus) {
            let _ = fs::remove_file(old);
        }
        Ok(())
    }
}

/// The next record's number and the file's length, after cutting off a record that was not finished.
fn resume(file: &mut File, first: u64) -> io::Result<(u64, u64)> {
    let length = file.metadata()?.len();
    let window = (2 * (limits::LOG_LINE_BYTES + PREFIX_BYTES)) as u64;
    let start = length.saturating_sub(window);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let length = start + whole as u64;
    file.set_len(length)?;
    let last = tail[..whole].split(|byte| *byte == b'\n').rev().find_map(parse);
    Ok((last.map_or(first, |line| line.seq + 1), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(folder: &Path) -> Vec<LogLine> {
        let files = files(folder).unwrap();
        let text: Vec<u8> = files.iter().flat_map(|(_, path)| fs::read(path).unwrap()).collect();
        text.split(|byte| *byte == b'\n').filter_map(parse).collect()
    }

    fn small() -> LogConfig {
        LogConfig { max_bytes: 200, files: 2, ..LogConfig::default() }
    }

    #[test]
    fn lines_are_put_together_per_stream_and_numbered_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), &LogConfig::default()).unwrap();
        writer.write(Stream::Stdout, b"one\ntw").unwrap();
        writer.write(Stream::Stderr, b"err\n\n").unwrap();
        writer.write(Stream::Stdout, b"o\nlast").unwrap();
        writer.finish().unwrap();
        let mut again = Writer::open(folder.path(), &LogConfig::default()).unwrap();
        again.write(Stream::Stdout, b"five\n").unwrap();
        let got: Vec<_> =
            all(folder.path()).into_iter().map(|l| (l.seq, String::from_utf8(l.bytes).unwrap())).collect();
        let want = [(1, "one"), (2, "err"), (3, ""), (4, "two"), (5, "last"), (6, "five")];
        assert_eq!(got, want.map(|(seq, text)| (seq, text.to_owned())));
    }

    #[test]
    fn old_files_go_and_no_number_is_lost_in_between() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), &small()).unwrap();
        for line in 0..100 {
            writer.write(Stream::Stdout, format!("line {line}\n").as_bytes()).unwrap();
        }
        let lines = all(folder.path());
        assert_eq!(files(folder.path()).unwrap().len(), 2);
        assert_eq!(lines.last().unwrap().seq, 100);
        assert!(lines.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
        let bytes: u64 =
            files(folder.path()).unwrap().iter().map(|(_, p)| fs::metadata(p).unwrap().len()).sum();
        assert!(bytes <= 400 + 64, "{bytes}");
    }

    #[test]
    fn a_long_line_comes_in_parts_and_is_whole_together() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), &LogConfig::default()).unwrap();
        let long = vec![b'x'; 3 * limits::LOG_LINE_BYTES + 5];
        writer.write(Stream::Stdout, &long[..100]).unwrap();
        writer.write(Stream::Stdout, &long[100..]).unwrap();
        writer.write(Stream::Stdout, b"\n").unwrap();
        let lines = all(folder.path());
        assert_eq!(lines.iter().map(|l| l.partial).collect::<Vec<_>>(), [true, true, true, false]);
        assert_eq!(lines.into_iter().flat_map(|l| l.bytes).collect::<Vec<_>>(), long);
    }

    #[test]
    fn a_record_cut_by_a_crash_is_dropped_and_its_number_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), &LogConfig::default()).unwrap();
        writer.write(Stream::Stdout, b"one\ntwo\n").unwrap();
        let path = file(folder.path(), 1);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 2]).unwrap();
        let mut again = Writer::open(folder.path(), &LogConfig::default()).unwrap();
        again.write(Stream::Stdout, b"three\n").unwrap();
        let got: Vec<_> = all(folder.path()).into_iter().map(|line| (line.seq, line.bytes)).collect();
        assert_eq!(got, [(1, b"one".to_vec()), (2, b"three".to_vec())]);
    }
}

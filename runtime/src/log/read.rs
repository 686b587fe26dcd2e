//! The reading half: a container's lines as a stream, which with `follow` never polls: inotify wakes it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use futures_util::stream::{self, Stream};
use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;

use super::{files, parse};
use crate::asyncfd;
use crate::error::{Error, Result};
use crate::status::{LogLine, LogQuery};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// The lines that `query` asks for, oldest first. A folder that is not there yet is an empty log.
pub(crate) fn lines(folder: PathBuf, query: LogQuery) -> impl Stream<Item = Result<LogLine>> + Send + Unpin {
    let reader = Reader::new(folder, query);
    Box::pin(stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(line)) => Some((Ok(line), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Reader {
    folder: PathBuf,
    query: LogQuery,
    watch: Option<AsyncFd<std::os::fd::OwnedFd>>,
    /// The file being read and the number of its first record.
    current: Option<(u64, File)>,
    /// Read but not yet a whole record.
    partial: Vec<u8>,
    ready: VecDeque<LogLine>,
    /// Number of the last line given or skipped.
    last: u64,
    /// Number of the line that was the last when reading began, unless new ones are waited for: who writes as fast as
    /// is read must not keep the reader for ever.
    end: Option<u64>,
    begun: bool,
}

impl Reader {
    fn new(folder: PathBuf, query: LogQuery) -> Reader {
        let last = query.after_seq.unwrap_or(0);
        let (partial, ready) = (Vec::new(), VecDeque::new());
        Reader { folder, query, watch: None, current: None, partial, ready, last, end: None, begun: false }
    }

    async fn next(&mut self) -> Result<Option<LogLine>> {
        if !self.begun {
            self.begin()?;
        }
        loop {
            while let Some(line) = self.ready.pop_front() {
                if line.seq <= self.last || self.query.since_ms.is_some_and(|since| line.at_ms < since) {
                    continue;
                }
                let late = self.query.until_ms.is_some_and(|until| line.at_ms >= until);
                if late || self.end.is_some_and(|end| line.seq > end) {
                    return Ok(None);
                }
                self.last = line.seq;
                return Ok(Some(line));
            }
            if self.end.is_some_and(|end| self.last >= end) {
                return Ok(None);
            }
            if self.read_more()? {
                // A long log must not keep other tasks from running.
                tokio::task::yield_now().await;
                continue;
            }
            if self.watch.is_none() || !self.folder.exists() {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    /// The watch comes first, so that nothing written between looking and waiting is missed.
    fn begin(&mut self) -> Result<()> {
        self.begun = true;
        if self.query.follow {
            std::fs::create_dir_all(&self.folder).map_err(Error::file("cannot create", &self.folder))?;
            self.watch = Some(watch(&self.folder).map_err(Error::file("cannot watch", &self.folder))?);
        } else {
            self.end = Some(last_number(&self.folder)?);
        }
        if let Some(count) = self.query.tail {
            self.last = self.last.max(before_last(&self.folder, count)?);
        }
        Ok(())
    }

    /// Reads the next piece; false if there is nothing new.
    fn read_more(&mut self) -> Result<bool> {
        let files = files(&self.folder)?;
        let newer = |first: u64| files.iter().find(|(number, _)| *number > first).cloned();
        if self.current.is_none() {
            // The first file that can hold a record after `last`.
            let holding = files.iter().rev().find(|(first, _)| *first <= self.last + 1).or(files.first());
            let Some((first, path)) = holding else { return Ok(false) };
            self.current = open(*first, path)?;
        }
        let Some((first, file)) = &mut self.current else { return Ok(false) };
        let mut chunk = vec![0; CHUNK];
        let count = file.read(&mut chunk).map_err(Error::file("cannot read", &self.folder))?;
        if count > 0 {
            self.partial.extend_from_slice(&chunk[..count]);
            self.split();
            return Ok(true);
        }
        let Some((first, path)) = newer(*first) else { return Ok(false) };
        // The writer is done with a file before it makes the next one, so one more look decides.
        let count = file.read(&mut chunk).map_err(Error::file("cannot read", &self.folder))?;
        self.partial.extend_from_slice(&chunk[..count]);
        self.split();
        if count == 0 {
            self.partial.clear();
            self.current = open(first, &path)?;
        }
        Ok(true)
    }

    fn split(&mut self) {
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = self.partial.split_off(end + 1);
        self.ready.extend(self.partial[..end].split(|byte| *byte == b'\n').filter_map(parse));
        self.partial = rest;
    }

    async fn wait(&self) -> Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let mut ready = watch.readable().await.map_err(Error::file("cannot watch", &self.folder))?;
        let drained = ready.try_io(|fd| {
            // Which event it was does not matter: everything is looked at again.
            let mut events = [0; 4096];
            Ok(rustix::io::read(fd.get_ref(), &mut events)?)
        });
        match drained {
            Ok(Err(error)) => Err(Error::file("cannot watch", &self.folder)(error)),
            _ => Ok(()),
        }
    }
}

fn watch(folder: &Path) -> io::Result<AsyncFd<std::os::fd::OwnedFd>> {
    use inotify::{CreateFlags, WatchFlags};
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(&fd, folder, WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::DELETE_SELF)?;
    asyncfd::register(fd)
}

/// `None` if the writer has removed it meanwhile: then there is a newer one.
fn open(first: u64, path: &Path) -> Result<Option<(u64, File)>> {
    match File::open(path) {
        Ok(file) => Ok(Some((first, file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("cannot open", path)(error)),
    }
}

/// The number before the last `count` lines, found from the end without reading what comes before them.
fn before_last(folder: &Path, count: usize) -> Result<u64> {
    if count == 0 {
        return last_number(folder);
    }
    let mut missing = count;
    let mut before = None;
    for (first, path) in files(folder)?.into_iter().rev() {
        let Some((_, mut file)) = open(first, &path)? else { continue };
        let (found, number) = tail(&mut file, missing).map_err(Error::file("cannot read", &path))?;
        before = number.map(|number| number - 1).or(before);
        missing = missing.saturating_sub(found);
        if missing == 0 {
            break;
        }
    }
    Ok(before.unwrap_or(0))
}

fn last_number(folder: &Path) -> Result<u64> {
    for (first, path) in files(folder)?.into_iter().rev() {
        let Some((_, mut file)) = open(first, &path)? else { continue };
        if let (_, Some(number)) = tail(&mut file, 1).map_err(Error::file("cannot read", &path))? {
            return Ok(number);
        }
    }
    Ok(0)
}

/// How many whole lines of the last `count` are in `file`, and the number of the first record of those.
fn tail(file: &mut File, count: usize) -> io::Result<(usize, Option<u64>)> {
    let mut start = file.seek(SeekFrom::End(0))?;
    let mut text = Vec::new();
    while start > 0 {
        let size = start.min(CHUNK as u64);
        start -= size;
        file.seek(SeekFrom::Start(start))?;
        let mut chunk = vec![0; usize::try_from(size).unwrap_or(CHUNK)];
        file.read_exact(&mut chunk)?;
        chunk.extend_from_slice(&text);
        text = chunk;
        // One more than wanted: the first may be cut at the chunk's edge.
        if whole_lines(&text).take(count + 2).count() > count + 1 {
            break;
        }
    }
    let mut lines = 0;
    let mut first = None;
    for line in whole_lines(&text) {
        if !line.partial {
            lines += 1;
        }
        if lines > count {
            lines = count;
            break;
        }
        first = Some(line.seq);
    }
    Ok((lines, first))
}

/// Records from the last to the first. A line is counted at its end, so its parts come after it here.
fn whole_lines(text: &[u8]) -> impl Iterator<Item = LogLine> {
    text.split(|byte| *byte == b'\n').rev().filter_map(parse)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::config::LogConfig;
    use crate::log::write::Writer;
    use crate::status;

    fn writer(folder: &Path) -> Writer {
        Writer::open(folder, &LogConfig { off: false, max_bytes: 300, files: 100, forward: None, of: None })
            .unwrap()
    }

    fn write(writer: &mut Writer, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            writer.write(status::Stream::Stdout, format!("line {number}\n").as_bytes()).unwrap();
        }
    }

    async fn numbers(folder: &Path, query: LogQuery) -> Vec<u64> {
        lines(folder.to_owned(), query).map(|line| line.unwrap().seq).collect().await
    }

    #[tokio::test]
    async fn a_query_finds_its_lines_over_all_files() {
        let folder = tempfile::tempdir().unwrap();
        write(&mut writer(folder.path()), 1..=50);
        assert!(files(folder.path()).unwrap().len() > 3);
        let check = async |query: LogQuery, expect: Vec<u64>| {
            assert_eq!(numbers(folder.path(), query).await, expect, "{query:?}");
        };
        let any = LogQuery::default();
        check(any, (1..=50).collect()).await;
        check(LogQuery { tail: Some(3), ..any }, vec![48, 49, 50]).await;
        check(LogQuery { tail: Some(30), ..any }, (21..=50).collect()).await;
        check(LogQuery { tail: Some(500), ..any }, (1..=50).collect()).await;
        check(LogQuery { tail: Some(0), ..any }, vec![]).await;
        check(LogQuery { after_seq: Some(47), ..any }, vec![48, 49, 50]).await;
        check(LogQuery { after_seq: Some(49), tail: Some(9), ..any }, vec![50]).await;
        check(LogQuery { until_ms: Some(1), ..any }, vec![]).await;
        check(LogQuery { since_ms: Some(u64::MAX), ..any }, vec![]).await;
        assert_eq!(numbers(&folder.path().join("absent"), any).await, Vec::<u64>::new());
    }

    #[tokio::test]
    async fn who_does_not_follow_reads_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        write(&mut writer, 1..=20);
        let mut stream = lines(folder.path().to_owned(), LogQuery::default());
        let mut seen = Vec::new();
        while let Some(line) = stream.next().await {
            seen.push(line.unwrap().seq);
            assert!(seen.len() < 50, "it reads what comes meanwhile");
            write(&mut writer, 1..=2);
        }
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn following_sees_every_line_once_over_rotation_and_a_new_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let query = LogQuery { follow: true, ..LogQuery::default() };
        let mut stream = lines(path.clone(), query);
        let reading = tokio::spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < 120 {
                seen.push(stream.next().await.unwrap().unwrap().seq);
            }
            (seen, stream)
        });
        for part in [1..=40, 41..=80, 81..=120] {
            write(&mut writer(&path), part);
            tokio::task::yield_now().await;
        }
        let (seen, mut stream) = reading.await.unwrap();
        assert_eq!(seen, (1..=120).collect::<Vec<_>>());
        std::fs::remove_dir_all(&path).unwrap();
        assert!(stream.next().await.is_none(), "the log was removed");
    }
}

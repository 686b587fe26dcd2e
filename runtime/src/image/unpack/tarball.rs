//! Reading the entries of a tar archive, one after the other, with a limit on each header.
//!
//! Fields are decoded by the `tar` crate. Walking the archive is done here, because it must hold two properties
//! that the crate's iterator has not: extended headers are bounded before they are read into memory, and what
//! programs may read in two ways (which size counts, where the archive ends) is an error, since one of the two
//! readings is an attack on whoever scanned the image with the other.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::decode::Meter;
use super::pax;
use crate::image::digest::HashingReader;
use crate::image::{Error, Result, limits};

const BLOCK: u64 = 512;

/// One entry, with everything its extended headers add.
#[derive(Debug)]
pub(in crate::image) struct Entry {
    pub(in crate::image) kind: EntryType,
    pub(in crate::image) path: Vec<u8>,
    pub(in crate::image) link: Vec<u8>,
    /// Size of the file, holes included.
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub(super) mtime: (i64, u32),
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Offset and length of each piece that is in the archive; `None` for a file without holes.
    pub(super) sparse: Option<Vec<(u64, u64)>>,
}

impl Default for Entry {
    fn default() -> Entry {
        Entry {
            kind: EntryType::Regular,
            path: Vec::new(),
            link: Vec::new(),
            size: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            xattrs: Vec::new(),
            sparse: None,
        }
    }
}

/// What extended headers said about the entry that follows them.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pax_seen: bool,
    bytes: u64,
}

pub(in crate::image) struct Reader<R> {
    inner: R,
    /// What is left of the current entry's data, and the padding after it.
    data: u64,
    padding: u64,
}

impl<R: Read> Reader<HashingReader<Meter<R>>> {
    /// The hash so far, and the limit that was met, if one was.
    pub(super) fn into_parts(mut self) -> (HashingReader<Meter<R>>, Option<Error>) {
        let exceeded = self.inner.get_mut().take_exceeded();
        (self.inner, exceeded)
    }
}

impl<R: Read> Reader<R> {
    pub(in crate::image) fn new(inner: R) -> Self {
        Reader { inner, data: 0, padding: 0 }
    }

    /// The data of the current entry; what is not read is skipped by [`Reader::next`].
    pub(in crate::image) fn data(&mut self) -> Data<'_, R> {
        Data { reader: self }
    }

    /// The next entry that is not an extended header; `None` at the archive's end.
    pub(in crate::image) fn next(&mut self) -> Result<Option<Entry>> {
        let mut extended = Extended::default();
        loop {
            self.skip_data()?;
            let Some(header) = self.header()? else {
                let dangling = extended.bytes > 0;
                return if dangling { Err(bad("extended header without an entry")) } else { Ok(None) };
            };
            let size = field(&header.as_old().size, header.entry_size())?;
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName | EntryType::GNULongLink => {
                    let name = self.extension(size, &mut extended)?;
                    let name = name.split(|b| *b == 0).next().unwrap_or_default().to_vec();
                    let place = if kind == EntryType::GNULongName {
                        &mut extended.long_path
                    } else {
                        &mut extended.long_link
                    };
                    if place.replace(name).is_some() {
                        return Err(bad("two long names for one entry"));
                    }
                }
                EntryType::XHeader => {
                    let data = self.extension(size, &mut extended)?;
                    if std::mem::replace(&mut extended.pax_seen, true) {
                        return Err(bad("two pax headers for one entry"));
                    }
                    extended.read_pax(&data).map_err(bad)?;
                }
                EntryType::XGlobalHeader => {
                    // Comments of `git archive`; anything that changes entries would be read in two ways.
                    let data = self.extension(size, &mut extended)?;
                    let global = pax::records(&data).map_err(bad)?;
                    if global.iter().any(|r| matches!(r.key, b"path" | b"linkpath" | b"size")) {
                        return Err(bad("a global pax header that renames or resizes entries"));
                    }
                    extended.bytes = 0;
                }
                _ => return self.entry(&header, size, extended).map(Some),
            }
        }
    }

    /// Reads to the end of the stream, so that its digest covers all of it.
    pub(super) fn drain(&mut self) -> Result<()> {
        io::copy(&mut self.inner, &mut io::sink()).map_err(Error::io("cannot read the archive"))?;
        Ok(())
    }

    fn entry(&mut self, header: &Header, header_size: u64, extended: Extended) -> Result<Entry> {
        let kind = header.entry_type();
        let stored = extended.size.unwrap_or(header_size);
        let has_data = matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse);
        let known_without = matches!(
            kind,
            EntryType::Directory
                | EntryType::Link
                | EntryType::Symlink
                | EntryType::Char
                | EntryType::Block
                | EntryType::Fifo
        );
        if known_without && stored != 0 {
            return Err(bad(format!("a {kind:?} entry with data")));
        }
        let (sparse, size) = if kind == EntryType::GNUSparse {
            let (map, size) = self.sparse_map(header, stored)?;
            (Some(map), size)
        } else {
            (None, if has_data { stored } else { 0 })
        };
        self.data = stored;
        self.padding = stored.wrapping_neg() % BLOCK;
        if extended.path.is_some() && extended.long_path.is_some() && extended.path != extended.long_path {
            return Err(bad("an entry with two different names"));
        }
        let old = header.as_old();
        let id = |pax: Option<u64>, field: Result<u64>| {
            let id = pax.map_or(field, Ok)?;
            u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or_else(|| bad("owner out of range"))
        };
        let seconds = i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0);
        let path = extended.long_path.or(extended.path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extended.long_link.or(extended.link);
        let mut entry = Entry {
            kind,
            path,
            link: link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned()),
            size,
            mode: field(&old.mode, header.mode().map(u64::from))? as u32 & 0o7777,
            uid: id(extended.uid, field(&old.uid, header.uid()))?,
            gid: id(extended.gid, field(&old.gid, header.gid()))?,
            mtime: extended.mtime.unwrap_or((seconds, 0)),
            xattrs: extended.xattrs,
            sparse,
        };
        // Archives from before 1988 mark folders by a slash at the end of the name.
        if entry.kind == EntryType::Regular && entry.path.ends_with(b"/") && entry.size == 0 {
            entry.kind = EntryType::Directory;
        }
        Ok(entry)
    }

    /// One header block; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? {
            return Ok(None);
        }
        if header.as_bytes().iter().all(|b| *b == 0) {
            let mut second = [0; BLOCK as usize];
            if self.block(&mut second)? && second.iter().any(|b| *b != 0) {
                return Err(bad("entries after the archive's end"));
            }
            return Ok(None);
        }
        let bytes = header.as_bytes();
        let sum: u32 = bytes[..148].iter().chain(&bytes[156..]).map(|b| u32::from(*b)).sum::<u32>() + 8 * 32;
        if header.cksum().map_err(|e| bad(e.to_string()))? != sum {
            return Err(bad("a header with a wrong checksum"));
        }
        Ok(Some(header))
    }

    /// Fills a block; `false` when the stream ended before it.
    fn block(&mut self, block: &mut [u8; BLOCK as usize]) -> Result<bool> {
        let mut filled = 0;
        while filled < block.len() {
            match self.inner.read(&mut block[filled..]).map_err(Error::io("cannot read the archive"))? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(bad("the archive is cut off")),
                count => filled += count,
            }
        }
        Ok(true)
    }

    fn extension(&mut self, size: u64, extended: &mut Extended) -> Result<Vec<u8>> {
        extended.bytes = extended.bytes.saturating_add(size).saturating_add(BLOCK);
        if extended.bytes > limits::ENTRY_HEADER_BYTES {
            let what = "headers of one entry".to_owned();
            return Err(Error::Limit { what, limit: limits::ENTRY_HEADER_BYTES });
        }
        (self.data, self.padding) = (size, size.wrapping_neg() % BLOCK);
        let mut data = Vec::new();
        self.data().read_to_end(&mut data).map_err(Error::io("cannot read the archive"))?;
        Ok(data)
    }

    /// The old GNU form of holes: a map in the header and in blocks after it.
    fn sparse_map(&mut self, header: &Header, stored: u64) -> Result<(Vec<(u64, u64)>, u64)> {
        let gnu = header.as_gnu().ok_or_else(|| bad("a sparse file in an archive that is not GNU's"))?;
        let mut map = SparseMap::default();
        for piece in gnu.sparse.iter().filter(|piece| !piece.is_empty()) {
            map.add(piece)?;
        }
        let mut more = gnu.is_extended();
        let mut blocks = 0;
        while more {
            blocks += BLOCK;
            if blocks > limits::ENTRY_HEADER_BYTES {
                let what = "headers of one entry".to_owned();
                return Err(Error::Limit { what, limit: limits::ENTRY_HEADER_BYTES });
            }
            let mut extension = tar::GnuExtSparseHeader::new();
            if !self.block(extension.as_mut_bytes())? {
                return Err(bad("the archive is cut off"));
            }
            for piece in extension.sparse().iter().filter(|piece| !piece.is_empty()) {
                map.add(piece)?;
            }
            more = extension.is_extended();
        }
        let size = gnu.real_size().map_err(|e| bad(e.to_string()))?;
        if map.stored != stored || map.end > size {
            return Err(bad("a sparse file whose pieces do not add up"));
        }
        Ok((map.pieces, size))
    }

    fn skip_data(&mut self) -> Result<()> {
        let amount = self.data.saturating_add(self.padding);
        (self.data, self.padding) = (0, 0);
        let copied = io::copy(&mut (&mut self.inner).take(amount), &mut io::sink());
        match copied.map_err(Error::io("cannot read the archive"))? {
            copied if copied == amount => Ok(()),
            _ => Err(bad("the archive is cut off")),
        }
    }
}

/// The data of one entry.
pub(in crate::image) struct Data<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.reader.data).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.reader.inner.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off"));
        }
        self.reader.data -= count as u64;
        Ok(count)
    }
}

#[derive(Default)]
struct SparseMap {
    pieces: Vec<(u64, u64)>,
    end: u64,
    stored: u64,
}

impl SparseMap {
    fn add(&mut self, piece: &tar::GnuSparseHeader) -> Result<()> {
        let offset = piece.offset().map_err(|e| bad(e.to_string()))?;
        let length = piece.length().map_err(|e| bad(e.to_string()))?;
        let end = offset.checked_add(length).filter(|_| offset >= self.end);
        self.end = end.ok_or_else(|| bad("a sparse file whose pieces overlap"))?;
        self.stored += length;
        self.pieces.push((offset, length));
        Ok(())
    }
}

impl Extended {
    fn read_pax(&mut self, data: &[u8]) -> Result<(), &'static str> {
        for record in pax::records(data)? {
            let twice = match record.key {
                b"path" => self.path.replace(record.value.to_vec()).is_some(),
                b"linkpath" => self.link.replace(record.value.to_vec()).is_some(),
                b"size" => self.size.replace(pax::number(record.value)?).is_some(),
                b"uid" => self.uid.replace(pax::number(record.value)?).is_some(),
                b"gid" => self.gid.replace(pax::number(record.value)?).is_some(),
                b"mtime" => {
                    self.mtime.replace(pax::time(record.value).ok_or("a time that is none")?).is_some()
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err("a sparse file in pax form is not supported");
                }
                key => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        self.xattrs.push((name.to_vec(), record.value.to_vec()));
                    }
                    false
                }
            };
            if twice {
                return Err("a pax header that says one thing twice");
            }
        }
        if self.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            > limits::XATTR_BYTES
        {
            return Err("too many extended attributes");
        }
        Ok(())
    }
}

/// A field that was left empty is zero, as GNU tar and Go read it.
fn field(raw: &[u8], parsed: io::Result<u64>) -> Result<u64> {
    if raw.iter().all(|b| matches!(b, 0 | b' ')) { Ok(0) } else { parsed.map_err(|e| bad(e.to_string())) }
}

fn bad(reason: impl Into<String>) -> Error {
    Error::Malformed { what: "archive".to_owned(), reason: reason.into() }
}

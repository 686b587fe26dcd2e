//! Decompression by what the bytes are, not by what a media type claims, and the limits on what comes out.

use std::io::{self, BufRead, Read};

use crate::image::{Error, limits};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Window of a zstd frame, as a power of two: 128 MiB, what `zstd --long` writes without being asked twice.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The plain bytes of something that is gzip, zstd, or plain already.
pub(in crate::image) fn decoder<'a>(mut input: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    input.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
    let kind = start.clone();
    let input = io::Cursor::new(start).chain(input);
    if kind.starts_with(&ZSTD) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(Box::new(decoder))
    } else if kind.starts_with(&GZIP) {
        Ok(Box::new(flate2::bufread::MultiGzDecoder::new(input)))
    } else {
        Ok(Box::new(input))
    }
}

/// Stops a layer that grows beyond all reason: its size, and how much larger it is than what was sent.
pub(super) struct Meter<R> {
    inner: R,
    seen: u64,
    ratio_limit: u64,
    exceeded: Option<Error>,
}

impl<R: Read> Meter<R> {
    pub(super) fn new(inner: R, compressed: u64) -> Self {
        let ratio_limit = compressed.saturating_mul(limits::LAYER_RATIO).max(limits::LAYER_RATIO_FROM);
        Meter { inner, seen: 0, ratio_limit, exceeded: None }
    }

    /// The limit that was met, if one was: the error that a reader saw is only its echo.
    pub(super) fn take_exceeded(&mut self) -> Option<Error> {
        self.exceeded.take()
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.seen += count as u64;
        if self.seen > limits::LAYER_BYTES {
            self.exceeded =
                Some(Error::Limit { what: "unpacked size of the layer".into(), limit: limits::LAYER_BYTES });
        } else if self.seen > self.ratio_limit {
            let what = format!("compression ratio of the layer ({} bytes and counting)", self.seen);
            self.exceeded = Some(Error::Limit { what, limit: limits::LAYER_RATIO });
        }
        match self.exceeded {
            Some(_) => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
            None => Ok(count),
        }
    }
}

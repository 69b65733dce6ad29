//! Bytes in whatever encoding the file declares, read as UTF-8 in constant memory.
//!
//! The encoding is the byte order mark's, else the XML prolog's, else UTF-8. Bytes that are not text in that encoding
//! stop the reading at their place: replacing them would store a damaged name as if it were right.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

use crate::fault::{Code, Fault, Place};

const CHUNK: usize = 32 << 10;

/// Why reading stopped, kept beside the `io::Error` that carries it through a parser that knows only those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The consumer asked for more bytes than it may between two calls of [`Utf8::allow`].
    OverBudget,
    /// Not text in the declared encoding, at this byte of the file.
    NotText(u64),
}

/// A reader of UTF-8 over a reader of bytes, which counts lines and lets its owner bound what one token may take.
pub(crate) struct Utf8<R> {
    inner: R,
    decoder: Decoder,
    raw: Vec<u8>,
    raw_pos: usize,
    raw_read: u64,
    out: Vec<u8>,
    out_pos: usize,
    out_len: usize,
    ended: bool,
    line: u64,
    budget: usize,
    stop: Option<Stop>,
}

impl<R: Read> Utf8<R> {
    /// Looks at the first bytes to choose the encoding.
    pub(crate) fn new(mut inner: R, file: &str) -> Result<Self, Fault> {
        let mut raw = Vec::with_capacity(CHUNK);
        inner.by_ref().take(1024).read_to_end(&mut raw).map_err(|err| Fault::from_io(file, &err))?;
        let (encoding, skip) = match Encoding::for_bom(&raw) {
            Some((encoding, bom)) => (encoding, bom),
            None => (declared(&raw, file)?.unwrap_or(UTF_8), 0),
        };
        let raw_read = u64::try_from(raw.len()).unwrap_or(u64::MAX);
        Ok(Self {
            inner,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw,
            raw_pos: skip,
            raw_read,
            out: vec![0; CHUNK * 2],
            out_pos: 0,
            out_len: 0,
            ended: false,
            line: 1,
            budget: usize::MAX,
            stop: None,
        })
    }

    /// Bytes that may be consumed until the next call.
    pub(crate) fn allow(&mut self, budget: usize) {
        self.budget = budget;
    }

    /// The line of the next byte to be consumed, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Why the last read failed, when it was this reader's own decision.
    pub(crate) fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Name of the encoding being read, as the WHATWG Encoding Standard writes it.
    pub(crate) fn encoding(&self) -> &'static str {
        self.decoder.encoding().name()
    }

    fn refuse(&mut self, stop: Stop) -> io::Error {
        self.stop = Some(stop);
        io::Error::from(io::ErrorKind::InvalidData)
    }

    fn refill(&mut self) -> io::Result<()> {
        while self.out_pos == self.out_len && !self.ended {
            if self.raw_pos == self.raw.len() {
                self.raw.resize(CHUNK, 0);
                let read = match self.inner.read(&mut self.raw) {
                    Ok(read) => read,
                    Err(err) => {
                        // Nothing is pending: an interrupted read is simply asked for again.
                        self.raw.clear();
                        self.raw_pos = 0;
                        if err.kind() == io::ErrorKind::Interrupted {
                            continue;
                        }
                        return Err(err);
                    }
                };
                self.raw.truncate(read);
                self.raw_pos = 0;
                self.raw_read += u64::try_from(read).unwrap_or(u64::MAX);
                self.ended = read == 0;
            }
            let pending = self.raw.get(self.raw_pos..).unwrap_or_default();
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(pending, &mut self.out, self.ended);
            self.raw_pos += read;
            (self.out_pos, self.out_len) = (0, written);
            if let DecoderResult::Malformed(_, after) = result {
                let unread = u64::try_from(self.raw.len() - self.raw_pos).unwrap_or(0) + u64::from(after);
                let place = self.raw_read.saturating_sub(unread + 1);
                return Err(self.refuse(Stop::NotText(place)));
            }
        }
        Ok(())
    }
}

impl<R: Read> BufRead for Utf8<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(stop) = self.stop {
            return Err(self.refuse(stop));
        }
        self.refill()?;
        let left = self.out_len - self.out_pos;
        if left > 0 && self.budget == 0 {
            return Err(self.refuse(Stop::OverBudget));
        }
        let end = self.out_pos + left.min(self.budget);
        Ok(self.out.get(self.out_pos..end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        let end = (self.out_pos + amount).min(self.out_len);
        let eaten = self.out.get(self.out_pos..end).unwrap_or_default();
        self.line += u64::try_from(memchr::memchr_iter(b'\n', eaten).count()).unwrap_or(0);
        self.budget = self.budget.saturating_sub(amount);
        self.out_pos = end;
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let read = available.read(buf)?;
        self.consume(read);
        Ok(read)
    }
}

/// The encoding named by an XML prolog, if there is a prolog that names one.
fn declared(head: &[u8], file: &str) -> Result<Option<&'static Encoding>, Fault> {
    if !head.starts_with(b"<?xml") {
        return Ok(None);
    }
    let end = memchr::memmem::find(head, b"?>").unwrap_or(head.len());
    let prolog = head.get(..end).unwrap_or_default();
    let Some(at) = memchr::memmem::find(prolog, b"encoding") else { return Ok(None) };
    let value = prolog.get(at + b"encoding".len()..).unwrap_or_default();
    let mut parts = value.splitn(3, |byte| matches!(byte, b'"' | b'\''));
    let (_, label) = (parts.next(), parts.next().unwrap_or_default());
    match Encoding::for_label(label) {
        Some(encoding) => Ok(Some(encoding)),
        None => Err(Fault::new(
            Code::UnknownEncoding,
            Place::line(file, 1),
            "the prolog declares an unknown encoding",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        Utf8::new(bytes, "f.xml").unwrap().read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn the_prolog_the_mark_or_utf_8_decides() {
        assert_eq!(read("<a>é</a>".as_bytes()).unwrap(), "<a>é</a>");
        assert_eq!(read("\u{feff}<a>é</a>".as_bytes()).unwrap(), "<a>é</a>");
        let latin9 = b"<?xml version=\"1.0\" encoding='ISO-8859-15'?><a>\xbdil \xa4</a>";
        assert!(read(latin9).unwrap().ends_with("<a>œil €</a>"));
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(read(&utf16).unwrap(), "<a>é</a>");
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_at_their_place() {
        let mut text = String::new();
        let mut reader = Utf8::new(&b"<a>\n\xe9</a>"[..], "f.xml").unwrap();
        assert!(reader.read_to_string(&mut text).is_err());
        assert_eq!(reader.stop(), Some(Stop::NotText(4)));
        assert!(read(b"<a>\xc3").is_err(), "a cut character at the end of the file");
        let unknown = Utf8::new(&b"<?xml version='1.0' encoding='klingon'?>"[..], "f.xml");
        assert_eq!(unknown.err().unwrap().code, Code::UnknownEncoding);
    }

    #[test]
    fn the_budget_bounds_what_one_token_takes() {
        let mut reader = Utf8::new(&b"0123456789"[..], "f").unwrap();
        reader.allow(4);
        let mut text = String::new();
        assert!(reader.read_to_string(&mut text).is_err());
        assert_eq!(reader.stop(), Some(Stop::OverBudget));
    }
}

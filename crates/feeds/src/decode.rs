//! Bytes in whatever encoding the file is in, read as UTF-8 in constant memory.
//!
//! The encoding is the byte order mark's, else the XML prolog's, else UTF-8; of a CSV, which declares nothing, what its first
//! letter beyond ASCII shows. Bytes that are not text in that encoding stop the reading at their place: replacing them would
//! store a damaged name as if it were right.
//!
//! Two lies are seen through, for no French file is meant the other way: a prolog that says ISO-8859 over bytes that are
//! UTF-8 (`Ã©` for `é`), and ISO-8859-1 over an `œ` that only ISO-8859-15 has (`½` in the middle of a word).

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, ISO_8859_15, UTF_8, WINDOWS_1252};

use crate::fault::{Code, Fault, Place};
use crate::report::Report;

const CHUNK: usize = 32 << 10;

/// Why reading stopped, kept beside the `io::Error` that carries it through a parser that knows only those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The consumer asked for more bytes than it may between two calls of [`Utf8::allow`].
    OverBudget,
    /// Not text in the declared encoding, at this byte of the file.
    NotText(u64),
}

/// How sure the encoding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Nothing is looked at any more.
    Settled,
    /// Declared as one byte a letter: the first letter beyond ASCII confirms or denies it.
    Declared,
    /// Declared nowhere: that letter decides.
    Guessed,
}

/// What was odd about the encoding.
#[derive(Clone, Copy, Debug, Default)]
struct Odd {
    mark: bool,
    /// The line from which another encoding than the declared one was read.
    denied: Option<u64>,
    /// The line of an `œ` of ISO-8859-15.
    ligature: Option<u64>,
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
    flushed: bool,
    /// The line of the first byte that is not counted yet, and where in `out` that byte stands.
    line: u64,
    counted: usize,
    budget: usize,
    stop: Option<Stop>,
    /// Where the text ends, once what comes before it has been consumed.
    broken: Option<u64>,
    trust: Trust,
    odd: Odd,
}

impl<R: Read> Utf8<R> {
    /// Looks at the first bytes to choose the encoding of XML.
    pub(crate) fn new(inner: R, file: &str) -> Result<Self, Fault> {
        Self::start(inner, file, |head| {
            Ok(match declared(head, file)? {
                Some(encoding) if encoding.is_single_byte() => (encoding, Trust::Declared),
                Some(encoding) => (encoding, Trust::Settled),
                None => (UTF_8, Trust::Settled),
            })
        })
    }

    /// Reads text that declares nothing: in `encoding` when somebody else says it, else in what its letters show.
    pub(crate) fn plain(inner: R, file: &str, encoding: Option<&'static Encoding>) -> Result<Self, Fault> {
        let choice = encoding.map_or((UTF_8, Trust::Guessed), |encoding| (encoding, Trust::Settled));
        Self::start(inner, file, |_| Ok(choice))
    }

    fn start(
        mut inner: R,
        file: &str,
        choose: impl FnOnce(&[u8]) -> Result<(&'static Encoding, Trust), Fault>,
    ) -> Result<Self, Fault> {
        let mut raw = Vec::with_capacity(CHUNK);
        inner.by_ref().take(1024).read_to_end(&mut raw).map_err(|err| Fault::from_io(file, &err))?;
        let mut odd = Odd::default();
        let ((encoding, trust), skip) = match Encoding::for_bom(&raw) {
            Some((encoding, bom)) => {
                odd.mark = true;
                // A prolog that says something else than the mark lies.
                let said = declared(raw.get(bom..).unwrap_or_default(), file).ok().flatten();
                odd.denied = said.is_some_and(|said| encoding == UTF_8 && said != UTF_8).then_some(1);
                ((encoding, Trust::Settled), bom)
            }
            None => (choose(&raw)?, 0),
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
            flushed: false,
            line: 1,
            counted: 0,
            budget: usize::MAX,
            stop: None,
            broken: None,
            trust,
            odd,
        })
    }

    /// Bytes that may be consumed until the next call.
    pub(crate) fn allow(&mut self, budget: usize) {
        self.budget = budget;
    }

    /// The line of the next byte to be consumed, from 1.
    ///
    /// Counted when asked for: counting at every token would cost as much as decoding.
    pub(crate) fn line(&self) -> u64 {
        let eaten = self.out.get(self.counted..self.out_pos).unwrap_or_default();
        self.line + u64::try_from(memchr::memchr_iter(b'\n', eaten).count()).unwrap_or(0)
    }

    /// The same, for one who asks at every record: what is counted once is not counted again.
    pub(crate) fn note_line(&mut self) -> u64 {
        self.line = self.line();
        self.counted = self.out_pos;
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

    /// Notes in `report` what was odd about the encoding of `file`.
    pub(crate) fn tell(&self, file: &str, report: &mut Report) {
        if self.odd.mark {
            report.warn("feed-byte-order-mark", Place::line(file, 1), self.encoding());
        }
        for (code, line) in
            [("feed-encoding-denied", self.odd.denied), ("feed-oe-of-latin-9", self.odd.ligature)]
        {
            if let Some(line) = line {
                report.warn(code, Place::line(file, line), self.encoding());
            }
        }
    }

    /// How much of the pending bytes may be decoded as things stand; looks at letters until the encoding is sure.
    fn look(&mut self) -> Look {
        let pending = self.raw.get(self.raw_pos..).unwrap_or_default();
        if self.trust != Trust::Settled {
            let plain = Encoding::ascii_valid_up_to(pending);
            if plain == pending.len() {
                return Look::All;
            }
            if plain > 0 {
                return Look::First(plain);
            }
            if pending.len() < 4 && !self.ended {
                return Look::More;
            }
            let modern = is_french_utf8(pending);
            match self.trust {
                Trust::Declared if modern => {
                    self.decoder = UTF_8.new_decoder_without_bom_handling();
                    self.odd.denied = Some(self.line());
                }
                Trust::Guessed if !modern => self.decoder = WINDOWS_1252.new_decoder_without_bom_handling(),
                Trust::Declared | Trust::Guessed | Trust::Settled => {}
            }
            self.trust = Trust::Settled;
        }
        if self.decoder.encoding() == WINDOWS_1252
            && memchr::memchr3_iter(0xbc, 0xbd, 0xbe, pending).any(|at| in_a_word(pending, at))
        {
            self.decoder = ISO_8859_15.new_decoder_without_bom_handling();
            self.odd.ligature = Some(self.line());
        }
        Look::All
    }

    fn refuse(&mut self, stop: Stop) -> io::Error {
        self.stop = Some(stop);
        io::Error::from(io::ErrorKind::InvalidData)
    }

    /// Reads more behind what is pending.
    fn fetch(&mut self) -> io::Result<()> {
        self.raw.drain(..self.raw_pos);
        self.raw_pos = 0;
        let pending = self.raw.len();
        self.raw.resize(pending + CHUNK, 0);
        let read = loop {
            match self.inner.read(self.raw.get_mut(pending..).unwrap_or_default()) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let got = *read.as_ref().unwrap_or(&0);
        self.raw.truncate(pending + got);
        read?;
        self.raw_read += u64::try_from(got).unwrap_or(u64::MAX);
        self.ended = got == 0;
        Ok(())
    }

    fn refill(&mut self) -> io::Result<()> {
        // At the end of the source what is still pending is decoded, and the decoder flushed.
        while self.out_pos == self.out_len && !(self.ended && self.flushed) {
            if self.raw_pos == self.raw.len() {
                self.raw.clear();
                self.raw_pos = 0;
                self.fetch()?;
            }
            let end = match self.look() {
                Look::All => self.raw.len(),
                Look::First(bytes) => self.raw_pos + bytes,
                Look::More => {
                    self.fetch()?;
                    continue;
                }
            };
            // What was eaten is counted before it is overwritten.
            self.line = self.line();
            self.counted = 0;
            self.out_pos = 0;
            self.out_len = 0;
            let pending = self.raw.get(self.raw_pos..end).unwrap_or_default();
            let last = self.ended && end == self.raw.len();
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(pending, &mut self.out, last);
            self.raw_pos += read;
            self.flushed = last && matches!(result, DecoderResult::InputEmpty);
            (self.out_pos, self.out_len) = (0, written);
            if let DecoderResult::Malformed(_, after) = result {
                let unread = u64::try_from(self.raw.len() - self.raw_pos).unwrap_or(0) + u64::from(after);
                self.broken = Some(self.raw_read.saturating_sub(unread + 1));
                return Ok(());
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
        if self.broken.is_none() {
            self.refill()?;
        }
        let left = self.out_len - self.out_pos;
        if let Some(byte) = self.broken.filter(|_| left == 0) {
            return Err(self.refuse(Stop::NotText(byte)));
        }
        if left > 0 && self.budget == 0 {
            return Err(self.refuse(Stop::OverBudget));
        }
        let end = self.out_pos + left.min(self.budget);
        Ok(self.out.get(self.out_pos..end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.budget = self.budget.saturating_sub(amount);
        self.out_pos = (self.out_pos + amount).min(self.out_len);
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

/// The first bytes of a file as text, whatever they are: to look at, never to keep.
pub(crate) fn head(bytes: &[u8]) -> String {
    let (encoding, skip) = match Encoding::for_bom(bytes) {
        Some(known) => known,
        None => {
            let modern = encoding_rs::Encoding::utf8_valid_up_to(bytes) + 4 > bytes.len();
            let said = declared(bytes, "").ok().flatten();
            (said.unwrap_or(if modern { UTF_8 } else { WINDOWS_1252 }), 0)
        }
    };
    let text = bytes.get(skip..).unwrap_or_default();
    encoding.decode_without_bom_handling(text).0.into_owned()
}

/// What may be decoded now.
enum Look {
    All,
    First(usize),
    /// Nothing: the letter is cut by the end of what was read.
    More,
}

/// Whether the bytes begin with a letter in UTF-8 that French texts have: what ISO-8859 would read there is no French.
fn is_french_utf8(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(err) => {
            std::str::from_utf8(head.get(..err.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
    };
    // Latin, then general punctuation, the euro sign, and accents that stand alone as macOS writes them.
    matches!(
        valid.chars().next(),
        Some('\u{a0}'..='\u{24f}' | '\u{300}'..='\u{36f}' | '\u{1e00}'..='\u{20bf}' | '\u{feff}')
    )
}

/// Whether the byte at `at` touches a letter: ¼, ½ and ¾ stand beside digits, never in words.
fn in_a_word(bytes: &[u8], at: usize) -> bool {
    let letter = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at)).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte >= 0xc0)
    };
    letter(at.checked_sub(1)) || letter(Some(at + 1))
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

    fn told(bytes: &[u8], plain: bool) -> (io::Result<String>, Vec<String>) {
        // Three bytes a read, so that every letter is cut somewhere.
        struct Drops<'a>(&'a [u8]);
        impl Read for Drops<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let few = buf.len().min(3);
                self.0.read(&mut buf[..few])
            }
        }
        let mut reader = if plain {
            Utf8::plain(Drops(bytes), "f", None).unwrap()
        } else {
            Utf8::new(Drops(bytes), "f").unwrap()
        };
        let mut text = String::new();
        let read = reader.read_to_string(&mut text).map(|_| text);
        let mut report = Report::default();
        reader.tell("f", &mut report);
        (read, report.warnings.into_keys().collect())
    }

    #[test]
    fn a_prolog_that_lies_is_seen_through() {
        let padding = " ".repeat(2_000);
        let utf8 = format!("<?xml version='1.0' encoding='ISO-8859-15'?><a>{padding}é{padding}œ</a>");
        let (text, odd) = told(utf8.as_bytes(), false);
        assert!(text.unwrap().ends_with("œ</a>"));
        assert_eq!(odd, ["feed-encoding-denied"]);
        let (text, odd) =
            told(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>c\xbdur, 5\xbd, \xe9t\xe9</a>", false);
        assert!(text.unwrap().contains("cœur"));
        assert_eq!(odd, ["feed-oe-of-latin-9"]);
        let (text, odd) = told(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9t\xe9 \xbd</a>", false);
        assert!(text.unwrap().contains("été ½"));
        assert!(odd.is_empty(), "{odd:?}");
        let (_, odd) = told("\u{feff}<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>".as_bytes(), false);
        assert_eq!(odd, ["feed-byte-order-mark", "feed-encoding-denied"]);
    }

    #[test]
    fn text_that_declares_nothing_shows_its_encoding() {
        for padding in 0..9 {
            let padding = ".".repeat(1_020 + padding);
            for (bytes, expected) in [
                (format!("{padding}Zoé, Cœur, €").into_bytes(), "Zoé, Cœur, €"),
                ([padding.as_bytes(), b"Zo\xe9, C\x9cur, \x80"].concat(), "Zoé, Cœur, €"),
                ([padding.as_bytes(), b"Zo\xe9, C\xbdur, \xa4"].concat(), "Zoé, Cœur, €"),
                ([padding.as_bytes(), b"Zo\xe9"].concat(), "Zoé"),
            ] {
                let text = told(&bytes, true).0.unwrap();
                assert_eq!(text.trim_start_matches('.'), expected);
            }
        }
        assert!(told("é puis \u{e9}".as_bytes(), true).0.is_ok());
        assert!(told(b"\xc3\xa9 puis \xe9 en deux encodages", true).0.is_err());
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

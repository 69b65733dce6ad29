//! Rows of a separated table, one by one, in constant memory.

use std::io::{BufRead, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use encoding_rs::Encoding;

use crate::decode::{Stop, Utf8};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::report::Report;

const SEPARATORS: [u8; 4] = [b';', b',', b'\t', b'|'];

/// A table being read. The row stands in the table until the next one.
pub(super) struct Table<R> {
    source: Utf8<R>,
    file: String,
    parser: Reader,
    separator: u8,
    limits: Limits,
    /// The bytes of the row, as written.
    raw: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
    line: u64,
    /// How many fields the header has.
    width: usize,
    ended: bool,
}

impl<R: Read> Table<R> {
    /// Starts reading, and answers with the headers and what separates them.
    pub(super) fn open(
        source: R,
        file: &str,
        (encoding, separator): (Option<&'static Encoding>, Option<u8>),
        limits: &Limits,
    ) -> Result<(Self, Vec<String>), Fault> {
        let mut table = Self {
            source: Utf8::plain(source, file, encoding)?,
            file: file.to_owned(),
            parser: Reader::new(),
            separator: b';',
            limits: limits.clone(),
            raw: Vec::new(),
            text: vec![0; 4 << 10],
            ends: vec![0; 64],
            fields: 0,
            line: 1,
            width: 0,
            ended: false,
        };
        let head = table.header()?;
        let (line, found) = first_line(&head);
        table.separator = separator.unwrap_or(found);
        table.parser = parser(table.separator);
        let headers = split(line, table.separator);
        table.width = headers.len();
        Ok((table, headers))
    }

    pub(super) fn separator(&self) -> u8 {
        self.separator
    }

    /// The line where the row begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn place(&self) -> Place {
        Place::line(&self.file, self.line)
    }

    pub(super) fn encoding(&self) -> &'static str {
        self.source.encoding()
    }

    /// Notes in `report` what was odd about the encoding.
    pub(super) fn tell(&self, report: &mut Report) {
        self.source.tell(&self.file, report);
    }

    /// The field at this position, trimmed; empty beyond the row's end.
    pub(super) fn field(&self, at: usize) -> &str {
        if at >= self.fields {
            return "";
        }
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(start);
        let bytes = self.text.get(start..end).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default().trim_matches(blank)
    }

    fn fault(&self, code: Code, what: &str) -> Fault {
        Fault::new(code, self.place(), what)
    }

    /// The bytes of the first line, and of the second when the first only names the separator.
    fn header(&mut self) -> Result<String, Fault> {
        let mut head = Vec::new();
        self.source.allow(self.limits.csv_row_bytes);
        loop {
            let before = head.len();
            self.line_into(&mut head)?;
            let line = head.get(before..).unwrap_or_default();
            let text = String::from_utf8_lossy(&head);
            let more = quotes_open(line) || text.trim_matches(blank).is_empty() || {
                let lines = text.trim_matches(blank);
                lines.to_ascii_lowercase().starts_with("sep=") && !lines.contains(['\n', '\r'])
            };
            if !more || line.is_empty() {
                return Ok(text.into_owned());
            }
        }
    }

    /// Up to the end of a line, which is included.
    fn line_into(&mut self, head: &mut Vec<u8>) -> Result<(), Fault> {
        loop {
            let available = match self.source.fill_buf() {
                Ok(available) => available,
                Err(err) => return Err(self.refusal(&err)),
            };
            let Some(end) = memchr::memchr2(b'\n', b'\r', available) else {
                let taken = available.len();
                if taken == 0 {
                    return Ok(());
                }
                head.extend_from_slice(available);
                self.source.consume(taken);
                continue;
            };
            let end = end + 1;
            head.extend_from_slice(available.get(..end).unwrap_or_default());
            self.source.consume(end);
            return Ok(());
        }
    }

    fn refusal(&self, err: &std::io::Error) -> Fault {
        let line = self.source.line();
        match self.source.stop() {
            Some(Stop::NotText(byte)) => Fault::new(
                Code::BadEncoding,
                Place { line: Some(line), ..Place::byte(&self.file, byte) },
                format!("bytes that are not {} text", self.source.encoding()),
            ),
            Some(Stop::OverBudget) => self.fault(
                Code::ValueTooLong,
                "a row longer than any real one: perhaps a quotation mark that is never closed",
            ),
            None => Fault::from_io(&self.file, err),
        }
    }

    /// Reads the next row that is not blank. `false` at the end.
    ///
    /// # Errors
    /// A row longer than any real one, bytes that are no text, characters that no table has.
    pub(super) fn next(&mut self, report: &mut Report) -> Result<bool, Fault> {
        loop {
            if self.ended || !self.record()? {
                return Ok(false);
            }
            if self
                .text
                .iter()
                .take(self.ends.get(self.fields.saturating_sub(1)).copied().unwrap_or(0))
                .any(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'))
            {
                return Err(self.fault(Code::BadCharacter, "a control character"));
            }
            if self.fields < self.width.min(3) && self.width >= 3 {
                self.split_otherwise(report);
            }
            if (0..self.fields).all(|at| self.field(at).is_empty()) {
                continue;
            }
            if (self.width..self.fields).any(|at| !self.field(at).is_empty()) {
                report.warn("csv-too-many-fields", self.place(), "");
            }
            return Ok(true);
        }
    }

    /// One record as the parser sees it, blank ones included.
    fn record(&mut self) -> Result<bool, Fault> {
        self.source.allow(self.limits.csv_row_bytes);
        self.raw.clear();
        self.line = self.source.line();
        let (mut written, mut ends) = (0, 0);
        loop {
            let available = match self.source.fill_buf() {
                Ok(available) => available,
                Err(err) => {
                    self.skip_blank_lines();
                    return Err(self.refusal(&err));
                }
            };
            let (text, spots) = (
                self.text.get_mut(written..).unwrap_or_default(),
                self.ends.get_mut(ends..).unwrap_or_default(),
            );
            let (result, read, wrote, ended) = self.parser.read_record(available, text, spots);
            self.raw.extend_from_slice(available.get(..read).unwrap_or_default());
            self.source.consume(read);
            written += wrote;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    if self.text.len() > self.limits.csv_row_bytes {
                        return Err(self.fault(Code::ValueTooLong, "a row longer than any real one"));
                    }
                    self.text.resize(self.text.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    if self.ends.len() > self.limits.csv_columns {
                        return Err(self.fault(Code::TooManyValues, "more columns than any real table has"));
                    }
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::Record => {
                    self.fields = ends;
                    self.skip_blank_lines();
                    return Ok(true);
                }
                ReadRecordResult::End => {
                    self.ended = true;
                    return Ok(false);
                }
            }
        }
    }

    /// The parser eats the second half of a line end, and blank lines, with the row behind them.
    fn skip_blank_lines(&mut self) {
        let before = self.raw.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
        self.line += u64::try_from(before.filter(|byte| **byte == b'\n').count()).unwrap_or(0);
    }

    /// A row that another program has added, with another separator.
    fn split_otherwise(&mut self, report: &mut Report) {
        let raw = std::mem::take(&mut self.raw);
        let better = SEPARATORS.into_iter().filter(|other| *other != self.separator).find(|other| {
            let fields = fields_of(&raw, *other).len();
            fields == self.width || fields > 2 && fields < self.width && self.width - fields <= self.width / 2
        });
        if let Some(other) = better {
            report.warn("csv-mixed-separators", self.place(), "");
            self.text.clear();
            self.fields = 0;
            for field in fields_of(&raw, other) {
                self.text.extend_from_slice(&field);
                match self.ends.get_mut(self.fields) {
                    Some(end) => *end = self.text.len(),
                    None => self.ends.push(self.text.len()),
                }
                self.fields += 1;
            }
            if self.text.len() < 64 {
                self.text.resize(64, 0);
            }
        }
        self.raw = raw;
    }
}

/// Blanks around a value, with those that spreadsheets add: no-break spaces, marks.
fn blank(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\u{feff}' | '\u{200b}')
}

fn parser(separator: u8) -> Reader {
    ReaderBuilder::new().delimiter(separator).build()
}

/// The fields of one record.
fn fields_of(line: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let mut parser = parser(separator);
    let mut text = vec![0; line.len() + 1];
    let mut ends = vec![0; line.len() + 2];
    let (result, _, wrote, mut found) = parser.read_record(line, &mut text, &mut ends);
    if matches!(result, ReadRecordResult::InputEmpty) {
        // Without a line end, only an empty input tells the parser that the record is over.
        let rest = (text.get_mut(wrote..).unwrap_or_default(), ends.get_mut(found..).unwrap_or_default());
        found += parser.read_record(&[], rest.0, rest.1).3;
    }
    let mut start = 0;
    let fields = ends.iter().take(found).map(|end| {
        let field = text.get(start..*end).unwrap_or_default().to_vec();
        start = *end;
        field
    });
    fields.collect()
}

/// The header of a text and its separator: the one that occurs most outside quotes, or the one that `sep=` names.
pub(super) fn first_line(text: &str) -> (&str, u8) {
    let text = text.trim_start_matches(blank);
    let end = |text: &str| {
        let mut quoted = false;
        text.bytes()
            .position(|byte| {
                quoted ^= byte == b'"';
                !quoted && matches!(byte, b'\n' | b'\r')
            })
            .unwrap_or(text.len())
    };
    let line = text.get(..end(text)).unwrap_or_default();
    let named = line.get(..4).filter(|start| start.eq_ignore_ascii_case("sep="));
    if let (Some(_), Some(separator)) = (named, line.as_bytes().get(4).copied()) {
        let rest = text.get(line.len()..).unwrap_or_default().trim_start_matches(blank);
        return (rest.get(..end(rest)).unwrap_or_default(), separator);
    }
    let count = |separator: u8| {
        let mut quoted = false;
        line.bytes()
            .filter(|byte| {
                quoted ^= *byte == b'"';
                !quoted && *byte == separator
            })
            .count()
    };
    // Of two that occur as often the first in the list, for which `max_by_key` wants the list backwards.
    (line, SEPARATORS.into_iter().rev().max_by_key(|separator| count(*separator)).unwrap_or(b';'))
}

/// The fields of a line.
pub(super) fn split(line: &str, separator: u8) -> Vec<String> {
    let fields = fields_of(line.as_bytes(), separator);
    fields.into_iter().map(|field| String::from_utf8_lossy(&field).trim_matches(blank).to_owned()).collect()
}

/// Whether the quotation marks of these bytes do not pair.
fn quotes_open(line: &[u8]) -> bool {
    memchr::memchr_iter(b'"', line).count() % 2 == 1
}

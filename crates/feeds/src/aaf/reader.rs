//! One part of a delivery, record by record, in constant memory.

use std::io::Read;

use super::known::{self, Attr, Use};
use super::{plain, typed};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::record::{Category, Item, Operation};
use crate::report::{FileFacts, Report};
use crate::xml::{Node, Xml};

const ROOT: &str = "ficAlimMENESR";
/// Facts kept from comments; real headers hold six.
const FACTS: usize = 20;

/// A record as written: its operation, its kind, and the values of the attributes we read. One is used for all records of a
/// part, so that reading half a million of them allocates next to nothing.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) operation: Operation,
    pub(crate) category: Option<Category>,
    pub(crate) id: String,
    /// All values one behind the other.
    text: String,
    /// Which attribute has the bytes from where to where; blank values are not here.
    values: Vec<(Attr, usize, usize)>,
    /// The attributes that were named, with values or without.
    named: Vec<Attr>,
}

impl Raw {
    fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            operation: Operation::Add,
            category: None,
            id: String::new(),
            text: String::with_capacity(4 << 10),
            values: Vec::with_capacity(64),
            named: Vec::with_capacity(64),
        }
    }

    fn begin(&mut self, operation: Operation, line: u64) {
        self.operation = operation;
        self.line = line;
        self.category = None;
        self.id.clear();
        self.text.clear();
        self.values.clear();
        self.named.clear();
    }

    /// Notes that an attribute was named.
    fn name(&mut self, attr: Option<Attr>) {
        if let Some(attr) = attr
            && !self.has(attr)
        {
            self.named.push(attr);
        }
    }

    fn push(&mut self, attr: Attr, value: &str) {
        let start = self.text.len();
        self.text.push_str(value);
        self.values.push((attr, start, self.text.len()));
    }

    /// All values of an attribute that are not blank.
    pub(crate) fn all(&self, attr: Attr) -> impl Iterator<Item = &str> {
        let of = self.values.iter().filter(move |(known, _, _)| *known == attr);
        of.map(|(_, start, end)| self.text.get(*start..*end).unwrap_or_default())
    }

    /// The first value of an attribute that is not blank.
    pub(crate) fn one(&self, attr: Attr) -> Option<&str> {
        self.all(attr).next()
    }

    /// Whether the attribute was named, be it without a value.
    pub(crate) fn has(&self, attr: Attr) -> bool {
        self.named.contains(&attr)
    }

    /// Where the record begins.
    pub(crate) fn place(&self) -> Place {
        Place::line(&self.file, self.line)
    }
}

/// A part being read.
pub struct Reader<R> {
    xml: Xml<R>,
    limits: Limits,
    facts: FileFacts,
    raw: Raw,
    /// Ranges of the values of the attribute at hand: their room is used again.
    spans: Vec<(usize, usize)>,
    one_degree: bool,
    people: bool,
}

/// What the element being read belongs to.
enum Section {
    Outside,
    Operational,
    Identifier,
    Attributes,
}

impl<R: Read> Reader<R> {
    /// Starts reading a part, known to people as `file`.
    ///
    /// # Errors
    /// An unreadable source, or an encoding that the prolog names and nobody knows.
    pub fn new(source: R, file: &str, limits: &Limits) -> Result<Self, Fault> {
        let xml = Xml::new(source, file, limits)?;
        let facts = FileFacts { name: file.to_owned(), ..FileFacts::default() };
        let (raw, spans) = (Raw::new(file), Vec::with_capacity(64));
        Ok(Self { xml, limits: limits.clone(), facts, raw, spans, one_degree: false, people: false })
    }

    /// The next record, or `None` after the last. What is odd but usable is noted in `report`.
    ///
    /// # Errors
    /// The file is refused from here: truncated, mis-encoded, not AAF, or larger than any real one.
    pub fn next(&mut self, report: &mut Report) -> Result<Option<Item>, Fault> {
        loop {
            match self.xml.step()? {
                Node::Open if self.xml.depth() == 1 => {
                    if self.xml.name != ROOT {
                        let found: String = self.xml.name.chars().take(40).collect();
                        return Err(self
                            .xml
                            .fault(Code::WrongRoot, format!("the root is {found}, not {ROOT}")));
                    }
                }
                Node::Open => {
                    let operation = match self.xml.name.as_str() {
                        "addRequest" => Operation::Add,
                        "modifyRequest" => Operation::Modify,
                        "deleteRequest" => Operation::Delete,
                        _ => {
                            report.warn("aaf-unknown-element", self.xml.place(), &self.xml.name);
                            self.skip()?;
                            continue;
                        }
                    };
                    self.record(operation, report)?;
                    self.facts.records += 1;
                    self.people |= matches!(
                        self.raw.category,
                        Some(Category::Pupil | Category::Relative | Category::Staff)
                    );
                    if self.facts.records > self.limits.records {
                        return Err(self.xml.fault(Code::TooMany, "more records than one file may hold"));
                    }
                    if let Some(item) = typed::item(&self.raw, report) {
                        return Ok(Some(item));
                    }
                }
                Node::Comment => self.note_header(),
                Node::Text => self.xml.text.clear(),
                Node::Close => {}
                Node::End => {
                    self.xml.tell(report);
                    return Ok(None);
                }
            }
        }
    }

    /// What the part said about itself so far.
    pub fn into_facts(self) -> FileFacts {
        FileFacts { encoding: self.xml.encoding().to_owned(), ..self.facts }
    }

    /// The academy that exported the part, when its header says so.
    pub fn academy(&self) -> Option<&str> {
        self.facts.header.get("codeAcademieExport").map(String::as_str)
    }

    /// Whether the part is of the first degree: its header says so, else its attributes do.
    pub fn is_first_degree(&self) -> bool {
        match self.facts.header.get("degre").map(String::as_str) {
            Some(said) => said.starts_with('1'),
            None => self.one_degree,
        }
    }

    /// Records met so far.
    pub(crate) fn records(&self) -> u64 {
        self.facts.records
    }

    /// Whether pupils, their carers or staff were among them: schools and codes are written alike in both degrees.
    pub(crate) fn is_of_people(&self) -> bool {
        self.people
    }

    fn note_header(&mut self) {
        for (name, value) in header_facts(&self.xml.comment) {
            if self.facts.header.len() < FACTS {
                self.facts.header.insert(name, value);
            }
        }
    }

    /// Passes over the element just opened.
    fn skip(&mut self) -> Result<(), Fault> {
        let outside = self.xml.depth() - 1;
        while self.xml.step()? != Node::Close || self.xml.depth() != outside {
            self.xml.text.clear();
        }
        Ok(())
    }

    /// Reads the attributes that stand in the buffer as almost all are written. Only to be called behind an end tag: there the
    /// parser holds nothing back.
    fn at_once(&mut self, size: &mut usize, report: &mut Report) {
        // One that exceeds a limit is left to the parser, which refuses it.
        if self.limits.depth < 5 {
            return;
        }
        loop {
            let ahead = self.xml.ahead();
            let Some((name, length)) = plain::attribute(ahead, self.limits.value_bytes, &mut self.spans)
            else {
                return;
            };
            let texts: usize = self.spans.iter().map(|(start, end)| "value".len() + end - start).sum();
            let grown = *size + "attr".len() + name.len() + texts;
            if grown > self.limits.record_bytes || self.spans.len() > self.limits.values {
                return;
            }
            let whole = |(start, end): &(usize, usize)| std::str::from_utf8(ahead.get(*start..*end)?).ok();
            if self.spans.iter().any(|span| whole(span).is_none()) {
                return;
            }
            *size = grown;
            let kept = meant(name, &mut self.one_degree, report);
            self.raw.name(kept);
            if let Some(attr) = kept {
                for value in
                    self.spans.iter().filter_map(whole).map(str::trim).filter(|value| !value.is_empty())
                {
                    self.raw.push(attr, value);
                }
            }
            self.xml.eat(length);
        }
    }

    fn record(&mut self, operation: Operation, report: &mut Report) -> Result<(), Fault> {
        self.raw.begin(operation, self.xml.line());
        let mut section = Section::Outside;
        let mut size = 0_usize;
        // The attribute being read; `None` for one that is not kept.
        let mut kept: Option<Attr> = None;
        let mut values = 0_usize;
        loop {
            match self.xml.step()? {
                Node::Open => {
                    self.xml.text.clear();
                    size += self.xml.name.len();
                    match (self.xml.depth(), self.xml.name.as_str()) {
                        (3, "operationalAttributes") => section = Section::Operational,
                        (3, "identifier") => section = Section::Identifier,
                        (3, "attributes" | "modifications") => section = Section::Attributes,
                        (4, "attr" | "modification") => {
                            values = 0;
                            let name = self.xml.attribute("name").unwrap_or_default();
                            size += name.len();
                            kept = meant(name, &mut self.one_degree, report);
                            self.raw.name(kept);
                        }
                        (4, "id") | (5, "value") => {}
                        _ => {
                            report.warn("aaf-unknown-element", self.xml.place(), &self.xml.name);
                            self.skip()?;
                        }
                    }
                }
                Node::Text => {}
                Node::Comment => self.note_header(),
                Node::Close => {
                    size += self.xml.text.len();
                    if size > self.limits.record_bytes {
                        return Err(self
                            .xml
                            .fault(Code::RecordTooLarge, "a record larger than any real one"));
                    }
                    match (self.xml.depth(), &section) {
                        (1, _) => return Ok(()),
                        (2, _) => section = Section::Outside,
                        (3, Section::Identifier) => self.raw.id.push_str(self.xml.text.trim()),
                        (3, Section::Attributes) => {
                            kept = None;
                            self.at_once(&mut size, report);
                        }
                        (3, _) => kept = None,
                        (4, _) => {
                            values += 1;
                            if values > self.limits.values {
                                return Err(self
                                    .xml
                                    .fault(Code::TooManyValues, "more values than any real attribute has"));
                            }
                            let value = self.xml.text.trim();
                            match (kept, &section) {
                                (Some(Attr::CategoryOfObject), Section::Operational) => {
                                    self.raw.category = Category::of_value(value);
                                }
                                (Some(attr), _) if !value.is_empty() => self.raw.push(attr, value),
                                _ => {}
                            }
                        }
                        _ => {}
                    }
                    self.xml.text.clear();
                }
                Node::End => return Err(self.xml.fault(Code::Truncated, "the file ends inside a record")),
            }
        }
    }
}

/// The attribute of this name, if it is kept; new ones are counted.
fn meant(name: &str, one_degree: &mut bool, report: &mut Report) -> Option<Attr> {
    match known::of(name) {
        Use::Read(attr) => Some(attr),
        Use::ReadOneDegree(attr) => {
            *one_degree = true;
            Some(attr)
        }
        Use::Ignored => None,
        Use::Unknown => {
            report.unknown(name);
            None
        }
    }
}

/// The `name="value"` facts in a comment, as the headers of AAF files hold them.
pub fn header_facts(comment: &str) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut rest = comment;
    while let Some((before, after)) = rest.split_once("=\"") {
        let Some((value, next)) = after.split_once('"') else { break };
        let name = before.rsplit(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
        if !name.is_empty() && name.len() <= 40 && value.len() <= 80 {
            facts.push((name.to_owned(), value.to_owned()));
        }
        rest = next;
    }
    facts
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;

//! One part of a delivery, record by record, in constant memory.

use std::io::Read;

use super::known::{self, Use};
use super::record::{Category, Operation, Record};
use super::typed;
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::report::{FileFacts, Report};
use crate::xml::{Node, Xml};

const ROOT: &str = "ficAlimMENESR";
/// Facts kept from comments; real headers hold six.
const FACTS: usize = 20;

/// A record as written: its operation, its kind, and the values of the attributes we read.
pub(crate) struct Raw {
    pub(crate) operation: Operation,
    pub(crate) category: Option<Category>,
    pub(crate) id: String,
    pub(crate) attributes: Vec<(&'static str, Vec<String>)>,
    pub(crate) place: Place,
}

impl Raw {
    /// All values of an attribute that are not blank.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.attributes.iter().find(|(attribute, _)| *attribute == name).map_or(&[], |(_, values)| values)
    }

    /// The first value of an attribute that is not blank.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }
}

/// A part being read.
pub struct Reader<R> {
    xml: Xml<R>,
    limits: Limits,
    facts: FileFacts,
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
        let facts =
            FileFacts { name: file.to_owned(), encoding: xml.encoding().to_owned(), ..FileFacts::default() };
        Ok(Self { xml, limits: limits.clone(), facts })
    }

    /// The next record, or `None` after the last. What is odd but usable is noted in `report`.
    ///
    /// # Errors
    /// The file is refused from here: truncated, mis-encoded, not AAF, or larger than any real one.
    pub fn next(&mut self, report: &mut Report) -> Result<Option<Record>, Fault> {
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
                    let raw = self.record(operation, report)?;
                    self.facts.records += 1;
                    if self.facts.records > self.limits.records {
                        return Err(self.xml.fault(Code::TooMany, "more records than one file may hold"));
                    }
                    if let Some(record) = typed::record(&raw, report) {
                        return Ok(Some(record));
                    }
                }
                Node::Comment => self.note_header(),
                Node::Text => self.xml.text.clear(),
                Node::Close => {}
                Node::End => return Ok(None),
            }
        }
    }

    /// What the part said about itself so far.
    pub fn into_facts(self) -> FileFacts {
        self.facts
    }

    /// The academy that exported the part, when its header says so.
    pub fn academy(&self) -> Option<&str> {
        self.facts.header.get("codeAcademieExport").map(String::as_str)
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

    fn record(&mut self, operation: Operation, report: &mut Report) -> Result<Raw, Fault> {
        let mut raw = Raw {
            operation,
            category: None,
            id: String::new(),
            attributes: Vec::new(),
            place: self.xml.place(),
        };
        let mut section = Section::Outside;
        let mut size = 0_usize;
        // The attribute being read; `None` for one that is not kept.
        let mut kept: Option<(&'static str, Vec<String>)> = None;
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
                            kept = match known::of(name) {
                                Use::Read(name) => Some((name, Vec::new())),
                                Use::Ignored => None,
                                Use::Unknown => {
                                    report.unknown(name);
                                    None
                                }
                            };
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
                    let depth = self.xml.depth();
                    match (depth, &section) {
                        (1, _) => return Ok(raw),
                        (2, _) => section = Section::Outside,
                        (3, Section::Identifier) => raw.id = self.xml.text.trim().to_owned(),
                        (3, _) => {
                            if let Some(attribute) = kept.take() {
                                if matches!(section, Section::Operational) {
                                    raw.category =
                                        attribute.1.first().and_then(|value| Category::of_value(value));
                                } else if !attribute.1.is_empty() {
                                    raw.attributes.push(attribute);
                                }
                            }
                        }
                        (4, _) => {
                            values += 1;
                            if values > self.limits.values {
                                return Err(self
                                    .xml
                                    .fault(Code::TooManyValues, "more values than any real attribute has"));
                            }
                            let value = self.xml.text.trim();
                            if let Some((_, values)) = kept.as_mut().filter(|_| !value.is_empty()) {
                                values.push(value.to_owned());
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

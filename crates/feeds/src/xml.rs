//! A pull reader of hostile XML: bounded in depth and token size, no entities, no network, no DTD.

use std::io::{BufRead, Read};

use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use crate::decode::{Stop, Utf8};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::report::Report;

/// One step through a document. An empty element is an `Open` followed by a `Close`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A start tag: its name stands in [`Xml::name`], its attributes are asked for with [`Xml::attribute`].
    Open,
    /// Text, with references resolved, was appended to [`Xml::text`].
    Text,
    /// A comment, whose content stands in [`Xml::comment`].
    Comment,
    /// An end tag: its name stands in [`Xml::name`].
    Close,
    /// The root element is closed and the file has ended.
    End,
}

/// The reader. Text gathers in `text` until the caller clears it, so that a value cut by references is one value.
pub(crate) struct Xml<R> {
    reader: Reader<Utf8<R>>,
    buf: Vec<u8>,
    /// Name of the file, for places.
    pub(crate) file: String,
    /// Name of the element last opened or closed.
    pub(crate) name: String,
    /// Text since the caller last cleared it.
    pub(crate) text: String,
    /// The last comment.
    pub(crate) comment: String,
    /// Names and values, of which the first `filled` are those of the element last opened: their room is used again.
    attributes: Vec<(String, String)>,
    filled: usize,
    depth: usize,
    rooted: bool,
    limits: Limits,
}

impl<R: Read> Xml<R> {
    /// Starts reading `source`, known to people as `file`.
    pub(crate) fn new(source: R, file: &str, limits: &Limits) -> Result<Self, Fault> {
        let mut reader = Reader::from_reader(Utf8::new(source, file)?);
        reader.config_mut().expand_empty_elements = true;
        Ok(Self {
            reader,
            buf: Vec::with_capacity(1024),
            file: file.to_owned(),
            name: String::new(),
            text: String::new(),
            comment: String::new(),
            attributes: Vec::new(),
            filled: 0,
            depth: 0,
            rooted: false,
            limits: limits.clone(),
        })
    }

    /// Elements open after the last step.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The encoding being read.
    pub(crate) fn encoding(&self) -> &'static str {
        self.reader.get_ref().encoding()
    }

    /// Where the last step ended.
    pub(crate) fn place(&self) -> Place {
        Place::line(&self.file, self.reader.get_ref().line())
    }

    /// The line where the last step ended.
    pub(crate) fn line(&mut self) -> u64 {
        self.reader.get_mut().note_line()
    }

    /// Notes in `report` what was odd about the encoding.
    pub(crate) fn tell(&self, report: &mut Report) {
        self.reader.get_ref().tell(&self.file, report);
    }

    /// A refusal at the present place.
    pub(crate) fn fault(&self, code: Code, what: impl Into<String>) -> Fault {
        Fault::new(code, self.place(), what)
    }

    /// An attribute of the element last opened.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().take(self.filled).find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What stands in the buffer behind the last step, at most one token's bytes; nothing when it cannot be read, which the next
    /// step then says. Only behind an end tag does the parser hold nothing back of it.
    pub(crate) fn ahead(&mut self) -> &[u8] {
        let source = self.reader.get_mut();
        source.allow(self.limits.token_bytes);
        source.fill_buf().unwrap_or_default()
    }

    /// Passes over bytes of [`Xml::ahead`], which must be whole elements.
    pub(crate) fn eat(&mut self, bytes: usize) {
        self.reader.get_mut().consume(bytes);
    }

    /// Reads one step.
    ///
    /// # Errors
    /// A [`Fault`] for anything that is not well-formed, that declares entities, or that exceeds the limits.
    pub(crate) fn step(&mut self) -> Result<Node, Fault> {
        loop {
            self.buf.clear();
            self.reader.get_mut().allow(self.limits.token_bytes);
            let event = match self.reader.read_event_into(&mut self.buf) {
                Ok(event) => event,
                Err(err) => return Err(refusal(&err, &self.reader, &self.file)),
            };
            // Only what is new is looked at: a value in ten thousand references is not read ten thousand times.
            let bad_letter;
            let here = |reader: &Reader<Utf8<R>>| Place::line(&self.file, reader.get_ref().line());
            match event {
                Event::Start(tag) => {
                    if self.rooted && self.depth == 0 {
                        return Err(Fault::new(Code::Malformed, here(&self.reader), "a second root element"));
                    }
                    self.rooted = true;
                    self.depth += 1;
                    if self.depth > self.limits.depth {
                        return Err(Fault::new(
                            Code::TooDeep,
                            here(&self.reader),
                            "elements nested too deep",
                        ));
                    }
                    self.name.clear();
                    self.name.push_str(tag.name().as_ref());
                    self.filled = 0;
                    for attribute in tag.attributes() {
                        let bad =
                            || Fault::new(Code::Malformed, here(&self.reader), "a malformed XML attribute");
                        let attribute = attribute.map_err(|_| bad())?;
                        let value = quick_xml::escape::unescape(&attribute.value).map_err(|_| bad())?;
                        if self.filled == self.attributes.len() {
                            self.attributes.push((String::new(), String::new()));
                        }
                        if let Some((known, text)) = self.attributes.get_mut(self.filled) {
                            known.clear();
                            known.push_str(attribute.key.as_ref());
                            text.clear();
                            text.push_str(&value);
                            self.filled += 1;
                        }
                    }
                    return Ok(Node::Open);
                }
                Event::End(tag) => {
                    self.depth = self.depth.saturating_sub(1);
                    self.name.clear();
                    self.name.push_str(tag.name().as_ref());
                    return Ok(Node::Close);
                }
                Event::Text(text) => {
                    let text = text.xml10_content();
                    bad_letter = any_forbidden(&text);
                    self.text.push_str(&text);
                }
                Event::CData(text) => {
                    let text = text.xml10_content();
                    bad_letter = any_forbidden(&text);
                    self.text.push_str(&text);
                }
                Event::GeneralRef(reference) => match resolve(&reference) {
                    Some(resolved) => {
                        bad_letter = forbidden(resolved);
                        self.text.push(resolved);
                    }
                    None => {
                        return Err(Fault::new(
                            Code::Entity,
                            here(&self.reader),
                            "a reference to an undeclared entity",
                        ));
                    }
                },
                Event::Comment(comment) => {
                    self.comment.clear();
                    self.comment.push_str(&comment.xml10_content());
                    return Ok(Node::Comment);
                }
                Event::DocType(doctype) => {
                    if doctype.contains('[') {
                        let what = "the DOCTYPE declares entities or other things of its own";
                        return Err(Fault::new(Code::InternalSubset, here(&self.reader), what));
                    }
                    continue;
                }
                // `Empty` never comes: the reader expands it.
                Event::Decl(_) | Event::PI(_) | Event::Empty(_) => continue,
                Event::Eof if self.depth > 0 || !self.rooted => {
                    return Err(Fault::new(Code::Truncated, here(&self.reader), "the file ends too early"));
                }
                Event::Eof => return Ok(Node::End),
            }
            if self.depth == 0 {
                // Blanks around the root are fine; anything else there is not XML.
                if self.text.chars().any(|letter| !letter.is_whitespace()) {
                    return Err(self.fault(Code::Malformed, "text outside the root element"));
                }
                self.text.clear();
                continue;
            }
            if self.text.len() > self.limits.value_bytes {
                return Err(self.fault(
                    Code::ValueTooLong,
                    format!("more than {} bytes in one value", self.limits.value_bytes),
                ));
            }
            if bad_letter {
                return Err(self.fault(Code::BadCharacter, "a control character"));
            }
            return Ok(Node::Text);
        }
    }
}

/// Something that is told each element of a document with the path to it, root first.
pub(crate) trait Visit {
    /// An element opens; `attribute` reads its attributes.
    fn open(&mut self, path: &[&str], attribute: &dyn Fn(&str) -> Option<String>);
    /// An element closes; `text` is what stood in it since its last child, trimmed.
    fn close(&mut self, path: &[&str], text: &str);
}

impl<R: Read> Xml<R> {
    /// Walks the whole document, whose root must have one of these names, and answers which.
    ///
    /// # Errors
    /// As [`Xml::step`]; [`Code::WrongRoot`] for another root.
    pub(crate) fn walk(
        &mut self,
        roots: &[&'static str],
        visit: &mut dyn Visit,
    ) -> Result<&'static str, Fault> {
        let mut path: Vec<String> = Vec::new();
        let mut root = "";
        loop {
            match self.step()? {
                Node::Open => {
                    if path.is_empty() {
                        let Some(known) = roots.iter().find(|known| **known == self.name) else {
                            let found: String = self.name.chars().take(40).collect();
                            return Err(self.fault(
                                Code::WrongRoot,
                                format!("the root is {found}, not {}", roots.join(" or ")),
                            ));
                        };
                        root = known;
                    }
                    path.push(self.name.clone());
                    self.text.clear();
                    let names: Vec<&str> = path.iter().map(String::as_str).collect();
                    visit.open(&names, &|name| self.attribute(name).map(|value| value.trim().to_owned()));
                }
                Node::Close => {
                    let names: Vec<&str> = path.iter().map(String::as_str).collect();
                    visit.close(&names, self.text.trim());
                    path.pop();
                    self.text.clear();
                }
                Node::Text | Node::Comment => {}
                Node::End => return Ok(root),
            }
        }
    }
}

/// The character a reference stands for: numeric, or one of the five that XML predefines.
fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten();
    }
    match reference.as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

/// [`forbidden`] over a text. All bytes are looked at together: what is forbidden beyond ASCII begins with one byte that French
/// hardly has, and then each letter is looked at.
fn any_forbidden(text: &str) -> bool {
    let odd = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r') || *byte == 0xef;
    text.as_bytes().iter().fold(false, |any, byte| any | odd(byte)) && text.chars().any(forbidden)
}

/// XML 1.0 forbids these in any form, references included.
fn forbidden(letter: char) -> bool {
    letter < ' ' && !matches!(letter, '\t' | '\n' | '\r') || matches!(letter, '\u{fffe}' | '\u{ffff}')
}

fn refusal<R: Read>(err: &Error, reader: &Reader<Utf8<R>>, file: &str) -> Fault {
    let source = reader.get_ref();
    match (source.stop(), err) {
        (Some(Stop::NotText(byte)), _) => {
            let what = format!("bytes that are not {} text", source.encoding());
            Fault::new(
                Code::BadEncoding,
                Place { line: Some(source.line()), ..Place::byte(file, byte) },
                what,
            )
        }
        (Some(Stop::OverBudget), _) => Fault::new(
            Code::ValueTooLong,
            Place::line(file, source.line()),
            "one value or tag is longer than any real one",
        ),
        (None, Error::Io(err)) => Fault::from_io(file, err),
        (None, Error::Syntax(SyntaxError::InvalidBangMarkup)) => malformed(file, source.line(), err),
        (None, Error::Syntax(_) | Error::IllFormed(IllFormedError::UnclosedReference)) => Fault::new(
            Code::Truncated,
            Place::line(file, source.line()),
            "the file ends inside a piece of markup",
        ),
        (None, _) => malformed(file, source.line(), err),
    }
}

fn malformed(file: &str, line: u64, err: &Error) -> Fault {
    // Only what concerns names of elements: the other messages of the parser may quote values.
    let what = match err {
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_)) => {
            "an end tag that does not match its start tag"
        }
        _ => "not well-formed XML",
    };
    Fault::new(Code::Malformed, Place::line(file, line), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: &[u8]) -> Result<String, Fault> {
        let mut xml = Xml::new(bytes, "f.xml", &Limits { depth: 4, ..Limits::default() })?;
        while xml.step()? != Node::End {}
        Ok(xml.text)
    }

    fn code(bytes: &[u8]) -> Code {
        run(bytes).unwrap_err().code
    }

    #[test]
    fn references_make_one_text() {
        assert_eq!(run(b"<a>d&apos;&#233;t&#xE9; &amp; <![CDATA[<x>]]></a>").unwrap(), "d'été & <x>");
    }

    #[test]
    fn an_external_dtd_is_normal_and_never_read() {
        assert!(run(b"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>").is_ok());
        assert_eq!(code(b"<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>"), Code::InternalSubset);
        assert_eq!(code(b"<!DOCTYPE a SYSTEM \"http://127.0.0.1/x\"><a>&x;</a>"), Code::Entity);
    }

    #[test]
    fn broken_documents_name_the_line() {
        assert_eq!(code(b"<a><b></b>"), Code::Truncated);
        assert_eq!(code(b"<a><b"), Code::Truncated);
        assert_eq!(code(b""), Code::Truncated);
        assert_eq!(code(b"<a></b>"), Code::Malformed);
        assert_eq!(code(b"<a/><a/>"), Code::Malformed);
        assert_eq!(code(b"plain text"), Code::Malformed);
        assert_eq!(code(b"<a><a><a><a><a>"), Code::TooDeep);
        assert_eq!(code(b"<a>&#0;</a>"), Code::Entity);
        assert_eq!(code(b"<a>\x01</a>"), Code::BadCharacter);
        assert_eq!(run(b"<a>\n\n</b></a>").unwrap_err().place.line, Some(3));
    }
}

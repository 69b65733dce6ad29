//! Content lines: unfolded, bounded, split into name, parameters and value.

use std::io::{BufRead, Read};

use crate::decode::{Stop, Utf8};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;

/// One content line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Property name, upper-case.
    pub(super) name: String,
    /// Parameters: upper-case names, values without quotes.
    pub(super) parameters: Vec<(String, String)>,
    /// The value as written, escapes included.
    pub(super) value: String,
    /// Where it starts.
    pub(super) place: Place,
}

impl Line {
    /// A parameter's value.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

pub(super) struct Lines<R> {
    source: Utf8<R>,
    file: String,
    limits: Limits,
    raw: Vec<u8>,
    /// The physical line read ahead, to see whether it continues the one before.
    ahead: Option<(String, u64)>,
    ended: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R, file: &str, limits: &Limits) -> Result<Self, Fault> {
        let source = Utf8::new(source, file)?;
        Ok(Self {
            source,
            file: file.to_owned(),
            limits: limits.clone(),
            raw: Vec::new(),
            ahead: None,
            ended: false,
        })
    }

    pub(super) fn encoding(&self) -> &'static str {
        self.source.encoding()
    }

    pub(super) fn place(&self) -> Place {
        Place::line(
            &self.file,
            self.ahead.as_ref().map_or_else(|| self.source.line(), |(_, line)| line.saturating_sub(1).max(1)),
        )
    }

    /// The next content line that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Fault> {
        loop {
            let first = match self.ahead.take() {
                Some(first) => Some(first),
                None => self.physical()?,
            };
            let Some((mut text, at)) = first else { return Ok(None) };
            while let Some((next, line)) = self.physical()? {
                match next.strip_prefix([' ', '\t']) {
                    Some(rest) => text.push_str(rest),
                    None => {
                        self.ahead = Some((next, line));
                        break;
                    }
                }
                if text.len() > self.limits.value_bytes {
                    let what = format!("more than {} bytes in one content line", self.limits.value_bytes);
                    return Err(Fault::new(Code::ValueTooLong, Place::line(&self.file, at), what));
                }
            }
            if !text.trim().is_empty() {
                let place = Place::line(&self.file, at);
                return match split(&text, place.clone()) {
                    Some(line) => Ok(Some(line)),
                    None => {
                        Err(Fault::new(Code::Malformed, place, "a line that is not an iCalendar property"))
                    }
                };
            }
        }
    }

    fn physical(&mut self) -> Result<Option<(String, u64)>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let line = self.source.line();
        self.raw.clear();
        self.source.allow(self.limits.value_bytes);
        let read = self.source.read_until(b'\n', &mut self.raw).map_err(|err| {
            let place = Place::line(&self.file, line);
            match self.source.stop() {
                Some(Stop::OverBudget) => {
                    Fault::new(Code::ValueTooLong, place, "a line longer than any real one")
                }
                Some(Stop::NotText(byte)) => Fault::new(
                    Code::BadEncoding,
                    Place { byte: Some(byte), ..place },
                    "bytes that are not UTF-8 text",
                ),
                None => Fault::from_io(&self.file, &err),
            }
        })?;
        if read == 0 {
            self.ended = true;
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&self.raw);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.chars().any(|letter| letter.is_control() && letter != '\t') {
            return Err(Fault::new(Code::BadCharacter, Place::line(&self.file, line), "a control character"));
        }
        Ok(Some((text.to_owned(), line)))
    }
}

fn split(text: &str, place: Place) -> Option<Line> {
    let mut quoted = false;
    let mut colon = None;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            ':' if !quoted => {
                colon = Some(at);
                break;
            }
            _ => {}
        }
    }
    let (head, value) = text.split_at_checked(colon?)?;
    let mut parts = outside_quotes(head, ';').into_iter();
    let name = parts.next()?.trim().to_ascii_uppercase();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return None;
    }
    let mut parameters = Vec::new();
    for part in parts {
        let (key, value) = part.split_once('=')?;
        parameters.push((key.to_ascii_uppercase(), value.trim_matches('"').to_owned()));
    }
    Some(Line { name, parameters, value: value.strip_prefix(':')?.to_owned(), place })
}

fn outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    })
    .collect()
}

/// A TEXT value with its escapes resolved.
pub(super) fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => text.push('\n'),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Line>, Fault> {
        let mut lines = Lines::new(text.as_bytes(), "f.ics", &Limits::default())?;
        let mut found = Vec::new();
        while let Some(line) = lines.next()? {
            found.push(line);
        }
        Ok(found)
    }

    #[test]
    fn folded_lines_are_one_and_quotes_hide_separators() {
        let found = all("SUMMARY;LANGUAGE=fr;X-A=\"a;b:c\":Math\r\n \u{e9}matiques\\, le lundi\r\n\r\nEND:x")
            .unwrap();
        assert_eq!(found[0].value, "Mathématiques\\, le lundi");
        assert_eq!(unescape(&found[0].value), "Mathématiques, le lundi");
        assert_eq!(found[0].parameter("X-A"), Some("a;b:c"));
        assert_eq!(found[1].place.line, Some(4));
        assert_eq!(unescape("a\\nb\\;\\\\"), "a\nb;\\");
    }

    #[test]
    fn endless_lines_are_refused() {
        let folded = "X:a\n".to_owned() + &" aaaaaaaaaaaaaaaa\n".repeat(5_000);
        assert_eq!(all(&folded).unwrap_err().code, Code::ValueTooLong);
        assert_eq!(all(&format!("X:{}", "a".repeat(100_000))).unwrap_err().code, Code::ValueTooLong);
        assert_eq!(all("no property here").unwrap_err().code, Code::Malformed);
        assert_eq!(all("X:\u{1}").unwrap_err().code, Code::BadCharacter);
    }
}

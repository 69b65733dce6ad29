//! Why a file was refused, and where.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// The stable reason of a refusal: what an operator looks up, what the API answers as `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The file or folder cannot be read.
    Unreadable,
    /// The folder or archive holds no file this importer knows.
    Empty,
    /// The declared encoding is unknown.
    UnknownEncoding,
    /// The bytes are not text in the declared encoding (UTF-8 when nothing is declared).
    BadEncoding,
    /// Not well-formed XML.
    Malformed,
    /// The file ends before its root element does.
    Truncated,
    /// The DOCTYPE declares things of its own: entities are how bombs are written.
    InternalSubset,
    /// A reference to an entity that XML does not predefine.
    Entity,
    /// A character that XML forbids and PostgreSQL cannot store.
    BadCharacter,
    /// Another kind of document than the one expected here.
    WrongRoot,
    /// A document of the expected kind that lacks something it cannot do without.
    Incomplete,
    /// One value is longer than any real one.
    ValueTooLong,
    /// One attribute has more values than any real one.
    TooManyValues,
    /// One record is bigger than any real one.
    RecordTooLarge,
    /// Elements nested deeper than the grammar allows.
    TooDeep,
    /// More records, entries or occurrences than one file may hold.
    TooMany,
    /// Not a zip archive, or a damaged one.
    BadArchive,
    /// The archive unpacks to more than its size allows.
    ZipBomb,
    /// The two files of an STS pair stand in each other's place.
    SwappedPair,
    /// Parts of one delivery come from different academies.
    MixedAcademies,
    /// Files of two formats in one delivery.
    MixedFormats,
    /// A *complet* and a delta in one delivery.
    MixedModes,
    /// A delta of an academy whose directory is not here.
    OtherAcademy,
    /// A table whose headers say nothing that is known here.
    UnknownColumns,
    /// A mapping document that does not hold together.
    BadMapping,
    /// Nothing says which school the file is about.
    NoSchool,
    /// The two files belong to different schools, or not to this one.
    OtherSchool,
    /// A recurrence rule that cannot be read.
    BadRule,
    /// A recurrence rule that yields more occurrences than a timetable can hold.
    RuleTooDense,
    /// A date or a time that cannot be read.
    BadTime,
    /// A time zone that the tz database does not name.
    UnknownZone,
}

impl Code {
    /// The code as written in problems, reports and documents. Never reused for another meaning.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "feed-unreadable",
            Self::Empty => "feed-empty",
            Self::UnknownEncoding => "feed-unknown-encoding",
            Self::BadEncoding => "feed-bad-encoding",
            Self::Malformed => "feed-malformed",
            Self::Truncated => "feed-truncated",
            Self::InternalSubset => "feed-doctype-internal-subset",
            Self::Entity => "feed-entity",
            Self::BadCharacter => "feed-bad-character",
            Self::WrongRoot => "feed-wrong-root",
            Self::Incomplete => "feed-incomplete",
            Self::ValueTooLong => "feed-value-too-long",
            Self::TooManyValues => "feed-too-many-values",
            Self::RecordTooLarge => "feed-record-too-large",
            Self::TooDeep => "feed-too-deep",
            Self::TooMany => "feed-too-many",
            Self::BadArchive => "feed-bad-archive",
            Self::ZipBomb => "feed-zip-bomb",
            Self::SwappedPair => "feed-swapped-pair",
            Self::MixedAcademies => "feed-mixed-academies",
            Self::MixedFormats => "feed-mixed-formats",
            Self::MixedModes => "feed-mixed-modes",
            Self::OtherAcademy => "feed-other-academy",
            Self::UnknownColumns => "feed-unknown-columns",
            Self::BadMapping => "feed-bad-mapping",
            Self::NoSchool => "feed-no-school",
            Self::OtherSchool => "feed-other-school",
            Self::BadRule => "feed-bad-rule",
            Self::RuleTooDense => "feed-rule-too-dense",
            Self::BadTime => "feed-bad-time",
            Self::UnknownZone => "feed-unknown-zone",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in a file: its name without folders, and a line or a byte offset where one is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Place {
    /// Name of the file, or `archive.zip!entry.xml` for one inside an archive.
    pub file: String,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Offset in bytes from the start of the file as stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
}

impl Place {
    /// A whole file.
    pub fn file(file: &str) -> Self {
        Self { file: file.to_owned(), line: None, byte: None }
    }

    /// A line of a file.
    pub fn line(file: &str, line: u64) -> Self {
        Self { file: file.to_owned(), line: Some(line), byte: None }
    }

    /// A byte of a file.
    pub fn byte(file: &str, byte: u64) -> Self {
        Self { file: file.to_owned(), line: None, byte: Some(byte) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(byte) = self.byte {
            write!(f, ", byte {byte}")?;
        }
        Ok(())
    }
}

/// A refusal: nothing of the file is kept.
///
/// `what` says in words what was found and never quotes a value, which could be a person's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} ({place}) [{code}]")]
pub struct Fault {
    /// The stable reason.
    pub code: Code,
    /// The file, and the line or byte.
    pub place: Place,
    /// The reason in words, lower case, without values from the file.
    pub what: String,
}

impl Fault {
    /// A refusal with its reason, place and words.
    pub fn new(code: Code, place: Place, what: impl Into<String>) -> Self {
        Self { code, place, what: what.into() }
    }

    /// A file or folder that the system would not let us read, or the refusal that a reader below sent up inside an
    /// `io::Error` ([`Fault::into_io`]).
    pub(crate) fn from_io(file: &str, err: &io::Error) -> Self {
        match err.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            Some(fault) => fault.clone(),
            None => Self::new(Code::Unreadable, Place::file(file), format!("cannot be read: {}", err.kind())),
        }
    }

    /// The refusal as an `io::Error`, to cross a parser that knows only those.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}

//! A mapping document: what the columns of any other table mean.

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use super::Profile;
use super::columns::{Field, key};
use crate::fault::{Code, Fault, Place};

/// What the columns of a table mean, for tables whose headers say nothing that is known here.
///
/// ```json
/// {
///   "profile": "pupil",
///   "columns": {"Famille": "last_name", "Prénom de l'enfant": "first_name", "Né le": "birth_date", "Section": "class"},
///   "constants": {"level": "CM2"},
///   "separator": ";",
///   "encoding": "windows-1252",
///   "date_format": "%d/%m/%Y",
///   "list_separator": ","
/// }
/// ```
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TableMapping)]
pub struct Mapping {
    /// Who the rows are; left out when a column of each row says it.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// What the words of the column `profile` mean, when there is one.
    #[serde(default)]
    pub profiles: BTreeMap<String, Profile>,
    /// Header → what the column holds. Case, accents, blanks and punctuation of headers do not matter.
    pub columns: BTreeMap<String, Field>,
    /// What every row has that no column says.
    #[serde(default)]
    pub constants: BTreeMap<Field, String>,
    /// One character; found out when left out.
    #[serde(default)]
    pub separator: Option<char>,
    /// Name of the encoding; found out when left out.
    #[serde(default)]
    pub encoding: Option<String>,
    /// As in `strftime`; the usual ways are understood when left out.
    #[serde(default)]
    pub date_format: Option<String>,
    /// What separates several classes or groups in one cell.
    #[serde(default)]
    pub list_separator: Option<String>,
}

impl Mapping {
    /// Reads a document.
    ///
    /// # Errors
    /// [`Code::BadMapping`]: not JSON, not this document, no way to know who the rows are or what they are called.
    pub fn from_json(text: &str) -> Result<Self, Fault> {
        let bad = |what: String| Fault::new(Code::BadMapping, Place::file("mapping"), what);
        let mapping: Self = serde_json::from_str(text).map_err(|err| {
            bad(format!("not a mapping document, line {}, column {}", err.line(), err.column()))
        })?;
        mapping.check().map_err(|what| bad(what.to_owned()))?;
        Ok(mapping)
    }

    /// Whether the document holds together.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn check(&self) -> Result<(), &'static str> {
        let has =
            |field| self.columns.values().any(|known| *known == field) || self.constants.contains_key(&field);
        if self.profile.is_none() && !has(Field::Profile) {
            return Err("neither a profile nor a column of profiles");
        }
        if self.profile == Some(Profile::Unknown) || self.profiles.values().any(|it| *it == Profile::Unknown)
        {
            return Err("a profile that is none");
        }
        if !(has(Field::LastName) || has(Field::UsageName)) || !has(Field::FirstName) {
            return Err("no column for the family name or for the given name");
        }
        if self.separator.is_some_and(|separator| !separator.is_ascii() || separator.is_alphanumeric()) {
            return Err("a separator that cannot be one");
        }
        if self.encoding.as_deref().is_some_and(|label| Encoding::for_label(label.as_bytes()).is_none()) {
            return Err("an encoding that nobody knows");
        }
        let understood = |format: &String| {
            chrono::format::StrftimeItems::new(format)
                .all(|item| !matches!(item, chrono::format::Item::Error))
        };
        if !self.date_format.as_ref().is_none_or(understood) {
            return Err("a date format that cannot be read");
        }
        Ok(())
    }

    /// The encoding it names.
    pub(crate) fn charset(&self) -> Option<&'static Encoding> {
        Encoding::for_label(self.encoding.as_deref()?.as_bytes())
    }

    /// What a column of this header holds.
    pub(super) fn field(&self, header: &str) -> Option<Field> {
        let header = key(header);
        self.columns.iter().find(|(known, _)| key(known) == header).map(|(_, field)| *field)
    }

    /// Headers that the document names.
    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_does_not_hold_together_is_refused() {
        let good = r#"{"profile": "pupil", "columns": {"A": "last_name", "B": "first_name"}}"#;
        assert!(Mapping::from_json(good).is_ok());
        for bad in [
            "",
            "[]",
            r#"{"columns": {"A": "last_name", "B": "first_name"}}"#,
            r#"{"profile": "pupil", "columns": {"A": "last_name"}}"#,
            r#"{"profile": "pupil", "columns": {"A": "shoe_size", "B": "first_name"}}"#,
            r#"{"profile": "pupil", "columns": {"A": "last_name", "B": "first_name"}, "separator": "é"}"#,
            r#"{"profile": "pupil", "columns": {"A": "last_name", "B": "first_name"}, "encoding": "klingon"}"#,
            r#"{"profile": "pupil", "columns": {"A": "last_name", "B": "first_name"}, "date_format": "%Q"}"#,
            r#"{"profile": "pupil", "columns": {"A": "last_name", "B": "first_name"}, "surprise": 1}"#,
        ] {
            assert_eq!(Mapping::from_json(bad).unwrap_err().code, Code::BadMapping, "{bad}");
        }
    }
}

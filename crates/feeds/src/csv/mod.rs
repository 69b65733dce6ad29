//! Tables of people: ONDE/BE1D, the templates of French ENTs, SIECLE's and others' by a mapping document.
//!
//! What a column holds, its header says ([`Columns`]) or a [`Mapping`]. A table rarely names its school: whoever sends it does.
//! It rarely has identifiers either: a person is then the hash of school, names, day of birth and class, and a parent's child is
//! found by names and class.

mod columns;
mod dates;
mod mapping;
mod people;
mod table;

use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::record::Item;
use crate::report::{FileFacts, Report};

pub use columns::{Columns, Field};
pub use mapping::Mapping;
pub(crate) use people::Book;

/// Who the rows of a table are, in reading order: children before the parents who name them.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = TableProfile)]
pub enum Profile {
    /// Pupils.
    Pupil,
    /// Each row says it.
    ByRow,
    /// Teachers.
    Teacher,
    /// Other staff.
    Staff,
    /// People from outside who come to teach or help.
    Guest,
    /// Persons in charge of pupils.
    Guardian,
    /// The headers do not say.
    #[default]
    Unknown,
}

/// How a table is to be read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How<'a> {
    /// UAI of the school that a table without a column of schools speaks of.
    pub(crate) school: Option<&'a str>,
    /// Who the rows are, when whoever sends the table says it.
    pub(crate) profile: Option<Profile>,
    /// What the columns mean, when the headers do not say.
    pub(crate) mapping: Option<&'a Mapping>,
}

/// Reads one table, row by row.
///
/// # Errors
/// [`Code::UnknownColumns`] when nothing says what the columns hold, [`Code::NoSchool`] when nothing says the school, and what
/// [`table::Table::next`] refuses; whatever `take` answers.
pub(crate) fn read<E: From<Fault>>(
    source: impl Read,
    file: &str,
    (how, limits): (How<'_>, &Limits),
    book: &mut Book,
    report: &mut Report,
    take: &mut dyn FnMut(Item, &mut Report) -> Result<(), E>,
) -> Result<FileFacts, E> {
    let charset = how.mapping.and_then(Mapping::charset);
    let separator = how.mapping.and_then(|mapping| mapping.separator).and_then(|it| u8::try_from(it).ok());
    let (mut table, headers) = table::Table::open(source, file, (charset, separator), limits)?;
    let columns = Columns::of(headers, table.separator(), how.mapping);
    let header = Place::line(file, 1);
    let profile = how.profile.or(columns.profile());
    let Some(profile) = profile.filter(|profile| *profile != Profile::Unknown) else {
        let what = "the first line names no columns that are known here: send a mapping with the file";
        return Err(Fault::new(Code::UnknownColumns, header, what).into());
    };
    if let Some(mapping) = how.mapping {
        let lacking: Vec<&str> = mapping
            .headers()
            .filter(|wanted| !columns.headers.iter().any(|found| columns::key(found) == columns::key(wanted)))
            .collect();
        if !lacking.is_empty() {
            let what = format!("columns of the mapping that the file does not have: {}", lacking.join(", "));
            return Err(Fault::new(Code::UnknownColumns, header, what).into());
        }
    }
    if how.school.is_none() && !columns.has(Field::SchoolUai) {
        let what = "the file does not say which school it is about: say it with the file";
        return Err(Fault::new(Code::NoSchool, header, what).into());
    }
    for (name, field) in columns.headers.iter().zip(&columns.fields) {
        if field.is_none() && how.mapping.is_none() && !name.is_empty() {
            report.unknown(name);
        }
    }
    book.onde |= columns.is_onde();
    let mut facts = FileFacts { name: file.to_owned(), ..FileFacts::default() };
    let mut items = Vec::new();
    while table.next(report)? {
        facts.records += 1;
        book.count(&table, limits)?;
        book.row(&table, (&columns, how, profile), &mut items, report);
        for item in items.drain(..) {
            take(item, report)?;
        }
    }
    for item in book.finish(file, report) {
        take(item, report)?;
    }
    table.tell(report);
    table.encoding().clone_into(&mut facts.encoding);
    let name = match char::from(columns.separator) {
        '\t' => "tab".to_owned(),
        other => other.to_string(),
    };
    facts.header.insert("separator".to_owned(), name);
    Ok(facts)
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;

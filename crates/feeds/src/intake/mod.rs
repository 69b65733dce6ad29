//! One way in: a folder, a zip archive or a single file, in whatever of the known formats it is, item by item.

mod files;
mod sniff;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::aaf::Reader;
use crate::csv::{self, Book, Mapping, Profile};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::record::{Item, Operation};
use crate::report::Report;
use crate::siecle::Export;

pub use files::{Delivery, Part};
pub use sniff::Kind;

/// The formats of directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryFormat {
    /// The academy's directory, second degree.
    Aaf2d,
    /// The academy's directory, first degree.
    Aaf1d,
    /// SIECLE's generic exports.
    Siecle,
    /// ONDE, formerly BE1D.
    Onde,
    /// Any other table.
    Csv,
}

impl DirectoryFormat {
    const ALL: [Self; 5] = [Self::Aaf2d, Self::Aaf1d, Self::Siecle, Self::Onde, Self::Csv];

    /// As stored and reported.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aaf2d => "aaf2d",
            Self::Aaf1d => "aaf1d",
            Self::Siecle => "siecle",
            Self::Onde => "onde",
            Self::Csv => "csv",
        }
    }

    /// The format so stored.
    pub fn of_str(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// Whether it is the academy's directory, which no file of a school overwrites.
    pub const fn is_aaf(self) -> bool {
        matches!(self, Self::Aaf2d | Self::Aaf1d)
    }
}

/// The space of the join keys that schools' own files make. An academy's code has two digits.
pub const LOCAL: &str = "local";

/// What is to be read, and what whoever sends it says about it.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    /// A folder, a zip archive or a file.
    pub path: PathBuf,
    /// The name it was sent under, when the file itself has lost it.
    pub name: Option<String>,
    /// UAI of the school it is about, for files that do not say so: ONDE, other tables. SIECLE's is checked against it.
    pub school: Option<String>,
    /// Who the rows of a table are, when its headers could be misread.
    pub profile: Option<Profile>,
    /// What the columns of a table mean, when its headers do not say.
    pub mapping: Option<Mapping>,
}

impl Intake {
    /// A delivery that says all about itself.
    pub fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }
}

/// What a delivery turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its format.
    pub format: DirectoryFormat,
    /// Changes since another delivery, rather than everything.
    pub delta: bool,
    /// The space of its join keys: the academy (`13`, `13-1D`), or [`LOCAL`]. Empty when an academy's headers do not say.
    pub academy: String,
}

/// Where an item comes from.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Its position in the report's list of files, from 0.
    pub file_no: usize,
}

/// What takes the items, one by one; it may refuse and so end the reading.
pub type Take<'a, E> = &'a mut dyn FnMut(Item, At<'_>, &mut Report) -> Result<(), E>;

/// What a part belongs to; one delivery is of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Aaf,
    Siecle,
    Table,
}

const fn family(kind: Kind) -> Family {
    match kind {
        Kind::Aaf(_) => Family::Aaf,
        Kind::SieclePupils | Kind::SiecleRelatives => Family::Siecle,
        Kind::Csv(_) => Family::Table,
    }
}

/// Reads a delivery whole, in constant memory but for the names of the children in tables.
///
/// # Errors
/// The delivery is refused: see [`Code`]; or whatever `take` answers.
pub fn read<E: From<Fault>>(
    intake: &Intake,
    limits: &Limits,
    report: &mut Report,
    take: Take<'_, E>,
) -> Result<Found, E> {
    let mut delivery = Delivery::open_as(&intake.path, intake.name.as_deref(), limits, report)?;
    let parts = delivery.parts();
    let families: BTreeSet<Family> = parts.iter().map(|part| family(part.kind)).collect();
    let (Some(family), true) = (families.first().copied(), families.len() == 1) else {
        let place = Place::file(parts.last().map(|part| part.name.as_str()).unwrap_or_default());
        let what = "a file of another format than the others of the delivery: send them one after the other";
        return Err(Fault::new(Code::MixedFormats, place, what).into());
    };
    match family {
        Family::Aaf => academy(&mut delivery, &parts, limits, report, take),
        Family::Siecle => {
            for part in &parts {
                let file_no = report.files.len();
                let source = delivery.read(part)?;
                let export = Export::new(source, &part.name, intake.school.as_deref(), limits)?;
                let facts = export
                    .read(report, &mut |item, report| take(item, At { file: &part.name, file_no }, report))?;
                report.files.push(facts);
            }
            Ok(local(DirectoryFormat::Siecle))
        }
        Family::Table => {
            let mut book = Book::default();
            let how = csv::How {
                school: intake.school.as_deref(),
                profile: intake.profile,
                mapping: intake.mapping.as_ref(),
            };
            for part in &parts {
                let file_no = report.files.len();
                let source = delivery.read(part)?;
                let facts =
                    csv::read(source, &part.name, (how, limits), &mut book, report, &mut |item, report| {
                        take(item, At { file: &part.name, file_no }, report)
                    })?;
                report.files.push(facts);
            }
            Ok(local(if book.onde { DirectoryFormat::Onde } else { DirectoryFormat::Csv }))
        }
    }
}

fn local(format: DirectoryFormat) -> Found {
    Found { format, delta: false, academy: LOCAL.to_owned() }
}

/// The parts of an academy's directory.
fn academy<E: From<Fault>>(
    delivery: &mut Delivery,
    parts: &[Part],
    limits: &Limits,
    report: &mut Report,
    take: Take<'_, E>,
) -> Result<Found, E> {
    let refused = |code, name: &str, what: &str| E::from(Fault::new(code, Place::file(name), what));
    let mut academy: Option<String> = None;
    let mut first_degree: Option<bool> = None;
    // Only names tell an addition of a delta from one of a *complet*; a change or a deletion tells by itself.
    let complete = parts.iter().any(|part| part.name.to_ascii_lowercase().contains("complet"));
    let mut delta = parts.iter().find(|part| part.delta).map(|part| part.name.clone());
    for part in parts {
        let at = At { file: &part.name, file_no: report.files.len() };
        let mut reader = Reader::new(delivery.read(part)?, &part.name, limits)?;
        while let Some(item) = reader.next(report)? {
            if item.operation != Operation::Add && delta.is_none() {
                delta = Some(part.name.clone());
            }
            take(item, at, report)?;
        }
        match (reader.academy(), &academy) {
            (Some(said), None) => academy = Some(said.to_owned()),
            // Join keys of two academies look alike: merging them would give one child the account of another.
            (Some(said), Some(known)) if said != known => {
                return Err(refused(
                    Code::MixedAcademies,
                    &part.name,
                    "a part of another academy's delivery",
                ));
            }
            _ => {}
        }
        let records = reader.records();
        match (reader.is_first_degree(), first_degree) {
            // Subjects and programmes alone have no degree.
            _ if records == 0 || !reader.is_of_people() => {}
            (said, None) => first_degree = Some(said),
            (said, Some(known)) if said != known => {
                let what =
                    "a part of the first degree among those of the second: send them one after the other";
                return Err(refused(Code::MixedFormats, &part.name, what));
            }
            _ => {}
        }
        report.files.push(reader.into_facts());
    }
    if let Some(name) = delta.as_ref().filter(|_| complete) {
        let what = "changes among the parts of a complet: send the complet first, then the delta";
        return Err(refused(Code::MixedModes, name, what));
    }
    let first_degree = first_degree.unwrap_or(false);
    // The keys of the two degrees come from two systems: the same number there and here is not the same person.
    let suffix = if first_degree { "-1D" } else { "" };
    Ok(Found {
        format: if first_degree { DirectoryFormat::Aaf1d } else { DirectoryFormat::Aaf2d },
        delta: delta.is_some(),
        academy: academy.map(|code| format!("{code}{suffix}")).unwrap_or_default(),
    })
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;

//! One row of a table, by what its columns hold.

use std::io::Read;

use chrono::NaiveDate;
use preau_kernel::fold;

use super::keys::hashed;
use crate::csv::How;
use crate::csv::columns::{Columns, Field};
use crate::csv::dates::{self, Written};
use crate::csv::table::Table;
use crate::record::{InSchool, Item, Names, Operation, Record, present};
use crate::report::Report;

/// A child as a parent's row names it.
#[derive(Default)]
pub(super) struct Child {
    pub(super) id: String,
    pub(super) names: Vec<String>,
    pub(super) first_name: String,
    pub(super) class: String,
}

/// A person in charge on the row of a pupil.
#[derive(Default)]
pub(super) struct Carer {
    pub(super) last_name: String,
    pub(super) first_name: String,
    pub(super) email: String,
}

/// One row, by what its columns hold.
pub(super) struct Row<'a, R> {
    pub(super) table: &'a Table<R>,
    pub(super) columns: &'a Columns,
    pub(super) how: How<'a>,
    pub(super) school: String,
}

impl<R: Read> Row<'_, R> {
    /// What the row says, as it is handed on.
    pub(super) fn item(&self, present: i32, record: Record) -> Item {
        Item { operation: Operation::Add, present, line: self.table.line(), record }
    }

    /// All values of a field that are not blank, the mapping's constants included.
    pub(super) fn all(&self, field: Field) -> Vec<&str> {
        let held = self.columns.fields.iter().enumerate().filter(|(_, known)| **known == Some(field));
        let constant = self.how.mapping.and_then(|mapping| mapping.constants.get(&field)).map(String::as_str);
        held.map(|(at, _)| self.table.field(at)).chain(constant).filter(|value| !value.is_empty()).collect()
    }

    pub(super) fn one(&self, field: Field) -> &str {
        self.all(field).first().copied().unwrap_or_default()
    }

    /// Values of a field of which a cell may hold several.
    pub(super) fn list(&self, field: Field) -> Vec<String> {
        let separator = self.how.mapping.and_then(|mapping| mapping.list_separator.as_deref());
        let values = self.all(field);
        let parts = values.iter().flat_map(|value| match separator.filter(|it| !it.is_empty()) {
            Some(separator) => value.split(separator).collect::<Vec<_>>(),
            None => vec![*value],
        });
        parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn has(&self, field: Field) -> bool {
        let constant = |field| self.how.mapping.is_some_and(|mapping| mapping.constants.contains_key(&field));
        self.columns.has(field) || constant(field)
    }

    pub(super) fn last_name(&self) -> &str {
        match self.one(Field::UsageName) {
            "" => self.one(Field::LastName),
            usage => usage,
        }
    }

    /// What the columns speak about.
    pub(super) fn present(&self) -> i32 {
        let table = [
            (Field::LastName, present::LAST_NAME),
            (Field::UsageName, present::LAST_NAME),
            (Field::FirstName, present::FIRST_NAME),
            (Field::Title, present::TITLE),
            (Field::BirthDate, present::BIRTH),
            (Field::Ine, present::INE),
            (Field::SiecleId, present::SIECLE_ID),
            (Field::Email, present::EMAIL),
            (Field::Mobile, present::MOBILE),
            (Field::Level, present::LEVEL),
            (Field::Class, present::CLASSES | present::TAUGHT_CLASSES),
            (Field::Group, present::GROUPS | present::TAUGHT_GROUPS),
            (Field::HeadOf, present::HEAD_OF),
        ];
        let held = table.iter().filter(|(field, _)| self.has(*field));
        held.fold(present::SCHOOL | present::FUNCTIONS | present::TEACHER, |bits, (_, bit)| bits | bit)
    }

    /// The identifier of the row in its school, unless a spreadsheet has rounded it.
    pub(super) fn id(&self, field: Field, value: &str, report: &mut Report) -> Option<String> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let rounded = value.split_once(['E', 'e']).is_some_and(|(number, power)| {
            number.contains([',', '.'])
                && digits(&number.replace([',', '.'], ""))
                && digits(power.trim_start_matches('+'))
        });
        if rounded {
            report.warn("csv-number-rounded", self.table.place(), header(self.columns, field));
            return None;
        }
        (!value.is_empty()).then(|| format!("{}:{value}", self.school))
    }

    pub(super) fn day(&self, report: &mut Report) -> Option<NaiveDate> {
        let text = self.one(Field::BirthDate);
        if text.is_empty() {
            return None;
        }
        let format = self.how.mapping.and_then(|mapping| mapping.date_format.as_deref());
        let about = header(self.columns, Field::BirthDate);
        match dates::day(text, format) {
            Some((day, written)) => {
                match written {
                    Written::Plain => {}
                    Written::Serial => report.warn("csv-date-of-spreadsheet", self.table.place(), about),
                    Written::ShortYear => report.warn("csv-date-of-two-digits", self.table.place(), about),
                }
                Some(day)
            }
            None => {
                report.warn("csv-bad-date", self.table.place(), about);
                None
            }
        }
    }

    /// The key of whoever the row is about: their identifier, else what tells them apart.
    pub(super) fn key(&self, profile: &str, parts: &[&str], report: &mut Report) -> String {
        let id = self.id(Field::Id, self.one(Field::Id), report);
        id.unwrap_or_else(|| hashed(&self.school, profile, parts))
    }

    pub(super) fn names(&self, key: String) -> Names {
        let title = match fold(self.one(Field::Title)).as_str() {
            "" => None,
            "m" | "mr" | "monsieur" => Some("M.".to_owned()),
            "mme" | "mlle" | "madame" | "mademoiselle" => Some("Mme".to_owned()),
            _ => Some(self.one(Field::Title).to_owned()),
        };
        Names {
            key,
            last_name: self.last_name().to_owned(),
            first_name: self.one(Field::FirstName).to_owned(),
            title,
            email: email(self.one(Field::Email)),
        }
    }

    /// The names of a list, each of something in the school.
    pub(super) fn in_school(&self, field: Field) -> Vec<InSchool> {
        let in_school = |name| InSchool { school: self.school.clone(), name };
        self.list(field).into_iter().map(in_school).collect()
    }

    pub(super) fn text(&self, field: Field) -> Option<String> {
        Some(self.one(field)).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    pub(super) fn children(&self) -> Vec<Child> {
        let mut children: Vec<Child> = Vec::new();
        let mut held: Vec<Field> = Vec::new();
        for (at, field) in self.columns.fields.iter().enumerate() {
            let Some(field) = *field else { continue };
            if !matches!(
                field,
                Field::ChildId
                    | Field::ChildLastName
                    | Field::ChildUsageName
                    | Field::ChildFirstName
                    | Field::ChildClass
            ) {
                continue;
            }
            // A column that comes again begins the next child.
            if children.is_empty() || held.contains(&field) {
                children.push(Child::default());
                held.clear();
            }
            held.push(field);
            let value = self.table.field(at);
            if let Some(child) = children.last_mut() {
                match field {
                    Field::ChildId => value.clone_into(&mut child.id),
                    Field::ChildFirstName => value.clone_into(&mut child.first_name),
                    Field::ChildClass => value.clone_into(&mut child.class),
                    _ if !value.is_empty() => child.names.push(value.to_owned()),
                    _ => {}
                }
            }
        }
        children
            .retain(|child| !child.id.is_empty() || !child.names.is_empty() && !child.first_name.is_empty());
        children
    }

    pub(super) fn carers(&self) -> Vec<Carer> {
        let mut carers: Vec<Carer> = Vec::new();
        for (at, field) in self.columns.fields.iter().enumerate() {
            let value = self.table.field(at);
            match (field, carers.last_mut()) {
                (Some(Field::CarerLastName), _) => {
                    carers.push(Carer { last_name: value.to_owned(), ..Carer::default() });
                }
                (Some(Field::CarerFirstName), Some(carer)) => value.clone_into(&mut carer.first_name),
                (Some(Field::CarerEmail), Some(carer)) => value.clone_into(&mut carer.email),
                _ => {}
            }
        }
        carers.retain(|carer| !carer.last_name.is_empty());
        carers
    }
}

pub(super) fn email(text: &str) -> Option<String> {
    text.contains('@').then(|| text.to_owned())
}

/// The header of the column that holds a field; never a value.
pub(super) fn header(columns: &Columns, field: Field) -> &str {
    let at = columns.fields.iter().position(|known| *known == Some(field));
    at.and_then(|at| columns.headers.get(at)).map(String::as_str).unwrap_or_default()
}

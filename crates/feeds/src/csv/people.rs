//! From rows to people.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::Read;

use chrono::NaiveDate;
use preau_kernel::fold;
use sha2::{Digest, Sha256};

use super::columns::{Columns, Field};
use super::dates::{self, Written};
use super::table::Table;
use super::{How, Profile};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::places;
use crate::record::{
    ChildRef, Function, Guest, InClass, InSchool, Item, Link, Names, Operation, Pupil, Record, Relation,
    Relative, Staff, present,
};
use crate::report::Report;

/// What the tables of one delivery share: who is a child of whom is said in another file than who the children are.
#[derive(Default)]
pub(crate) struct Book {
    /// Whether a table was ONDE's.
    pub(crate) onde: bool,
    /// Hash of school and folded names → class and key of the pupils so called.
    pupils: HashMap<u64, Vec<(u64, Box<str>)>>,
    /// Children named before their own row came: school, parent, child, line.
    waiting: Vec<(String, String, Child, u64)>,
    schools: BTreeSet<String>,
    rows: usize,
}

/// A child as a parent's row names it.
#[derive(Default)]
struct Child {
    id: String,
    names: Vec<String>,
    first_name: String,
    class: String,
}

/// A person in charge on the row of a pupil.
#[derive(Default)]
struct Carer {
    last_name: String,
    first_name: String,
    email: String,
}

/// One row, by what its columns hold.
struct Row<'a, R> {
    table: &'a Table<R>,
    columns: &'a Columns,
    how: How<'a>,
    school: String,
}

impl<R: Read> Row<'_, R> {
    /// All values of a field that are not blank, the mapping's constants included.
    fn all(&self, field: Field) -> Vec<&str> {
        let held = self.columns.fields.iter().enumerate().filter(|(_, known)| **known == Some(field));
        let constant = self.how.mapping.and_then(|mapping| mapping.constants.get(&field)).map(String::as_str);
        held.map(|(at, _)| self.table.field(at)).chain(constant).filter(|value| !value.is_empty()).collect()
    }

    fn one(&self, field: Field) -> &str {
        self.all(field).first().copied().unwrap_or_default()
    }

    /// Values of a field of which a cell may hold several.
    fn list(&self, field: Field) -> Vec<String> {
        let separator = self.how.mapping.and_then(|mapping| mapping.list_separator.as_deref());
        let values = self.all(field);
        let parts = values.iter().flat_map(|value| match separator.filter(|it| !it.is_empty()) {
            Some(separator) => value.split(separator).collect::<Vec<_>>(),
            None => vec![*value],
        });
        parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn has(&self, field: Field) -> bool {
        let constant = |field| self.how.mapping.is_some_and(|mapping| mapping.constants.contains_key(&field));
        self.columns.has(field) || constant(field)
    }

    fn last_name(&self) -> &str {
        match self.one(Field::UsageName) {
            "" => self.one(Field::LastName),
            usage => usage,
        }
    }

    /// What the columns speak about.
    fn present(&self) -> i32 {
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
    fn id(&self, field: Field, value: &str, report: &mut Report) -> Option<String> {
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

    fn day(&self, report: &mut Report) -> Option<NaiveDate> {
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

    fn names(&self, key: String) -> Names {
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

    fn text(&self, field: Field) -> Option<String> {
        Some(self.one(field)).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    fn children(&self) -> Vec<Child> {
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

    fn carers(&self) -> Vec<Carer> {
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

impl Book {
    /// Counts a row: the children of one delivery are kept in memory.
    pub(super) fn count<R: Read>(&mut self, table: &Table<R>, limits: &Limits) -> Result<(), Fault> {
        self.rows += 1;
        if self.rows > limits.csv_rows {
            return Err(Fault::new(Code::TooMany, table.place(), "more rows than tables of schools have"));
        }
        Ok(())
    }

    /// What a row says.
    pub(super) fn row<R: Read>(
        &mut self,
        table: &Table<R>,
        (columns, how, profile): (&Columns, How<'_>, Profile),
        items: &mut Vec<Item>,
        report: &mut Report,
    ) {
        let mut row = Row { table, columns, how, school: String::new() };
        let said = row.one(Field::SchoolUai).to_uppercase();
        row.school = if said.is_empty() { how.school.unwrap_or_default().to_owned() } else { said };
        if !places::uai_is_formed(&row.school) {
            report.warn("csv-bad-school", table.place(), header(columns, Field::SchoolUai));
            return;
        }
        let profile = match profile {
            Profile::ByRow => match profile_of(row.one(Field::Profile), how) {
                Some(profile) => profile,
                None => {
                    report.warn("csv-bad-profile", table.place(), header(columns, Field::Profile));
                    return;
                }
            },
            known => known,
        };
        if row.last_name().is_empty() || row.one(Field::FirstName).is_empty() {
            report.warn("csv-row-without-name", table.place(), "");
            return;
        }
        let line = table.line();
        let item = |present, record| Item { operation: Operation::Add, present, line, record };
        if self.schools.insert(row.school.clone()) {
            items.push(item(present::NONE, Record::Named(row.school.clone())));
        }
        match profile {
            Profile::Pupil => self.pupil(&row, items, report),
            Profile::Guardian => self.guardian(&row, items, report),
            Profile::Teacher | Profile::Staff => {
                let staff = staff(&row, profile, report);
                items.push(item(row.present(), Record::Staff(staff)));
            }
            Profile::Guest => items.push(item(row.present(), Record::Guest(guest(&row, report)))),
            Profile::ByRow | Profile::Unknown => {}
        }
    }

    fn pupil<R: Read>(&mut self, row: &Row<'_, R>, items: &mut Vec<Item>, report: &mut Report) {
        let born_on = row.day(report);
        let classes = row.list(Field::Class);
        let class = classes.first().map(String::as_str).unwrap_or_default();
        let day = born_on.map(|day| day.to_string()).unwrap_or_default();
        let (last, first) = (row.last_name(), row.one(Field::FirstName));
        let id = row.id(Field::Id, row.one(Field::Id), report);
        let key = id.unwrap_or_else(|| hashed(&row.school, "pupil", &[last, first, &day, class]));
        let class_hash = small_hash(&[class]);
        for name in BTreeSet::from([fold(last), fold(row.one(Field::LastName))]) {
            let called = self.pupils.entry(small_hash(&[&row.school, &name, first])).or_default();
            if !name.is_empty() && !called.iter().any(|(_, known)| **known == *key) {
                called.push((class_hash, key.as_str().into()));
            }
        }
        let in_school = |name: String| InSchool { school: row.school.clone(), name };
        let pupil = Pupil {
            names: row.names(key.clone()),
            ine: row.text(Field::Ine),
            siecle_id: row.text(Field::SiecleId),
            born_on,
            school: Some(row.school.clone()),
            classes: classes.into_iter().map(in_school).collect(),
            groups: row.list(Field::Group).into_iter().map(in_school).collect(),
            relations: Vec::new(),
            mef: None,
            level: row.text(Field::Level),
        };
        let line = row.table.line();
        let item = |present, record| Item { operation: Operation::Add, present, line, record };
        items.push(item(row.present(), Record::Pupil(pupil)));
        for carer in row.carers() {
            let guardian =
                hashed(&row.school, "guardian", &[&carer.last_name, &carer.first_name, last, first]);
            let names = Names {
                key: guardian.clone(),
                last_name: carer.last_name,
                first_name: carer.first_name,
                title: None,
                email: email(&carer.email),
            };
            let bits = present::LAST_NAME | present::FIRST_NAME;
            let bits = if row.has(Field::CarerEmail) { bits | present::EMAIL } else { bits };
            items.push(item(bits, Record::Relative(Relative { names, mobile: None })));
            items.push(item(present::ALL, link(&row.school, &key, &guardian)));
        }
    }

    fn guardian<R: Read>(&mut self, row: &Row<'_, R>, items: &mut Vec<Item>, report: &mut Report) {
        let line = row.table.line();
        let item = |present, record| Item { operation: Operation::Add, present, line, record };
        let children = row.children();
        // Two parents of one name are told apart by their children.
        let first_child = children.iter().map(|child| {
            let name = child.names.last().map(|name| fold(name)).unwrap_or_default();
            (name, fold(&child.first_name), child.id.clone())
        });
        let (child_last, child_first, child_id) = first_child.min().unwrap_or_default();
        let id = row.id(Field::Id, row.one(Field::Id), report);
        let key = id.unwrap_or_else(|| {
            let parts = [row.last_name(), row.one(Field::FirstName), &child_last, &child_first, &child_id];
            hashed(&row.school, "guardian", &parts)
        });
        if children.is_empty() {
            report.warn("csv-parent-without-child", row.table.place(), "");
        }
        let relative = Relative { names: row.names(key.clone()), mobile: row.text(Field::Mobile) };
        items.push(item(row.present(), Record::Relative(relative)));
        for child in children {
            if !child.id.is_empty() {
                if let Some(pupil) = row.id(Field::ChildId, &child.id, report) {
                    items.push(item(present::ALL, link(&row.school, &pupil, &key)));
                }
                continue;
            }
            match self.find(&row.school, &child) {
                Found::One(pupil) => items.push(item(present::ALL, link(&row.school, &pupil, &key))),
                // To guess would show a child's day to somebody else's parents.
                Found::Several => report.warn("csv-child-ambiguous", row.table.place(), ""),
                Found::None => self.waiting.push((row.school.clone(), key.clone(), child, line)),
            }
        }
    }

    fn find(&self, school: &str, child: &Child) -> Found {
        let mut candidates: Vec<&(u64, Box<str>)> = Vec::new();
        for name in &child.names {
            let called = self.pupils.get(&small_hash(&[school, name, &child.first_name]));
            candidates.extend(called.into_iter().flatten());
        }
        candidates.sort_unstable();
        candidates.dedup();
        let class = small_hash(&[&child.class]);
        let in_class: Vec<_> = candidates.iter().filter(|(known, _)| *known == class).collect();
        match (in_class.as_slice(), candidates.as_slice()) {
            ([(_, key)], _) | ([], [(_, key)]) => Found::One(key.to_string()),
            ([], []) => Found::None,
            _ => Found::Several,
        }
    }

    /// Children that were named before they came, or that never came: those are looked for in the school by the merge.
    pub(super) fn finish(&mut self, file: &str, report: &mut Report) -> Vec<Item> {
        let mut items = Vec::new();
        for (school, guardian, child, line) in std::mem::take(&mut self.waiting) {
            let place = Place::line(file, line);
            let record = match self.find(&school, &child) {
                Found::One(pupil) => link(&school, &pupil, &guardian),
                Found::Several => {
                    report.warn("csv-child-ambiguous", place, "");
                    continue;
                }
                Found::None => {
                    report.warn("csv-child-not-in-file", place, "");
                    let name = child.names.first().map(String::as_str).unwrap_or_default();
                    let search = fold(&format!("{name} {}", child.first_name));
                    Record::ChildRef(ChildRef { school, guardian, search, class: child.class })
                }
            };
            items.push(Item { operation: Operation::Add, present: present::ALL, line, record });
        }
        items
    }
}

enum Found {
    One(String),
    Several,
    None,
}

fn link(school: &str, pupil: &str, guardian: &str) -> Record {
    let relation =
        Relation { person: guardian.to_owned(), link: 0, financial: 0, legal: 1, contact: 0, payment: 0 };
    Record::Link(Link { school: school.to_owned(), pupil: pupil.to_owned(), relation })
}

fn guest<R: Read>(row: &Row<'_, R>, report: &mut Report) -> Guest {
    let born_on = row.day(report).map(|day| day.to_string()).unwrap_or_default();
    let id = row.id(Field::Id, row.one(Field::Id), report);
    let key = id.unwrap_or_else(|| {
        hashed(&row.school, "guest", &[row.last_name(), row.one(Field::FirstName), &born_on])
    });
    let in_school = |name: String| InSchool { school: row.school.clone(), name };
    Guest {
        names: row.names(key),
        school: row.school.clone(),
        classes: row.list(Field::Class).into_iter().map(in_school).collect(),
    }
}

fn staff<R: Read>(row: &Row<'_, R>, profile: Profile, report: &mut Report) -> Staff {
    let born_on = row.day(report).map(|day| day.to_string()).unwrap_or_default();
    let id = row.id(Field::Id, row.one(Field::Id), report);
    let key = id.unwrap_or_else(|| {
        hashed(&row.school, "staff", &[row.last_name(), row.one(Field::FirstName), &born_on])
    });
    let function = |code: &str| Function {
        school: row.school.clone(),
        code: Some(code.to_owned()),
        ..Function::default()
    };
    let teacher = profile == Profile::Teacher;
    let mut codes: BTreeSet<&str> = row.all(Field::Function).into_iter().filter_map(function_code).collect();
    if profile == Profile::Staff
        && row.all(Field::Function).iter().any(|words| function_code(words).is_none())
    {
        report.warn("csv-unknown-function", row.table.place(), header(row.columns, Field::Function));
    }
    if fold(row.one(Field::Director)).starts_with('o') {
        codes.insert("DIR");
    }
    if teacher && !codes.contains("DOC") {
        codes.insert("ENS");
    }
    let subjects = if teacher { subjects(row) } else { Vec::new() };
    let taught = |class: String| {
        let each = |subject| InClass { school: row.school.clone(), class: class.clone(), subject };
        if subjects.is_empty() {
            vec![each(None)]
        } else {
            subjects.iter().cloned().map(Some).map(each).collect()
        }
    };
    Staff {
        names: row.names(key),
        teacher,
        school: Some(row.school.clone()),
        functions: codes.into_iter().map(function).collect(),
        classes: row.list(Field::Class).into_iter().flat_map(taught).collect(),
        groups: row.list(Field::Group).into_iter().flat_map(taught).collect(),
        head_of: row
            .list(Field::HeadOf)
            .into_iter()
            .map(|name| InSchool { school: row.school.clone(), name })
            .collect(),
        sts_ids: Vec::new(),
    }
}

/// Longest name of a subject.
const SUBJECT_NAME: usize = 60;

/// What a teacher teaches: what the columns of subjects say, and what the templates of French ENTs put in that of functions.
fn subjects<R: Read>(row: &Row<'_, R>) -> Vec<String> {
    let functions = row.all(Field::Function).into_iter().filter(|words| is_subject(words)).map(str::to_owned);
    let mut found: Vec<String> = Vec::new();
    for words in row.list(Field::Subject).into_iter().chain(functions) {
        let words: String = words.chars().take(SUBJECT_NAME).collect();
        if !found.iter().any(|known| fold(known) == fold(&words)) {
            found.push(words);
        }
    }
    found
}

/// Whether the words in a column of functions are what somebody teaches, and not what they are.
fn is_subject(words: &str) -> bool {
    const TEACHERS: [&str; 16] = [
        "contractuel",
        "contractuelle",
        "ens",
        "enseignant",
        "enseignante",
        "instituteur",
        "institutrice",
        "maitre",
        "maitresse",
        "pe",
        "prof",
        "professeur",
        "professeure",
        "remplacant",
        "remplacante",
        "stagiaire",
    ];
    let folded = fold(words);
    function_code(words).is_none()
        && !folded.is_empty()
        && !folded.split(' ').any(|word| TEACHERS.contains(&word))
}

/// The national code of a function said in words; `None` for a subject taught, and for what nobody knows.
fn function_code(words: &str) -> Option<&'static str> {
    let words = fold(words);
    let has = |parts: &[&str]| parts.iter().any(|part| words.split(' ').any(|word| word == *part));
    match () {
        // A conseiller principal d'éducation is no principal: looked for first.
        () if has(&["cpe", "education", "edu"]) && !has(&["physique", "musicale", "civique"]) => Some("EDU"),
        () if has(&[
            "direction",
            "directeur",
            "directrice",
            "principal",
            "principale",
            "proviseur",
            "dir",
        ]) =>
        {
            Some("DIR")
        }
        () if has(&["aed", "surveillant", "surveillante", "assistant", "assistante", "aesh", "avs"]) => {
            Some("AED")
        }
        () if has(&["doc", "documentaliste", "documentation", "cdi"]) => Some("DOC"),
        () if has(&["psychologue", "psyen", "orientation", "cop", "ori"]) => Some("ORI"),
        () if has(&[
            "gestionnaire",
            "intendant",
            "intendante",
            "secretaire",
            "secretariat",
            "agent",
            "adf",
        ]) =>
        {
            Some("ADF")
        }
        () => None,
    }
}

/// What the words of a row mean, by the mapping, else in French and in the words of the mapping document.
fn profile_of(words: &str, how: How<'_>) -> Option<Profile> {
    let folded = fold(words);
    let mapped = how.mapping.and_then(|mapping| {
        mapping.profiles.iter().find(|(known, _)| fold(known) == folded).map(|(_, profile)| *profile)
    });
    mapped.or(match folded.as_str() {
        "eleve" | "eleves" | "pupil" => Some(Profile::Pupil),
        "enseignant" | "enseignante" | "enseignants" | "professeur" | "teacher" => Some(Profile::Teacher),
        "personnel" | "personnels" | "staff" => Some(Profile::Staff),
        "parent" | "parents" | "responsable" | "responsables" | "guardian" => Some(Profile::Guardian),
        "invite" | "invites" | "guest" => Some(Profile::Guest),
        _ => None,
    })
}

fn email(text: &str) -> Option<String> {
    text.contains('@').then(|| text.to_owned())
}

/// The header of the column that holds a field; never a value.
fn header(columns: &Columns, field: Field) -> &str {
    let at = columns.fields.iter().position(|known| *known == Some(field));
    at.and_then(|at| columns.headers.get(at)).map(String::as_str).unwrap_or_default()
}

/// The key of somebody who has no identifier: of school, profile and what else tells them apart, folded so that two programs that
/// write the same name otherwise mean the same person.
fn hashed(school: &str, profile: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in [school, profile].into_iter().map(str::to_owned).chain(parts.iter().map(|part| fold(part))) {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut key = format!("{school}:#");
    for byte in hash.finalize().iter().take(16) {
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// A hash of folded words to look children up by: whoever could make two alike could as well write the same name.
fn small_hash(parts: &[&str]) -> u64 {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hash = DefaultHasher::new();
    for part in parts {
        hash.write(fold(part).as_bytes());
        hash.write_u8(0);
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_in_words() {
        for (words, code) in [
            ("Direction", Some("DIR")),
            ("Principal adjoint", Some("DIR")),
            ("CPE", Some("EDU")),
            ("Conseiller principal d'éducation", Some("EDU")),
            ("AED", Some("AED")),
            ("Professeur documentaliste", Some("DOC")),
            ("Education Physique et Sportive", None),
            ("Mathématiques", None),
            ("", None),
        ] {
            assert_eq!(function_code(words), code, "{words}");
        }
    }

    #[test]
    fn a_subject_is_no_function() {
        for words in ["Mathématiques", "Education Physique et Sportive", "Français"] {
            assert!(is_subject(words), "{words}");
        }
        for words in ["", "Enseignante", "Professeur des écoles", "PE", "CPE", "Professeur documentaliste"] {
            assert!(!is_subject(words), "{words}");
        }
    }

    #[test]
    fn a_hashed_identity_names_nobody_and_folds_names() {
        let key = hashed("0750001A", "pupil", &["Lœuillet", "Zoé", "2014-08-13", "CP"]);
        assert_eq!(key, hashed("0750001A", "pupil", &["LOEUILLET", "Zoe ", "2014-08-13", "cp"]));
        assert_ne!(key, hashed("0750001A", "pupil", &["Lœuillet", "Zoé", "2014-08-13", "CE1"]));
        assert_ne!(hashed("0750001A", "pupil", &["ab", "c"]), hashed("0750001A", "pupil", &["a", "bc"]));
        assert!(key.starts_with("0750001A:#") && key.len() == 10 + 32, "{key}");
    }
}

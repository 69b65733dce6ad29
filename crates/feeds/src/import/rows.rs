//! Records as rows of the staging tables, in PostgreSQL's COPY text format. Pure: what is staged is decided here.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use preau_kernel::{fold, login_stem};

use crate::aaf::{Category, Names, Pupil, Record, Relative, School, Staff};
use crate::fault::Place;
use crate::places;
use crate::report::Report;

/// The staging tables, named without their `stage_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Table {
    School,
    Person,
    Membership,
    Division,
    DivisionMember,
    GuardianLink,
    Subject,
    Mef,
}

impl Table {
    pub(super) const ALL: [Self; 8] = [
        Self::School,
        Self::Person,
        Self::Membership,
        Self::Division,
        Self::DivisionMember,
        Self::GuardianLink,
        Self::Subject,
        Self::Mef,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::School => "school",
            Self::Person => "person",
            Self::Membership => "membership",
            Self::Division => "division",
            Self::DivisionMember => "division_member",
            Self::GuardianLink => "guardian_link",
            Self::Subject => "subject",
            Self::Mef => "mef",
        }
    }

    /// The columns of a row, in their order in COPY.
    pub(super) const fn columns(self) -> &'static str {
        match self {
            Self::School => "school_key, uai, name, kind, tz, holiday_zone, city",
            Self::Person => {
                "kind, join_key, last_name, first_name, title, birth_on, ine, siecle_id, email, mobile, mef_code, level, \
                 login_stem, search, sts_ids"
            }
            Self::Membership => "school_key, join_key, kind, role, function",
            Self::Division => "school_key, kind, name",
            Self::DivisionMember => "school_key, kind, name, join_key, role, subject_code",
            Self::GuardianLink => "school_key, pupil_key, guardian_key, kind, legal, contact_order, financial",
            Self::Subject => "subject_code, label",
            Self::Mef => "mef_code, label, stat11",
        }
    }
}

/// Longest name of a class or group that the database takes.
const DIVISION_NAME: usize = 60;
/// Longest name of a person or school.
const NAME: usize = 200;

/// Rows gathered for one COPY a table.
#[derive(Debug, Default)]
pub(super) struct Rows {
    buffers: Vec<(Table, String)>,
    /// Kinds of objects met.
    pub(super) kinds: BTreeSet<&'static str>,
}

enum Field<'a> {
    Text(&'a str),
    Maybe(Option<&'a str>),
    Number(i64),
    Bool(bool),
    List(&'a [String]),
}

impl Rows {
    /// Takes the rows of every table that has at least `least` bytes of them.
    pub(super) fn take(&mut self, least: usize) -> Vec<(Table, String)> {
        let (taken, kept) =
            std::mem::take(&mut self.buffers).into_iter().partition(|(_, text)| text.len() >= least);
        self.buffers = kept;
        taken
    }

    /// Adds what a record says.
    pub(super) fn add(&mut self, record: &Record, place: &Place, report: &mut Report) {
        match record {
            Record::School(school) => self.school(school, place, report),
            Record::Pupil(pupil) => self.pupil(pupil, place, report),
            Record::Relative(relative) => self.relative(relative),
            Record::Staff(staff) => self.staff(staff),
            Record::Subject(subject) => {
                self.row(Table::Subject, &[Field::Text(&subject.code), Field::Text(&subject.label)]);
            }
            Record::Mef(mef) => {
                let stat11 = mef.stat11.as_deref().unwrap_or_default();
                self.row(Table::Mef, &[Field::Text(&mef.code), Field::Text(&mef.label), Field::Text(stat11)]);
            }
            Record::Delta { .. } => return,
        }
        self.kinds.insert(category(record).name());
    }

    fn row(&mut self, table: Table, fields: &[Field<'_>]) {
        if !self.buffers.iter().any(|(known, _)| *known == table) {
            self.buffers.push((table, String::with_capacity(512 << 10)));
        }
        let Some((_, buffer)) = self.buffers.iter_mut().find(|(known, _)| *known == table) else { return };
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                buffer.push('\t');
            }
            match field {
                Field::Text(text) | Field::Maybe(Some(text)) => escape(buffer, text),
                Field::Maybe(None) => buffer.push_str("\\N"),
                Field::Number(number) => {
                    let _ = write!(buffer, "{number}");
                }
                Field::Bool(yes) => buffer.push(if *yes { 't' } else { 'f' }),
                Field::List(values) => {
                    let quoted: Vec<String> = values
                        .iter()
                        .map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
                        .collect();
                    escape(buffer, &format!("{{{}}}", quoted.join(",")));
                }
            }
        }
        buffer.push('\n');
    }

    fn school(&mut self, school: &School, place: &Place, report: &mut Report) {
        let Some(uai) = school.uai.as_deref().filter(|uai| places::uai_is_formed(uai)) else {
            report.warn("aaf-school-without-uai", place.clone(), &school.key);
            return;
        };
        self.row(
            Table::School,
            &[
                Field::Text(&school.key),
                Field::Text(uai),
                Field::Text(&cut(&school.name, NAME)),
                Field::Text(kind(school)),
                Field::Text(places::zone_of_uai(uai).name()),
                Field::Text(places::holiday_zone_of_uai(uai)),
                Field::Text(school.city.as_deref().unwrap_or_default()),
            ],
        );
        for (kind, names) in [("class", &school.classes), ("group", &school.groups)] {
            for name in names {
                self.division(&school.key, kind, name);
            }
        }
    }

    fn division(&mut self, school: &str, kind: &str, name: &str) {
        self.row(
            Table::Division,
            &[Field::Text(school), Field::Text(kind), Field::Text(&cut(name, DIVISION_NAME))],
        );
    }

    fn member(&mut self, school: &str, (kind, name): (&str, &str), key: &str, role: &str, subject: &str) {
        self.row(
            Table::DivisionMember,
            &[
                Field::Text(school),
                Field::Text(kind),
                Field::Text(&cut(name, DIVISION_NAME)),
                Field::Text(key),
                Field::Text(role),
                Field::Text(subject),
            ],
        );
    }

    fn membership(&mut self, school: &str, key: &str, [kind, role, function]: [&str; 3]) {
        self.row(
            Table::Membership,
            &[
                Field::Text(school),
                Field::Text(key),
                Field::Text(kind),
                Field::Text(role),
                Field::Text(function),
            ],
        );
    }

    fn person(&mut self, kind: &str, names: &Names, more: &Details<'_>) {
        let (last, first) = (cut(&names.last_name, NAME), cut(&names.first_name, NAME));
        // The database wants both names; some people have one.
        let first = if first.is_empty() { "-".to_owned() } else { first };
        let stem = login_stem(&names.first_name, &names.last_name);
        // A login has two characters at least.
        let stem = if stem.len() < 2 { "compte".to_owned() } else { stem };
        self.row(
            Table::Person,
            &[
                Field::Text(kind),
                Field::Text(&names.key),
                Field::Text(&last),
                Field::Text(&first),
                Field::Text(names.title.as_deref().unwrap_or_default()),
                Field::Maybe(more.born_on.as_deref()),
                Field::Maybe(more.ine),
                Field::Maybe(more.siecle_id),
                Field::Maybe(names.email.as_deref()),
                Field::Maybe(more.mobile),
                Field::Text(more.mef),
                Field::Text(more.level),
                Field::Text(&stem),
                Field::Text(&fold(&format!("{last} {first}"))),
                Field::List(more.sts_ids),
            ],
        );
    }

    fn pupil(&mut self, pupil: &Pupil, place: &Place, report: &mut Report) {
        let key = &pupil.names.key;
        let born_on = pupil.born_on.map(|day| day.to_string());
        let more = Details {
            born_on,
            ine: pupil.ine.as_deref(),
            siecle_id: pupil.siecle_id.as_deref(),
            mef: pupil.mef.as_deref().unwrap_or_default(),
            level: pupil.level.as_deref().unwrap_or_default(),
            ..Details::default()
        };
        self.person("pupil", &pupil.names, &more);
        let places = pupil.classes.iter().chain(&pupil.groups).map(|place| place.school.as_str());
        let schools: BTreeSet<&str> = pupil.school.as_deref().into_iter().chain(places).collect();
        if schools.is_empty() {
            report.warn("aaf-pupil-without-school", place.clone(), "ENTPersonStructRattach");
        }
        for (kind, places) in [("class", &pupil.classes), ("group", &pupil.groups)] {
            for place in places {
                self.division(&place.school, kind, &place.name);
                self.member(&place.school, (kind, &place.name), key, "pupil", "");
            }
        }
        for school in schools {
            self.membership(school, key, ["pupil", "pupil", ""]);
            for relation in &pupil.relations {
                self.row(
                    Table::GuardianLink,
                    &[
                        Field::Text(school),
                        Field::Text(key),
                        Field::Text(&relation.person),
                        Field::Number(relation.link.into()),
                        Field::Number(relation.legal.min(2).into()),
                        Field::Number(relation.contact.into()),
                        Field::Bool(relation.financial == 1),
                    ],
                );
                // Whom nothing but a telephone number links to the child gets no account for it.
                let role = if relation.legal == 0 { "contact" } else { "guardian" };
                self.membership(school, &relation.person, ["guardian", role, ""]);
            }
        }
    }

    fn relative(&mut self, relative: &Relative) {
        self.person(
            "guardian",
            &relative.names,
            &Details { mobile: relative.mobile.as_deref(), ..Details::default() },
        );
    }

    fn staff(&mut self, staff: &Staff) {
        let key = &staff.names.key;
        self.person("staff", &staff.names, &Details { sts_ids: &staff.sts_ids, ..Details::default() });
        for function in &staff.functions {
            let code = function.code.as_deref().unwrap_or_default();
            for role in roles(code, staff.teacher) {
                self.membership(&function.school, key, ["staff", role, code]);
            }
        }
        // Classes may be in schools that no function names; an attachment alone is a function too.
        let taught = staff.classes.iter().chain(&staff.groups).map(|place| place.school.as_str());
        let headed = staff.head_of.iter().map(|place| place.school.as_str());
        let named: BTreeSet<&str> = staff.functions.iter().map(|function| function.school.as_str()).collect();
        let unnamed: BTreeSet<&str> = taught
            .chain(headed)
            .chain(staff.school.as_deref())
            .filter(|school| !named.contains(school))
            .collect();
        for school in unnamed {
            self.membership(school, key, ["staff", if staff.teacher { "teacher" } else { "staff" }, ""]);
        }
        for (kind, places) in [("class", &staff.classes), ("group", &staff.groups)] {
            for place in places {
                let subject = place.subject.as_deref().unwrap_or_default();
                self.member(&place.school, (kind, &place.class), key, "teacher", subject);
            }
        }
        for place in &staff.head_of {
            self.member(&place.school, ("class", &place.name), key, "head", "");
        }
    }
}

#[derive(Default)]
struct Details<'a> {
    born_on: Option<String>,
    ine: Option<&'a str>,
    siecle_id: Option<&'a str>,
    mobile: Option<&'a str>,
    mef: &'a str,
    level: &'a str,
    sts_ids: &'a [String],
}

/// What a function makes of a member of staff in that school.
fn roles(code: &str, teacher: bool) -> &'static [&'static str] {
    match (code, teacher) {
        ("DIR", _) => &["school_admin", "staff"],
        ("EDU" | "AED" | "ADF" | "ORI", _) | (_, false) => &["staff"],
        (_, true) => &["teacher"],
    }
}

/// The kind of a school, by its code, else by its words.
fn kind(school: &School) -> &'static str {
    match school.kind_code.as_deref().unwrap_or_default() {
        "340" | "350" | "352" | "390" => return "college",
        code if code.len() == 3 && code.starts_with('1') => return "primary",
        code if code.len() == 3 && code.starts_with('3') => return "lycee",
        _ => {}
    }
    let words = fold(school.kind.as_deref().unwrap_or_default());
    ["college", "lycee"].into_iter().find(|kind| words.contains(kind)).unwrap_or(if words.contains("ecole") {
        "primary"
    } else {
        "other"
    })
}

fn category(record: &Record) -> Category {
    match record {
        Record::School(_) => Category::School,
        Record::Pupil(_) => Category::Pupil,
        Record::Relative(_) => Category::Relative,
        Record::Staff(_) => Category::Staff,
        Record::Subject(_) => Category::Subject,
        Record::Mef(_) => Category::Mef,
        Record::Delta { category, .. } => *category,
    }
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

/// COPY's own escapes: backslash, tab and line ends.
fn escape(buffer: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '\\' => buffer.push_str("\\\\"),
            '\t' => buffer.push_str("\\t"),
            '\n' => buffer.push_str("\\n"),
            '\r' => buffer.push_str("\\r"),
            other => buffer.push(other),
        }
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;

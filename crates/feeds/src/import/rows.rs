//! Records as rows of the staging tables. Pure: what is staged is decided here.

mod copy;
mod packs;
mod seen;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};

use preau_kernel::{fold, login_stem};

use crate::fault::Place;
use crate::intake::At;
use crate::places;
use crate::record::{
    Category, ChildRef, Guest, Item, Link, Names, Operation, Places, Pupil, Record, Relation, School, Staff,
    present,
};
use crate::report::Report;

use super::roster::StagedLink;
pub(super) use copy::Table;
use copy::{Buffers, Field};
pub(super) use packs::{Opened, Pack, Packs, named};
use seen::{Met, Seen, Straight};

/// Longest name of a class or group that the database takes.
const DIVISION_NAME: usize = 60;
/// Longest name of a person or school.
const NAME: usize = 200;
/// Schools of one member of staff beyond which the report says so: replacement teachers have five.
const MANY_SCHOOLS: usize = 10;
/// Classes and groups remembered, so that each is staged once instead of with each of its pupils.
const DIVISIONS: usize = 500_000;

/// Rows gathered for one COPY a table.
#[derive(Debug, Default)]
pub(super) struct Rows {
    buffers: Buffers,
    packs: Packs,
    seen: Seen,
    hash: RandomState,
    divisions: HashSet<u64, Straight>,
    /// Kinds of objects met.
    pub(super) kinds: BTreeSet<&'static str>,
}

/// What all rows of one record have in common.
#[derive(Clone, Copy)]
struct Told<'a> {
    operation: Operation,
    present: i32,
    line: u64,
    at: At<'a>,
}

impl Told<'_> {
    fn op(&self) -> Field<'static> {
        Field::Text(match self.operation {
            Operation::Add => "add",
            Operation::Modify => "modify",
            Operation::Delete => "delete",
        })
    }

    fn file_no(&self) -> Field<'static> {
        Field::Number(i16::try_from(self.at.file_no).unwrap_or(i16::MAX).into())
    }

    fn line(&self) -> Field<'static> {
        Field::Number(i32::try_from(self.line).unwrap_or(i32::MAX).into())
    }

    fn place(&self) -> Place {
        Place::line(self.at.file, self.line)
    }

    fn has(&self, bit: i32) -> bool {
        self.present & bit != 0
    }
}

impl Rows {
    /// Whether some table has at least `least` bytes of rows.
    pub(super) fn is_full(&self, least: usize) -> bool {
        self.buffers.is_full(least)
    }

    /// Takes the rows of every table that has at least `least` bytes of them.
    pub(super) fn take(&mut self, least: usize) -> Vec<(Table, String)> {
        self.buffers.take(least)
    }

    /// Takes what is packed by school, once that is at least `least` bytes.
    pub(super) fn take_packs(&mut self, least: usize) -> Vec<Pack> {
        if self.packs.is_full(least) { self.packs.take() } else { Vec::new() }
    }

    /// Rows gathered so far.
    pub(super) fn count(&self) -> u64 {
        self.buffers.rows() + self.packs.rows()
    }

    /// Adds what an item says.
    pub(super) fn add(&mut self, item: &Item, at: At<'_>, report: &mut Report) {
        let told = Told { operation: item.operation, present: item.present, line: item.line, at };
        let category = item.record.category();
        if let Some(category) = category {
            self.kinds.insert(category.name());
        }
        match &item.record {
            Record::School(school) => self.school(school, told, report),
            Record::Named(uai) => self.named(uai, told),
            Record::Pupil(pupil) => {
                if let Some(met) = self.meet(Category::Pupil, &pupil.names, told, report) {
                    self.pupil(pupil, met, told, report);
                }
            }
            Record::Relative(relative) => {
                if self.meet(Category::Relative, &relative.names, told, report) == Some(Met::New) {
                    let mobile = relative.mobile.as_deref();
                    self.person("guardian", &relative.names, &Details { mobile, ..Details::default() }, told);
                }
            }
            Record::Staff(staff) => {
                if let Some(met) = self.meet(Category::Staff, &staff.names, told, report) {
                    self.staff(staff, met, told, report);
                }
            }
            Record::Guest(guest) => {
                if let Some(met) = self.meet(Category::Guest, &guest.names, told, report) {
                    self.guest(guest, met, told);
                }
            }
            Record::Subject(subject) => {
                let fields = [Field::Text(&subject.code), Field::Text(&subject.label), told.op()];
                self.buffers.row(Table::Subject, &fields);
            }
            Record::Mef(mef) => {
                let stat11 = mef.stat11.as_deref().unwrap_or_default();
                let fields =
                    [Field::Text(&mef.code), Field::Text(&mef.label), Field::Text(stat11), told.op()];
                self.buffers.row(Table::Mef, &fields);
            }
            Record::Places(places) => self.places(places),
            Record::Link(Link { school, pupil, relation }) => self.link(school, pupil, relation, true),
            Record::ChildRef(ChildRef { school, guardian, search, class }) => {
                self.membership(school, guardian, ["guardian", "guardian", ""]);
                self.buffers.row(
                    Table::ChildRef,
                    &[
                        Field::Text(school),
                        Field::Text(guardian),
                        Field::Text(search),
                        Field::Text(&cut(class, DIVISION_NAME)),
                        told.file_no(),
                        told.line(),
                    ],
                );
            }
        }
    }

    /// Whether the person may be staged: `None` for somebody else under a key that is taken, whose classes would become those of
    /// the first, and for a second change of one delta, which cannot be told from the first.
    fn meet(
        &mut self,
        category: Category,
        names: &Names,
        told: Told<'_>,
        report: &mut Report,
    ) -> Option<Met> {
        if told.operation == Operation::Delete {
            return Some(Met::New);
        }
        match (self.seen.person(category, names), told.operation) {
            (Met::New, _) => Some(Met::New),
            (Met::Again, Operation::Add) => Some(Met::Again),
            (Met::Other, Operation::Add) => {
                report.warn("feed-key-of-two-people", told.place(), category.name());
                None
            }
            _ => {
                report.warn("feed-key-again", told.place(), category.name());
                None
            }
        }
    }

    fn school(&mut self, school: &School, told: Told<'_>, report: &mut Report) {
        let uai = school.uai.as_deref().filter(|uai| places::uai_is_formed(uai));
        if uai.is_none() && told.operation == Operation::Add {
            report.warn("aaf-school-without-uai", told.place(), &school.key);
            return;
        }
        let uai = uai.unwrap_or_default();
        self.buffers.row(
            Table::School,
            &[
                told.op(),
                Field::Number(told.present.into()),
                told.file_no(),
                told.line(),
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
                self.division(&school.key, kind, name, true);
            }
        }
    }

    /// A school that is only named: by its UAI, which is its key too.
    fn named(&mut self, uai: &str, told: Told<'_>) {
        self.buffers.row(
            Table::School,
            &[
                Field::Text("known"),
                Field::Number(present::NONE.into()),
                told.file_no(),
                told.line(),
                Field::Text(uai),
                Field::Text(uai),
                Field::Text(""),
                Field::Text("other"),
                Field::Text(places::zone_of_uai(uai).name()),
                Field::Text(places::holiday_zone_of_uai(uai)),
                Field::Text(""),
            ],
        );
    }

    fn division(&mut self, school: &str, kind: &str, name: &str, listed: bool) {
        let hash = self.hash.hash_one((school, kind, name, listed));
        if self.divisions.contains(&hash) {
            return;
        }
        if self.divisions.len() < DIVISIONS {
            self.divisions.insert(hash);
        }
        self.buffers.row(
            Table::Division,
            &[
                Field::Text(school),
                Field::Text(kind),
                Field::Text(&cut(name, DIVISION_NAME)),
                Field::Bool(listed),
            ],
        );
    }

    fn member(&mut self, school: &str, (kind, name): (&str, &str), key: &str, role: &str, subject: &str) {
        self.packs.member(school, (kind, &cut(name, DIVISION_NAME)), key, [role, subject]);
    }

    fn membership(&mut self, school: &str, key: &str, is: [&str; 3]) {
        self.packs.membership(school, key, is);
    }

    fn person(&mut self, kind: &str, names: &Names, more: &Details<'_>, told: Told<'_>) {
        let (last, first) = (cut(&names.last_name, NAME), cut(&names.first_name, NAME));
        // The database wants both names; some people have one.
        let first =
            if first.is_empty() && told.has(present::FIRST_NAME) { Cow::Borrowed("-") } else { first };
        let stem = login_stem(&names.first_name, &names.last_name);
        // A login has two characters at least.
        let stem = if stem.len() < 2 { "compte" } else { stem.as_str() };
        let mut search = String::with_capacity(last.len() + first.len() + 1);
        search.push_str(&last);
        search.push(' ');
        search.push_str(&first);
        self.buffers.row(
            Table::Person,
            &[
                told.op(),
                Field::Number(told.present.into()),
                told.file_no(),
                told.line(),
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
                Field::Text(stem),
                Field::Text(&fold(&search)),
                Field::List(more.sts_ids),
            ],
        );
    }

    fn pupil(&mut self, pupil: &Pupil, met: Met, told: Told<'_>, report: &mut Report) {
        let key = &pupil.names.key;
        // Two pupils of one INE: whose it is cannot be known, so the second has none.
        let ine = pupil.ine.as_deref().filter(|ine| {
            let free = met == Met::Again || self.seen.ine(ine);
            if !free {
                report.warn("feed-ine-twice", told.place(), "INE");
            }
            free
        });
        if met == Met::New {
            let more = Details {
                born_on: pupil.born_on.map(|day| day.to_string()),
                ine,
                siecle_id: pupil.siecle_id.as_deref(),
                mef: pupil.mef.as_deref().unwrap_or_default(),
                level: pupil.level.as_deref().unwrap_or_default(),
                ..Details::default()
            };
            self.person("pupil", &pupil.names, &more, told);
        }
        let places = pupil.classes.iter().chain(&pupil.groups).map(|place| place.school.as_str());
        let mut schools: Vec<&str> = pupil.school.as_deref().into_iter().chain(places).collect();
        schools.sort_unstable();
        schools.dedup();
        if schools.is_empty() && told.operation == Operation::Add {
            report.warn("aaf-pupil-without-school", told.place(), "ENTPersonStructRattach");
        }
        self.in_divisions(key, &pupil.classes, &pupil.groups);
        for school in &schools {
            self.membership(school, key, ["pupil", "pupil", ""]);
        }
        // A patch of the relations alone does not say the schools: they are those where the pupil is.
        if told.operation == Operation::Modify {
            schools = vec![""];
        }
        for school in schools {
            for relation in &pupil.relations {
                self.link(school, key, relation, told.operation == Operation::Add);
            }
        }
    }

    fn in_divisions(
        &mut self,
        key: &str,
        classes: &[crate::record::InSchool],
        groups: &[crate::record::InSchool],
    ) {
        for (kind, places) in [("class", classes), ("group", groups)] {
            for place in places {
                self.division(&place.school, kind, &place.name, false);
                self.member(&place.school, (kind, &place.name), key, "pupil", "");
            }
        }
    }

    fn places(&mut self, places: &Places) {
        self.in_divisions(&places.pupil, &places.classes, &places.groups);
    }

    fn link(&mut self, school: &str, pupil: &str, relation: &Relation, member: bool) {
        self.packs.link(
            school,
            &StagedLink {
                pupil_key: pupil.to_owned(),
                guardian_key: relation.person.clone(),
                kind: relation.link.into(),
                legal: relation.legal.min(2).into(),
                contact_order: relation.contact.into(),
                financial: relation.financial == 1,
            },
        );
        if member {
            // Whom nothing but a telephone number links to the child gets no account for it.
            let role = if relation.legal == 0 { "contact" } else { "guardian" };
            self.membership(school, &relation.person, ["guardian", role, ""]);
        }
    }

    fn guest(&mut self, guest: &Guest, met: Met, told: Told<'_>) {
        let key = &guest.names.key;
        if met == Met::New {
            self.person("guest", &guest.names, &Details::default(), told);
        }
        self.membership(&guest.school, key, ["guest", "guest", ""]);
        for place in &guest.classes {
            self.member(&place.school, ("class", &place.name), key, "guest", "");
        }
    }

    fn staff(&mut self, staff: &Staff, met: Met, told: Told<'_>, report: &mut Report) {
        let key = &staff.names.key;
        if met == Met::New {
            self.person(
                "staff",
                &staff.names,
                &Details { sts_ids: &staff.sts_ids, ..Details::default() },
                told,
            );
        }
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
        let schools = named.len() + unnamed.len();
        if schools > MANY_SCHOOLS {
            report.warn("feed-many-schools", told.place(), &schools.to_string());
        }
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

fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    // A text of so many bytes has no more letters.
    if text.len() <= longest { Cow::Borrowed(text) } else { Cow::Owned(text.chars().take(longest).collect()) }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;

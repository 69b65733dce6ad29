//! From rows to people: who each row is about, and whose children are whose.

mod keys;
mod row;
mod staff;

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use preau_kernel::fold;

use self::keys::{hashed, small_hash};
use self::row::{Child, Row, email, header};
use self::staff::{guest, staff};
use super::columns::{Columns, Field};
use super::table::Table;
use super::{How, Profile};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::places;
use crate::record::{ChildRef, Item, Link, Names, Operation, Pupil, Record, Relation, Relative, present};
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
        if self.schools.insert(row.school.clone()) {
            items.push(row.item(present::NONE, Record::Named(row.school.clone())));
        }
        match profile {
            Profile::Pupil => self.pupil(&row, items, report),
            Profile::Guardian => self.guardian(&row, items, report),
            Profile::Teacher | Profile::Staff => {
                let staff = staff(&row, profile, report);
                items.push(row.item(row.present(), Record::Staff(staff)));
            }
            Profile::Guest => items.push(row.item(row.present(), Record::Guest(guest(&row, report)))),
            Profile::ByRow | Profile::Unknown => {}
        }
    }

    fn pupil<R: Read>(&mut self, row: &Row<'_, R>, items: &mut Vec<Item>, report: &mut Report) {
        let born_on = row.day(report);
        let classes = row.in_school(Field::Class);
        let class = classes.first().map(|class| class.name.as_str()).unwrap_or_default();
        let day = born_on.map(|day| day.to_string()).unwrap_or_default();
        let (last, first) = (row.last_name(), row.one(Field::FirstName));
        let key = row.key("pupil", &[last, first, &day, class], report);
        let class_hash = small_hash(&[class]);
        for name in BTreeSet::from([fold(last), fold(row.one(Field::LastName))]) {
            let called = self.pupils.entry(small_hash(&[&row.school, &name, first])).or_default();
            if !name.is_empty() && !called.iter().any(|(_, known)| **known == *key) {
                called.push((class_hash, key.as_str().into()));
            }
        }
        let pupil = Pupil {
            names: row.names(key.clone()),
            ine: row.text(Field::Ine),
            siecle_id: row.text(Field::SiecleId),
            born_on,
            school: Some(row.school.clone()),
            classes,
            groups: row.in_school(Field::Group),
            relations: Vec::new(),
            mef: None,
            level: row.text(Field::Level),
        };
        items.push(row.item(row.present(), Record::Pupil(pupil)));
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
            items.push(row.item(bits, Record::Relative(Relative { names, mobile: None })));
            items.push(row.item(present::ALL, link(&row.school, &key, &guardian)));
        }
    }

    fn guardian<R: Read>(&mut self, row: &Row<'_, R>, items: &mut Vec<Item>, report: &mut Report) {
        let children = row.children();
        // Two parents of one name are told apart by their children.
        let first_child = children.iter().map(|child| {
            let name = child.names.last().map(|name| fold(name)).unwrap_or_default();
            (name, fold(&child.first_name), child.id.clone())
        });
        let (child_last, child_first, child_id) = first_child.min().unwrap_or_default();
        let parts = [row.last_name(), row.one(Field::FirstName), &child_last, &child_first, &child_id];
        let key = row.key("guardian", &parts, report);
        if children.is_empty() {
            report.warn("csv-parent-without-child", row.table.place(), "");
        }
        let relative = Relative { names: row.names(key.clone()), mobile: row.text(Field::Mobile) };
        items.push(row.item(row.present(), Record::Relative(relative)));
        for child in children {
            if !child.id.is_empty() {
                if let Some(pupil) = row.id(Field::ChildId, &child.id, report) {
                    items.push(row.item(present::ALL, link(&row.school, &pupil, &key)));
                }
                continue;
            }
            match self.find(&row.school, &child) {
                Found::One(pupil) => items.push(row.item(present::ALL, link(&row.school, &pupil, &key))),
                // To guess would show a child's day to somebody else's parents.
                Found::Several => report.warn("csv-child-ambiguous", row.table.place(), ""),
                Found::None => self.waiting.push((row.school.clone(), key.clone(), child, row.table.line())),
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

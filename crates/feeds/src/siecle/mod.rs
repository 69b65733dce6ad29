//! SIECLE's generic exports: the pupils of a school (`BEE_ELEVES`), and the persons in charge of them (`BEE_RESPONSABLES`).
//!
//! Streamed: a pupil's classes stand in another section than the pupil, so they leave as a record of their own. Nothing is
//! kept but who has left the school.

use std::collections::HashSet;
use std::io::Read;

use chrono::NaiveDate;

use crate::aaf::composite::{date, key};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::places;
use crate::record::{
    InSchool, Item, Link, Names, Operation, Places, Pupil, Record, Relation, Relative, present,
};
use crate::report::{FileFacts, Report};
use crate::xml::{Node, Xml};

/// Elements that are records of their own.
const RECORDS: [&str; 5] = ["PARAMETRES", "ELEVE", "STRUCTURES_ELEVE", "PERSONNE", "RESPONSABLE_ELEVE"];

/// One export being read.
pub(crate) struct Export<'a, R> {
    xml: Xml<R>,
    limits: &'a Limits,
    /// UAI that whoever sends the file says, then what the file says.
    school: Option<String>,
    said: Option<String>,
    named: bool,
    exported_on: Option<NaiveDate>,
    left: HashSet<String>,
    facts: FileFacts,
}

/// An element with the values below it, in their order.
struct Element {
    name: &'static str,
    id: String,
    values: Vec<(String, String)>,
    line: u64,
}

impl Element {
    /// The first value of this name that is not blank.
    fn one(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn flag(&self, name: &str) -> bool {
        self.one(name).is_some_and(|value| matches!(value, "1" | "O" | "true"))
    }
}

impl<'a, R: Read> Export<'a, R> {
    /// Starts reading the file. `school` is the UAI that whoever sends it says it is about.
    pub(crate) fn new(
        source: R,
        file: &str,
        school: Option<&str>,
        limits: &'a Limits,
    ) -> Result<Self, Fault> {
        let xml = Xml::new(source, file, limits)?;
        let facts = FileFacts { name: file.to_owned(), ..FileFacts::default() };
        Ok(Self {
            xml,
            limits,
            school: None,
            said: school.map(str::to_owned),
            named: false,
            exported_on: None,
            left: HashSet::new(),
            facts,
        })
    }

    /// Reads it to its end.
    ///
    /// # Errors
    /// As [`Xml::step`]; [`Code::WrongRoot`], [`Code::OtherSchool`], [`Code::NoSchool`]; whatever `take` answers.
    pub(crate) fn read<E: From<Fault>>(
        mut self,
        report: &mut Report,
        take: &mut dyn FnMut(Item, &mut Report) -> Result<(), E>,
    ) -> Result<FileFacts, E> {
        let mut items = Vec::new();
        loop {
            match self.xml.step()? {
                Node::Open if self.xml.depth() == 1 => {
                    if !matches!(self.xml.name.as_str(), "BEE_ELEVES" | "BEE_RESPONSABLES") {
                        let found: String = self.xml.name.chars().take(40).collect();
                        let what = format!("the root is {found}, not BEE_ELEVES or BEE_RESPONSABLES");
                        return Err(self.xml.fault(Code::WrongRoot, what).into());
                    }
                }
                Node::Open => {
                    let known = RECORDS.into_iter().find(|name| *name == self.xml.name);
                    let Some(name) = known else { continue };
                    let element = self.element(name)?;
                    self.item(&element, &mut items, report)?;
                    for item in items.drain(..) {
                        take(item, report)?;
                    }
                }
                Node::Text => self.xml.text.clear(),
                Node::Close | Node::Comment => {}
                Node::End => break,
            }
        }
        self.xml.tell(report);
        self.xml.encoding().clone_into(&mut self.facts.encoding);
        Ok(self.facts)
    }

    /// The element just opened, to its end.
    fn element(&mut self, name: &'static str) -> Result<Element, Fault> {
        let line = self.xml.line();
        let id = ["ELEVE_ID", "PERSONNE_ID"].into_iter().find_map(|name| self.xml.attribute(name));
        let id = id.unwrap_or_default().trim().to_owned();
        let mut element = Element { name, id, values: Vec::new(), line };
        let outside = self.xml.depth() - 1;
        let mut size = 0;
        self.xml.text.clear();
        loop {
            match self.xml.step()? {
                Node::Open => self.xml.text.clear(),
                Node::Text | Node::Comment => {}
                Node::Close if self.xml.depth() == outside => return Ok(element),
                Node::Close => {
                    let value = self.xml.text.trim();
                    size += value.len() + self.xml.name.len();
                    if size > self.limits.record_bytes {
                        return Err(self
                            .xml
                            .fault(Code::RecordTooLarge, "a record larger than any real one"));
                    }
                    if !value.is_empty() {
                        if element.values.len() >= self.limits.values {
                            return Err(self
                                .xml
                                .fault(Code::TooManyValues, "more values than any real record has"));
                        }
                        element.values.push((self.xml.name.clone(), value.to_owned()));
                    }
                    self.xml.text.clear();
                }
                Node::End => return Err(self.xml.fault(Code::Truncated, "the file ends inside a record")),
            }
        }
    }

    /// The school the file is about, once something of it has to be said.
    fn school(&mut self, items: &mut Vec<Item>, report: &mut Report) -> Result<String, Fault> {
        let school = match (&self.school, &self.said) {
            (Some(own), Some(said)) if places::uai_is_formed(own) && own != said => {
                return Err(self.xml.fault(Code::OtherSchool, "the file is about another school"));
            }
            (Some(own), _) if places::uai_is_formed(own) => own.clone(),
            (Some(_), Some(said)) => {
                if !self.named {
                    report.warn("siecle-bad-school", self.xml.place(), "UAJ");
                }
                said.clone()
            }
            (None, Some(said)) => said.clone(),
            (_, None) => {
                return Err(self.xml.fault(Code::NoSchool, "nothing says which school the file is about"));
            }
        };
        if !self.named {
            self.named = true;
            items.push(Item {
                operation: Operation::Add,
                present: present::NONE,
                line: self.xml.line(),
                record: Record::Named(school.clone()),
            });
        }
        Ok(school)
    }

    fn item(&mut self, element: &Element, items: &mut Vec<Item>, report: &mut Report) -> Result<(), Fault> {
        if element.name == "PARAMETRES" {
            self.school = element.one("UAJ").map(str::to_owned);
            self.exported_on = element.one("DATE_EXPORT").and_then(date);
            for name in ["UAJ", "ANNEE_SCOLAIRE", "DATE_EXPORT", "HORODATAGE"] {
                if let Some(value) = element.one(name) {
                    self.facts.header.insert(name.to_owned(), value.chars().take(80).collect());
                }
            }
            return Ok(());
        }
        let school = self.school(items, report)?;
        self.facts.records += 1;
        if self.facts.records > self.limits.records {
            return Err(self.xml.fault(Code::TooMany, "more records than one file may hold"));
        }
        let place = Place::line(&self.xml.file, element.line);
        let item =
            |bits, record| Item { operation: Operation::Add, present: bits, line: element.line, record };
        match element.name {
            "ELEVE" => {
                report.count("pupil", 1);
                if element.one("DATE_SORTIE").and_then(date).is_some_and(|day| self.is_over(day)) {
                    report.count("pupil_left", 1);
                    self.left.insert(element.id.clone());
                    return Ok(());
                }
                if let Some(pupil) = pupil(element, &school, &place, report) {
                    let bits = present::ALL
                        & !(present::EMAIL | present::LEVEL | present::RELATIONS | present::MOBILE);
                    items.push(item(bits, Record::Pupil(pupil)));
                }
            }
            "STRUCTURES_ELEVE" if !self.left.contains(&element.id) && !element.id.is_empty() => {
                items.push(item(present::ALL, Record::Places(structures(element, &school, &place, report))));
            }
            "PERSONNE" => {
                report.count("relative", 1);
                if let Some(relative) = relative(element, &school, &place, report) {
                    let bits = present::LAST_NAME
                        | present::FIRST_NAME
                        | present::TITLE
                        | present::EMAIL
                        | present::MOBILE;
                    items.push(item(bits, Record::Relative(relative)));
                }
            }
            "RESPONSABLE_ELEVE" => match (element.one("ELEVE_ID"), element.one("PERSONNE_ID")) {
                (Some(pupil), Some(person)) => {
                    let pupil = pupil_key(&school, pupil);
                    let relation = relation(element, person_key(&school, person));
                    items.push(item(present::ALL, Record::Link(Link { school, pupil, relation })));
                }
                _ => report.warn("siecle-missing-key", place, element.name),
            },
            _ => {}
        }
        Ok(())
    }

    /// Whether a pupil who leaves on this day has left when the file was written.
    fn is_over(&self, day: NaiveDate) -> bool {
        self.exported_on.is_none_or(|exported| day <= exported)
    }
}

fn pupil_key(school: &str, id: &str) -> String {
    format!("{school}:E{id}")
}

fn person_key(school: &str, id: &str) -> String {
    format!("{school}:P{id}")
}

fn names(element: &Element, key: String, place: &Place, report: &mut Report) -> Option<Names> {
    let (Some(last), Some(first)) =
        (element.one("NOM_USAGE").or_else(|| element.one("NOM_DE_FAMILLE")), element.one("PRENOM"))
    else {
        report.warn("siecle-missing-name", place.clone(), element.name);
        return None;
    };
    Some(Names {
        key,
        last_name: last.to_owned(),
        first_name: first.to_owned(),
        title: element.one("LC_CIVILITE").map(str::to_owned),
        email: element.one("MEL").filter(|mail| mail.contains('@')).map(str::to_owned),
    })
}

fn pupil(element: &Element, school: &str, place: &Place, report: &mut Report) -> Option<Pupil> {
    if element.id.is_empty() {
        report.warn("siecle-missing-key", place.clone(), element.name);
        return None;
    }
    let mut names = names(element, pupil_key(school, &element.id), place, report)?;
    names.title = match element.one("CODE_SEXE") {
        Some("1") => Some("M.".to_owned()),
        Some("2") => Some("Mme".to_owned()),
        _ => None,
    };
    let born = element.one("DATE_NAISS");
    let born_on = born.and_then(date);
    if born.is_some() && born_on.is_none() {
        report.warn("siecle-bad-date", place.clone(), "DATE_NAISS");
    }
    Some(Pupil {
        names,
        ine: element.one("INE_RNIE").or_else(|| element.one("ID_NATIONAL")).map(str::to_owned),
        siecle_id: Some(element.id.clone()),
        born_on,
        school: Some(school.to_owned()),
        mef: element.one("CODE_MEF").map(str::to_owned),
        ..Pupil::default()
    })
}

/// Divisions (D) and groups (G), which come as pairs of values.
fn structures(element: &Element, school: &str, place: &Place, report: &mut Report) -> Places {
    let mut places = Places { pupil: pupil_key(school, &element.id), ..Places::default() };
    let mut code = None;
    for (name, value) in &element.values {
        match (name.as_str(), value.as_str(), &code) {
            ("CODE_STRUCTURE", value, _) => code = key(value),
            ("TYPE_STRUCTURE", kind, Some(name)) => {
                let found = InSchool { school: school.to_owned(), name: name.clone() };
                match kind {
                    "D" => places.classes.push(found),
                    "G" => places.groups.push(found),
                    _ => report.warn("siecle-unknown-structure", place.clone(), "TYPE_STRUCTURE"),
                }
                code = None;
            }
            _ => {}
        }
    }
    places
}

fn relative(element: &Element, school: &str, place: &Place, report: &mut Report) -> Option<Relative> {
    if element.id.is_empty() {
        report.warn("siecle-missing-key", place.clone(), element.name);
        return None;
    }
    let names = names(element, person_key(school, &element.id), place, report)?;
    Some(Relative { names, mobile: element.one("TEL_PORTABLE").map(str::to_owned) })
}

/// The level of responsibility is 1 for a legal guardian, 2 for a person in charge; older exports number the two legal
/// guardians and give contacts a zero.
fn relation(element: &Element, person: String) -> Relation {
    let legal = match (element.one("NIVEAU_RESPONSABILITE"), element.one("RESP_LEGAL")) {
        (Some("1"), _) | (None, Some("1" | "2")) => 1,
        (Some("2"), _) => 2,
        _ => 0,
    };
    Relation {
        person,
        link: element.one("CODE_PARENTE").and_then(|code| code.parse().ok()).unwrap_or(0),
        financial: u8::from(element.flag("PAIE_FRAIS_SCOLAIRES") || element.flag("RESP_FINANCIER")),
        legal,
        contact: u8::from(element.flag("A_CONTACTER_EN_PRIORITE")),
        payment: 0,
    }
}

#[cfg(test)]
#[path = "siecle_tests.rs"]
mod tests;

//! From attributes to typed records. What does not parse is counted with its place, and left out.

use super::composite;
use super::known::Attr;
use super::reader::Raw;
use crate::places;
use crate::record::{
    Category, InSchool, Item, Mef, Names, Operation, Pupil, Record, Relation, Relative, School, Staff,
    Subject, present,
};
use crate::report::Report;

/// The typed record, or `None` when it lacks what nothing can replace: its kind, its key; of a whole one its name.
pub(crate) fn item(raw: &Raw, report: &mut Report) -> Option<Item> {
    let Some(category) = raw.category else {
        report.warn("aaf-unknown-category", raw.place(), "");
        return None;
    };
    report.count(category.name(), 1);
    let record = match category {
        Category::School => Record::School(school(raw, report)?),
        Category::Pupil => Record::Pupil(pupil(raw, report)?),
        Category::Relative => {
            let mobile = raw.one(Attr::Mobile).or_else(|| raw.one(Attr::MobileSms)).map(str::to_owned);
            Record::Relative(Relative { names: names(raw, report)?, mobile })
        }
        // No file of an academy says who a school's guests are.
        Category::Staff | Category::Guest => Record::Staff(staff(raw, report)?),
        Category::Subject => {
            let code = key(raw, Attr::SubjectKey, "ENTMatJointure", report)?;
            Record::Subject(Subject { label: label(raw, Attr::SubjectLabel, &code), code })
        }
        Category::Mef => {
            let code = key(raw, Attr::MefKey, "ENTMefJointure", report)?;
            let stat11 = raw.one(Attr::MefStat11).map(str::to_owned);
            Record::Mef(Mef { label: label(raw, Attr::MefLabel, &code), code, stat11 })
        }
    };
    let present = match raw.operation {
        Operation::Add => present::ALL,
        Operation::Modify => patched(raw, category),
        Operation::Delete => present::NONE,
    };
    Some(Item { operation: raw.operation, present, line: raw.line, record })
}

/// What a patch speaks about.
fn patched(raw: &Raw, category: Category) -> i32 {
    let person = [
        (Attr::LastName, present::LAST_NAME),
        (Attr::FirstName, present::FIRST_NAME),
        (Attr::Title, present::TITLE),
        (Attr::BirthDate, present::BIRTH),
        (Attr::Ine, present::INE),
        (Attr::SiecleId, present::SIECLE_ID),
        (Attr::Email, present::EMAIL),
        (Attr::Mobile, present::MOBILE),
        (Attr::MobileSms, present::MOBILE),
        (Attr::Mef, present::MEF),
        (Attr::Level, present::LEVEL),
        (Attr::StsId, present::STS_IDS),
        (Attr::StructureOf, present::SCHOOL),
        (Attr::Classes, present::CLASSES),
        (Attr::Groups, present::GROUPS),
        (Attr::Relations, present::RELATIONS),
        (Attr::Functions, present::FUNCTIONS),
        (Attr::TaughtClasses, present::TAUGHT_CLASSES),
        (Attr::TaughtGroups, present::TAUGHT_GROUPS),
        (Attr::HeadOf, present::HEAD_OF),
        (Attr::Teacher, present::TEACHER),
        (Attr::InFrontOfPupils, present::TEACHER),
    ];
    let school = [
        (Attr::Name, present::NAME),
        (Attr::KindCode, present::KIND),
        (Attr::KindWords, present::KIND),
        (Attr::City, present::CITY),
        (Attr::Uai, present::UAI),
        (Attr::OtherUai, present::UAI),
        (Attr::SchoolClasses, present::CLASSES),
        (Attr::SchoolGroups, present::GROUPS),
    ];
    let bits = |table: &[(Attr, i32)]| {
        table.iter().filter(|(attr, _)| raw.has(*attr)).fold(present::NONE, |bits, (_, bit)| bits | bit)
    };
    match category {
        Category::School => bits(&school),
        Category::Subject | Category::Mef => present::ALL,
        Category::Pupil | Category::Relative | Category::Staff | Category::Guest => {
            let mut bits = bits(&person);
            let one_degree = |attr, pupil, staff| match (raw.has(attr), category) {
                (true, Category::Pupil) => pupil,
                (true, Category::Staff) => staff,
                _ => present::NONE,
            };
            bits |= one_degree(Attr::OneDegreeClasses, present::CLASSES, present::TAUGHT_CLASSES);
            bits |= one_degree(Attr::OneDegreeGroups, present::GROUPS, present::TAUGHT_GROUPS);
            bits |= one_degree(Attr::ParentalAuthority, present::RELATIONS, present::NONE);
            bits
        }
    }
}

fn key(raw: &Raw, attr: Attr, name: &str, report: &mut Report) -> Option<String> {
    // A patch and a deletion name their object in the identifier; so does an addition that lacks the attribute.
    let key = match raw.operation {
        Operation::Add => raw.one(attr).unwrap_or(&raw.id),
        Operation::Modify | Operation::Delete if raw.id.is_empty() => raw.one(attr).unwrap_or_default(),
        Operation::Modify | Operation::Delete => &raw.id,
    };
    if key.is_empty() {
        report.warn("aaf-missing-key", raw.place(), name);
        return None;
    }
    Some(key.to_owned())
}

fn label(raw: &Raw, attr: Attr, code: &str) -> String {
    raw.one(attr).unwrap_or(code).to_owned()
}

/// Values of an attribute through a reader of composites; those of another form are counted.
fn parsed<T>(
    raw: &Raw,
    attr: Attr,
    name: &str,
    report: &mut Report,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let mut read = Vec::new();
    for value in raw.all(attr) {
        match parse(value) {
            Some(value) => read.push(value),
            None => report.warn("aaf-bad-composite", raw.place(), name),
        }
    }
    read
}

fn names(raw: &Raw, report: &mut Report) -> Option<Names> {
    let key = key(raw, Attr::Key, "ENTPersonJointure", report)?;
    let last_name = raw.one(Attr::LastName).or_else(|| raw.one(Attr::BirthName));
    if last_name.is_none() && (raw.operation == Operation::Add || raw.has(Attr::LastName)) {
        report.warn("aaf-missing-name", raw.place(), "sn");
        return None;
    }
    Some(Names {
        key,
        last_name: last_name.unwrap_or_default().to_owned(),
        first_name: raw.one(Attr::FirstName).unwrap_or_default().to_owned(),
        title: raw.one(Attr::Title).map(str::to_owned),
        email: raw.one(Attr::Email).filter(|mail| mail.contains('@')).map(str::to_owned),
    })
}

fn school(raw: &Raw, report: &mut Report) -> Option<School> {
    let key = key(raw, Attr::SchoolKey, "ENTStructureJointure", report)?;
    let uai = raw.one(Attr::Uai).or_else(|| raw.one(Attr::OtherUai)).map(str::to_owned);
    match &uai {
        Some(uai) if places::uai_is_sound(uai) => {}
        Some(uai) => report.warn("aaf-uai-check-letter", raw.place(), uai),
        None if raw.operation == Operation::Add => report.warn("aaf-uai-missing", raw.place(), &key),
        None => {}
    }
    let usual = raw.one(Attr::Name).unwrap_or(&key);
    let parts: Vec<&str> = usual.split('$').map(str::trim).filter(|part| !part.is_empty()).collect();
    let name = match parts.as_slice() {
        [kind, name, _city, ..] => format!("{kind} {name}"),
        _ => parts.join(" "),
    };
    let city = raw.one(Attr::City).or_else(|| parts.get(2).copied()).map(str::to_owned);
    // Inside a school's own record the names stand alone or behind its key; a description may follow.
    let bare = |value: &str| {
        let mut parts = value.split('$').map(str::trim).filter(|part| *part != key && !part.is_empty());
        parts.next().map(str::to_owned)
    };
    Some(School {
        uai,
        name: if name.is_empty() { key.clone() } else { name },
        kind: raw.one(Attr::KindWords).map(str::to_owned),
        kind_code: raw.one(Attr::KindCode).map(str::to_owned),
        city,
        academy: raw.one(Attr::Academy).map(str::to_owned),
        classes: raw.all(Attr::SchoolClasses).filter_map(bare).collect(),
        groups: raw.all(Attr::SchoolGroups).filter_map(bare).collect(),
        key,
    })
}

fn pupil(raw: &Raw, report: &mut Report) -> Option<Pupil> {
    let names = names(raw, report)?;
    let born_on = raw.one(Attr::BirthDate).and_then(|value| {
        let date = composite::date(value);
        if date.is_none() {
            report.warn("aaf-bad-date", raw.place(), "ENTPersonDateNaissance");
        }
        date
    });
    let mut relations = parsed(raw, Attr::Relations, "ENTElevePersRelEleve", report, composite::relation);
    // Where the second degree says who may do what in six numbers, the first degree names who holds parental authority, and
    // so did the second degree once.
    if !raw.has(Attr::Relations) {
        relations = raw
            .all(Attr::ParentalAuthority)
            .filter_map(|value| value.split('$').next().and_then(composite::key))
            .map(|person| Relation { person, link: 0, financial: 0, legal: 1, contact: 0, payment: 0 })
            .collect();
    }
    let both = |second, name, first, first_name, report: &mut Report| -> Vec<InSchool> {
        let mut places = parsed(raw, second, name, report, composite::in_school);
        places.extend(parsed(raw, first, first_name, report, composite::in_primary_school));
        places
    };
    Some(Pupil {
        names,
        ine: raw.one(Attr::Ine).map(str::to_owned),
        siecle_id: raw.one(Attr::SiecleId).map(str::to_owned),
        born_on,
        school: raw.one(Attr::StructureOf).map(str::to_owned),
        classes: both(Attr::Classes, "ENTEleveClasses", Attr::OneDegreeClasses, "ENTPersonClasses", report),
        groups: both(Attr::Groups, "ENTEleveGroupes", Attr::OneDegreeGroups, "ENTPersonGroupes", report),
        relations,
        mef: raw.one(Attr::Mef).map(str::to_owned),
        level: raw.one(Attr::Level).map(str::to_owned),
    })
}

fn staff(raw: &Raw, report: &mut Report) -> Option<Staff> {
    let functions = parsed(raw, Attr::Functions, "ENTPersonFonctions", report, composite::function);
    let flag = |attr| raw.one(attr).and_then(composite::flag);
    let teaches = |code: &Option<String>| matches!(code.as_deref(), Some("ENS" | "DOC"));
    let teacher = flag(Attr::Teacher).or_else(|| flag(Attr::InFrontOfPupils)).unwrap_or_else(|| {
        // A patch that only says what somebody teaches speaks of a teacher.
        let patch = raw.operation == Operation::Modify && !raw.has(Attr::Functions);
        let taught = || raw.one(Attr::TaughtClasses).or_else(|| raw.one(Attr::TaughtGroups)).is_some();
        functions.iter().any(|function| teaches(&function.code)) || patch && taught()
    });
    let mut classes =
        parsed(raw, Attr::TaughtClasses, "ENTAuxEnsClassesMatieres", report, composite::in_class);
    let mut groups = parsed(raw, Attr::TaughtGroups, "ENTAuxEnsGroupesMatieres", report, composite::in_class);
    let primary = |value: &str| composite::in_primary_school(value).map(InSchool::taught);
    classes.extend(parsed(raw, Attr::OneDegreeClasses, "ENTPersonClasses", report, primary));
    groups.extend(parsed(raw, Attr::OneDegreeGroups, "ENTPersonGroupes", report, primary));
    Some(Staff {
        names: names(raw, report)?,
        teacher,
        school: raw.one(Attr::StructureOf).map(str::to_owned),
        functions,
        classes,
        groups,
        head_of: parsed(raw, Attr::HeadOf, "ENTAuxEnsClassesPrincipal", report, composite::in_school),
        sts_ids: raw.all(Attr::StsId).filter_map(sts_id).collect(),
    })
}

/// The identifier alone, or behind a structure key.
fn sts_id(value: &str) -> Option<String> {
    value.rsplit('$').find_map(composite::key)
}

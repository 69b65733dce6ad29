//! From attributes to typed records. What does not parse is counted with its place, and left out.

use super::composite;
use super::reader::Raw;
use super::record::{Category, Mef, Names, Operation, Pupil, Record, Relative, School, Staff, Subject};
use crate::places;
use crate::report::Report;

/// The typed record, or `None` when it lacks what nothing can replace: its kind, its key, its name.
pub(crate) fn record(raw: &Raw, report: &mut Report) -> Option<Record> {
    let Some(category) = raw.category else {
        report.warn("aaf-unknown-category", raw.place.clone(), "");
        return None;
    };
    report.count(category.name(), 1);
    if raw.operation != Operation::Add {
        report.warn("aaf-delta-not-merged", raw.place.clone(), category.name());
        return Some(Record::Delta { operation: raw.operation, category, place: raw.place.clone() });
    }
    match category {
        Category::School => school(raw, report).map(Record::School),
        Category::Pupil => pupil(raw, report).map(Record::Pupil),
        Category::Relative => {
            let mobile = raw.one("mobile").or_else(|| raw.one("ENTPersonMobileSMS")).map(str::to_owned);
            Some(Record::Relative(Relative { names: names(raw, report)?, mobile }))
        }
        Category::Staff => staff(raw, report).map(Record::Staff),
        Category::Subject => {
            let code = key(raw, "ENTMatJointure", report)?;
            Some(Record::Subject(Subject { label: label(raw, "ENTLibelleMatiere", &code), code }))
        }
        Category::Mef => {
            let code = key(raw, "ENTMefJointure", report)?;
            let stat11 = raw.one("ENTMEFSTAT11").map(str::to_owned);
            Some(Record::Mef(Mef { label: label(raw, "ENTLibelleMef", &code), code, stat11 }))
        }
    }
}

fn key(raw: &Raw, attribute: &'static str, report: &mut Report) -> Option<String> {
    let key = raw.one(attribute).unwrap_or(&raw.id);
    if key.is_empty() {
        report.warn("aaf-missing-key", raw.place.clone(), attribute);
        return None;
    }
    Some(key.to_owned())
}

fn label(raw: &Raw, attribute: &str, code: &str) -> String {
    raw.one(attribute).unwrap_or(code).to_owned()
}

/// Values of an attribute through a reader of composites; those of another form are counted.
fn parsed<T>(raw: &Raw, name: &str, report: &mut Report, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let mut read = Vec::new();
    for value in raw.all(name) {
        match parse(value) {
            Some(value) => read.push(value),
            None => report.warn("aaf-bad-composite", raw.place.clone(), name),
        }
    }
    read
}

fn names(raw: &Raw, report: &mut Report) -> Option<Names> {
    let key = key(raw, "ENTPersonJointure", report)?;
    let last_name = raw.one("sn").or_else(|| raw.one("ENTPersonNomPatro"));
    let (Some(last_name), first_name) = (last_name, raw.one("givenName").unwrap_or_default()) else {
        report.warn("aaf-missing-name", raw.place.clone(), "sn");
        return None;
    };
    Some(Names {
        key,
        last_name: last_name.to_owned(),
        first_name: first_name.to_owned(),
        title: raw.one("personalTitle").map(str::to_owned),
        email: raw.one("mail").filter(|mail| mail.contains('@')).map(str::to_owned),
    })
}

fn school(raw: &Raw, report: &mut Report) -> Option<School> {
    let key = key(raw, "ENTStructureJointure", report)?;
    let uai = raw.one("ENTStructureUAI").or_else(|| raw.one("ENTEtablissementUAI")).map(str::to_owned);
    match &uai {
        Some(uai) if places::uai_is_sound(uai) => {}
        Some(uai) => report.warn("aaf-uai-check-letter", raw.place.clone(), uai),
        None => report.warn("aaf-uai-missing", raw.place.clone(), &key),
    }
    let usual = raw.one("ENTStructureNomCourant").unwrap_or(&key);
    let parts: Vec<&str> = usual.split('$').map(str::trim).filter(|part| !part.is_empty()).collect();
    let name = match parts.as_slice() {
        [kind, name, _city, ..] => format!("{kind} {name}"),
        _ => parts.join(" "),
    };
    let city = raw.one("l").or_else(|| parts.get(2).copied()).map(str::to_owned);
    // Inside a school's own record the names stand alone or behind its key; a description may follow.
    let bare = |value: &str| {
        let mut parts = value.split('$').map(str::trim).filter(|part| *part != key && !part.is_empty());
        parts.next().map(str::to_owned)
    };
    Some(School {
        uai,
        name: if name.is_empty() { key.clone() } else { name },
        kind: raw.one("ENTStructureTypeStruct").map(str::to_owned),
        kind_code: raw.one("ENTStructureCodeTypeStruct").map(str::to_owned),
        city,
        academy: raw.one("ENTServAcCodeAcademie").map(str::to_owned),
        classes: raw.all("ENTStructureClasses").iter().filter_map(|value| bare(value)).collect(),
        groups: raw.all("ENTStructureGroupes").iter().filter_map(|value| bare(value)).collect(),
        key,
    })
}

fn pupil(raw: &Raw, report: &mut Report) -> Option<Pupil> {
    let names = names(raw, report)?;
    let born_on = raw.one("ENTPersonDateNaissance").and_then(|value| {
        let date = composite::date(value);
        if date.is_none() {
            report.warn("aaf-bad-date", raw.place.clone(), "ENTPersonDateNaissance");
        }
        date
    });
    Some(Pupil {
        names,
        ine: raw.one("ENTEleveINE").map(str::to_owned),
        siecle_id: raw.one("ENTEleveStructRattachId").map(str::to_owned),
        born_on,
        school: raw.one("ENTPersonStructRattach").map(str::to_owned),
        classes: parsed(raw, "ENTEleveClasses", report, composite::in_school),
        groups: parsed(raw, "ENTEleveGroupes", report, composite::in_school),
        relations: parsed(raw, "ENTElevePersRelEleve", report, composite::relation),
        mef: raw.one("ENTEleveMEF").map(str::to_owned),
        level: raw.one("ENTEleveNivFormation").map(str::to_owned),
    })
}

fn staff(raw: &Raw, report: &mut Report) -> Option<Staff> {
    let functions = parsed(raw, "ENTPersonFonctions", report, composite::function);
    let flag = |name| raw.one(name).and_then(composite::flag);
    let teaches = |code: &Option<String>| matches!(code.as_deref(), Some("ENS" | "DOC"));
    let teacher = flag("ENTPersonCategorieEnseignant")
        .or_else(|| flag("PersEducNatPresenceDevantEleves"))
        .unwrap_or_else(|| functions.iter().any(|function| teaches(&function.code)));
    Some(Staff {
        names: names(raw, report)?,
        teacher,
        school: raw.one("ENTPersonStructRattach").map(str::to_owned),
        functions,
        classes: parsed(raw, "ENTAuxEnsClassesMatieres", report, composite::in_class),
        groups: parsed(raw, "ENTAuxEnsGroupesMatieres", report, composite::in_class),
        head_of: parsed(raw, "ENTAuxEnsClassesPrincipal", report, composite::in_school),
        sts_ids: raw.all("ENTPersonSTSId").iter().filter_map(|value| sts_id(value)).collect(),
    })
}

/// The identifier alone, or behind a structure key.
fn sts_id(value: &str) -> Option<String> {
    value.rsplit('$').find_map(composite::key)
}

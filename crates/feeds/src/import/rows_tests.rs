use super::*;
use crate::record::{Function, InSchool, Relative};

fn text(rows: &mut Rows, table: Table) -> String {
    rows.take(0).into_iter().find(|(known, _)| *known == table).map(|(_, text)| text).unwrap_or_default()
}

/// What was packed: school, what, and the rows with their fields.
fn packed(rows: &mut Rows) -> Vec<(String, &'static str, Vec<String>)> {
    let taken = rows.take_packs(0).into_iter();
    taken
        .map(|pack| {
            let lines = pack.content.split_terminator('\u{1e}').map(|row| row.replace('\u{1f}', "|"));
            (pack.school, pack.what.name(), lines.collect())
        })
        .collect()
}

fn add(rows: &mut Rows, record: Record) -> Report {
    let mut report = Report::default();
    let item = Item { operation: Operation::Add, present: present::ALL, line: 7, record };
    rows.add(&item, At { file: "f", file_no: 2 }, &mut report);
    report
}

fn names(key: &str) -> Names {
    Names { key: key.into(), last_name: "D\\O\te".into(), first_name: "Zoé".into(), ..Names::default() }
}

#[test]
fn a_contact_without_rights_gets_no_guardian_s_membership() {
    let relation = |person: &str, legal| Relation {
        person: person.into(),
        link: 90,
        financial: 0,
        legal,
        contact: 1,
        payment: 0,
    };
    let pupil = Pupil {
        names: names("1"),
        school: Some("10".into()),
        relations: vec![relation("2", 1), relation("3", 0)],
        ..Pupil::default()
    };
    let mut rows = Rows::default();
    add(&mut rows, Record::Pupil(pupil));
    let packs = packed(&mut rows);
    let (school, what, memberships) = &packs[0];
    assert_eq!((school.as_str(), *what), ("10", "membership"));
    assert_eq!(memberships, &["1|pupil|pupil|", "2|guardian|guardian|", "3|guardian|contact|"]);
}

#[test]
fn copy_text_is_escaped() {
    let mut rows = Rows::default();
    add(&mut rows, Record::Relative(Relative { names: names("1"), mobile: None }));
    let person = text(&mut rows, Table::Person);
    assert!(person.starts_with("add\t-1\t2\t7\tguardian\t1\tD\\\\O\\te\tZoé\t\t\\N"), "{person}");
    assert!(person.ends_with("\tzoe.d-o-e\td o e zoe\t{}\n"), "{person}");
}

#[test]
fn one_ine_for_two_pupils_and_one_key_for_two_people_are_told() {
    let pupil = |key: &str, last: &str, ine: &str| {
        let names =
            Names { key: key.into(), last_name: last.into(), first_name: "Zoé".into(), ..Names::default() };
        Record::Pupil(Pupil { names, ine: Some(ine.into()), school: Some("10".into()), ..Pupil::default() })
    };
    let mut rows = Rows::default();
    assert!(add(&mut rows, pupil("1", "A", "X")).warnings.is_empty());
    assert!(add(&mut rows, pupil("1", "A", "X")).warnings.is_empty(), "the same pupil in another part");
    assert_eq!(add(&mut rows, pupil("2", "B", "X")).warned("feed-ine-twice"), 1);
    assert_eq!(add(&mut rows, pupil("1", "C", "Y")).warned("feed-key-of-two-people"), 1);
    let people = text(&mut rows, Table::Person);
    let ines: Vec<&str> = people.lines().filter_map(|line| line.split('\t').nth(10)).collect();
    assert_eq!(ines, ["X", "\\N"], "{people}");
}

#[test]
fn a_patch_says_only_what_it_names_and_a_deletion_nothing() {
    let mut rows = Rows::default();
    let mut report = Report::default();
    let mut add = |operation, present, record| {
        rows.add(&Item { operation, present, line: 1, record }, At { file: "f", file_no: 0 }, &mut report);
    };
    let relation = Relation { person: "9".into(), link: 10, financial: 0, legal: 1, contact: 1, payment: 0 };
    let only = |key: &str| Names { key: key.into(), ..Names::default() };
    let patch = Pupil { names: only("1"), relations: vec![relation], ..Pupil::default() };
    add(Operation::Modify, present::RELATIONS, Record::Pupil(patch));
    add(Operation::Delete, present::NONE, Record::Staff(Staff { names: only("2"), ..Staff::default() }));
    let packs = packed(&mut rows);
    assert_eq!(
        packs,
        [(String::new(), "link", vec!["1|9|10|1|1|0".to_owned()])],
        "in every school of the pupil"
    );
    let tables = rows.take(0);
    let of = |table| tables.iter().find(|(known, _)| *known == table).map(|(_, text)| text.as_str());
    let people = of(Table::Person).unwrap();
    assert!(people.starts_with("modify\t16384\t0\t1\tpupil\t1\t\t\t"), "{people}");
    assert!(people.contains("\ndelete\t0\t0\t1\tstaff\t2\t"), "{people}");
    assert!(report.warnings.is_empty(), "{report:?}");
}

#[test]
fn a_teacher_of_twenty_five_schools_is_told() {
    let schools = (0..25).map(|number| Function {
        school: number.to_string(),
        code: Some("ENS".into()),
        ..Function::default()
    });
    let staff = Staff { names: names("1"), teacher: true, functions: schools.collect(), ..Staff::default() };
    let report = add(&mut Rows::default(), Record::Staff(staff));
    assert_eq!(report.warnings["feed-many-schools"].samples[0].about, "25");
    assert_eq!(report.warnings["feed-many-schools"].samples[0].place.line, Some(7));
}

#[test]
fn functions_and_classes_make_roles_school_by_school() {
    let function = |school: &str, code: &str| Function {
        school: school.into(),
        code: Some(code.into()),
        ..Function::default()
    };
    let staff = Staff {
        names: names("1"),
        teacher: true,
        functions: vec![function("10", "ENS"), function("10", "DIR")],
        head_of: vec![InSchool { school: "11".into(), name: "3A".into() }],
        ..Staff::default()
    };
    let mut rows = Rows::default();
    add(&mut rows, Record::Staff(staff));
    let packs = packed(&mut rows);
    let memberships = packs.iter().filter(|(_, what, _)| *what == "membership");
    let roles: Vec<&str> =
        memberships.flat_map(|(.., rows)| rows).filter_map(|row| row.split('|').nth(2)).collect();
    assert_eq!(roles, ["teacher", "school_admin", "staff", "teacher"]);
    assert_eq!(super::roles("EDU", true), ["staff"]);
    assert_eq!(super::roles("DOC", true), ["teacher"]);
}

#[test]
fn kinds_of_schools() {
    let of = |code: Option<&str>, words: &str| {
        kind(&School {
            kind_code: code.map(str::to_owned),
            kind: Some(words.to_owned()),
            ..School::default()
        })
    };
    assert_eq!(
        (of(Some("340"), ""), of(Some("302"), ""), of(Some("151"), "")),
        ("college", "lycee", "primary")
    );
    assert_eq!(
        (of(None, "LYCEE PROFESSIONNEL"), of(None, "ÉCOLE"), of(None, "CFA")),
        ("lycee", "primary", "other")
    );
}

use super::*;
use crate::aaf::{Function, InSchool, Relation};

fn text(rows: &mut Rows, table: Table) -> String {
    rows.take(0).into_iter().find(|(known, _)| *known == table).map(|(_, text)| text).unwrap_or_default()
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
    rows.add(&Record::Pupil(pupil), &Place::file("f"), &mut Report::default());
    let memberships = text(&mut rows, Table::Membership);
    assert_eq!(
        memberships,
        "10\t1\tpupil\tpupil\t\n10\t2\tguardian\tguardian\t\n10\t3\tguardian\tcontact\t\n"
    );
}

#[test]
fn copy_text_is_escaped() {
    let mut rows = Rows::default();
    rows.add(
        &Record::Relative(Relative { names: names("1"), mobile: None }),
        &Place::file("f"),
        &mut Report::default(),
    );
    let person = text(&mut rows, Table::Person);
    assert!(person.starts_with("guardian\t1\tD\\\\O\\te\tZoé\t\t\\N"), "{person}");
    assert!(person.ends_with("\tzoe.d-o-e\td o e zoe\t{}\n"), "{person}");
}

#[test]
fn functions_and_classes_make_roles_school_by_school() {
    let function = |school: &str, code: &str| Function {
        school: school.into(),
        code: Some(code.into()),
        label: None,
        position: None,
        position_label: None,
    };
    let staff = Staff {
        names: names("1"),
        teacher: true,
        functions: vec![function("10", "ENS"), function("10", "DIR")],
        head_of: vec![InSchool { school: "11".into(), name: "3A".into() }],
        ..Staff::default()
    };
    let mut rows = Rows::default();
    rows.add(&Record::Staff(staff), &Place::file("f"), &mut Report::default());
    let lines = text(&mut rows, Table::Membership);
    let roles: Vec<&str> = lines.lines().filter_map(|line| line.split('\t').nth(3)).collect();
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

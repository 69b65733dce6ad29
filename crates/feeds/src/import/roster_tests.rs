use super::*;

fn person(kind: &str, key: &str) -> Person {
    Person {
        kind: kind.into(),
        join_key: key.into(),
        last_name: "Durand".into(),
        first_name: "Lou".into(),
        title: String::new(),
        birth_on: None,
        ine: None,
        siecle_id: None,
        email: None,
        mobile: None,
        mef_code: String::new(),
        level: "3EME".into(),
        login_stem: "lou.durand".into(),
        search: "durand lou".into(),
        sts_ids: Vec::new(),
    }
}

fn membership(key: &str, kind: &str, role: &str, function: &str) -> StagedMembership {
    StagedMembership { join_key: key.into(), kind: kind.into(), role: role.into(), function: function.into() }
}

fn member(name: &str, key: &str, role: &str, subject: &str) -> StagedMember {
    StagedMember {
        kind: "class".into(),
        name: name.into(),
        join_key: key.into(),
        role: role.into(),
        subject_code: subject.into(),
    }
}

fn link(pupil: &str, guardian: &str) -> StagedLink {
    StagedLink {
        pupil_key: pupil.into(),
        guardian_key: guardian.into(),
        kind: 10,
        legal: 1,
        contact_order: 1,
        financial: true,
    }
}

fn ids(people: &[Person]) -> BTreeMap<String, Uuid> {
    people.iter().zip(1_u128..).map(|(person, id)| (person.join_key.clone(), Uuid::from_u128(id))).collect()
}

#[test]
fn references_to_outsiders_are_parked_not_fatal() {
    let people = vec![person("pupil", "1"), person("guardian", "2"), person("staff", "3")];
    let ids = ids(&people);
    let staging = Staging {
        people,
        memberships: vec![
            membership("1", "pupil", "pupil", ""),
            membership("9", "guardian", "guardian", ""),
            membership("2", "guardian", "contact", ""),
        ],
        divisions: vec![("class".into(), "3A".into())],
        members: vec![
            member("3A", "1", "pupil", ""),
            member("3Z", "3", "teacher", "020700"),
            member("3A", "8", "pupil", ""),
        ],
        links: vec![link("1", "2"), link("1", "9"), link("1", "3"), link("1", "2")],
    };
    let roster = roster(&staging, &ids);
    assert_eq!(roster.parked, Parked { people: 2, divisions: 1, links: 2, shared_keys: 0 });
    assert_eq!(roster.memberships.len(), 1, "a contact is no member");
    assert_eq!((roster.links.len(), roster.pupils.len()), (1, 1));
    assert_eq!(roster.divisions[0].level, "3EME");
}

#[test]
fn a_head_teacher_heads_with_or_without_a_subject() {
    let people = vec![person("staff", "1"), person("staff", "2")];
    let ids = ids(&people);
    let staging = Staging {
        people,
        divisions: vec![("class".into(), "3A".into())],
        members: vec![
            member("3A", "1", "teacher", "020700"),
            member("3A", "1", "head", ""),
            member("3A", "1", "teacher", ""),
            member("3A", "2", "head", ""),
        ],
        ..Staging::default()
    };
    let teachers: Vec<(String, bool)> = roster(&staging, &ids)
        .teachers
        .into_iter()
        .map(|teaching| (teaching.subject_code, teaching.head))
        .collect();
    assert_eq!(teachers, [("020700".to_owned(), true), (String::new(), true)]);
}

#[test]
fn two_functions_of_one_role_do_not_depend_on_their_order() {
    let people = vec![person("staff", "1")];
    let ids = ids(&people);
    let of = |functions: [&str; 2]| {
        let memberships =
            functions.iter().map(|function| membership("1", "staff", "staff", function)).collect();
        let staging = Staging { people: people.clone(), memberships, ..Staging::default() };
        roster(&staging, &ids).memberships
    };
    assert_eq!(of(["EDU", "ADF"]), of(["ADF", "EDU"]));
    assert_eq!(of(["", "EDU"]), of(["EDU", ""]));
}

#[test]
fn one_key_is_one_person() {
    let (people, shared) =
        one_each(vec![person("guardian", "1"), person("pupil", "1"), person("pupil", "1")]);
    assert_eq!((people.len(), people[0].kind.as_str(), shared), (1, "pupil", 1));
}

#[test]
fn a_halved_school_is_not_believed() {
    assert!(too_many_departures(400, 200));
    assert!(!too_many_departures(400, 100), "a level leaves each summer");
    assert!(!too_many_departures(19, 19), "small schools change whole");
}

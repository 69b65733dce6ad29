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
        op: "add".into(),
        present: -1,
        file_no: 0,
        line: 7,
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

fn ids(people: &[Person]) -> Directory {
    let known = |(person, id): (&Person, u128)| {
        (person.join_key.clone(), Known { id: Uuid::from_u128(id), kind: person.kind.clone() })
    };
    people.iter().zip(1_u128..).map(known).collect()
}

#[test]
fn a_guest_is_in_the_classes_that_there_are() {
    let people = vec![person("guest", "g"), person("staff", "t")];
    let staging = Staging {
        memberships: vec![membership("g", "guest", "guest", "")],
        divisions: vec![("class".to_owned(), "6e B".to_owned())],
        members: vec![
            member("6e B", "g", "guest", ""),
            member("6e C", "g", "guest", ""),
            member("6e B", "t", "guest", ""),
        ],
        people: people.clone(),
        ..Staging::default()
    };
    let roster = roster(&staging, &ids(&people));
    let guest = Uuid::from_u128(1);
    let place = Place { kind: "class".to_owned(), name: "6e B".to_owned(), person_id: guest };
    assert_eq!(roster.guests.iter().collect::<Vec<_>>(), [&place]);
    assert!(roster.pupils.is_empty() && roster.taught.is_empty(), "and has nothing of a pupil or teacher");
    assert_eq!(roster.memberships.iter().map(|it| it.role.as_str()).collect::<Vec<_>>(), ["guest"]);
    let origins: Vec<&str> = roster.parked.rows.iter().map(|row| row.origin().0).collect();
    assert_eq!(origins, ["guest", "guest"], "a class that is not there, and a key that means no guest");
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
        ..Staging::default()
    };
    let roster = roster(&staging, &ids);
    assert_eq!((roster.parked.people, roster.parked.divisions, roster.parked.links), (2, 1, 2));
    let kinds: Vec<&str> = roster.parked.rows.iter().map(Reference::kind).collect();
    assert_eq!(kinds, ["member", "member", "link", "link"], "a guardian's membership follows from the link");
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
    let teachers: Vec<(String, bool)> = teachings(&roster(&staging, &ids).taught)
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
    let (people, doubled) =
        one_each(vec![person("guardian", "1"), person("pupil", "1"), person("pupil", "1")]);
    let codes: Vec<&str> = doubled.iter().map(|doubled| doubled.code).collect();
    assert_eq!((people.len(), people[0].kind.as_str(), codes), (1, "pupil", vec!["aaf-key-of-two-kinds"]));
    let other = Person { last_name: "Martin".into(), line: 9, ..person("pupil", "1") };
    let (people, doubled) = one_each(vec![person("pupil", "1"), other]);
    assert_eq!((people.len(), people[0].last_name.as_str()), (1, "Durand"));
    assert_eq!(doubled, [Doubled { file_no: 0, line: 9, code: "feed-key-of-two-people" }]);
}

#[test]
fn who_is_ended_and_brought_back_stays() {
    let ended = Person { op: "delete".into(), ..person("pupil", "1") };
    for people in [vec![ended.clone(), person("pupil", "1")], vec![person("pupil", "1"), ended]] {
        let (people, doubled) = one_each(people);
        assert_eq!((people[0].op.as_str(), doubled.len()), ("add", 0));
    }
}

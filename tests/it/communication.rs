//! Who may write to whom, and therefore who finds whom.

use std::collections::BTreeSet;

use preau_directory::communication::{Occasion, may_write};
use preau_kernel::{Member, PersonId, Principal, Role, Token};
use preau_tests::{Client, Node, Persona, School, Stage, play};
use proptest::{prelude::*, strategy::ValueTree};
use serde_json::{Value, json};

use crate::administered::rules;

/// A collège of two classes, and two families.
struct College {
    school: School,
    people: Vec<(&'static str, Role, Persona)>,
}

impl College {
    async fn new(stage: &Stage) -> Self {
        let school = stage.territory("test").await.school("Collège Rosa-Parks").await;
        let (sixth, fifth) = (school.class("6e B").await, school.class("5e A").await);
        let durand = sixth.teacher("Claire Durand").await;
        let petit = fifth.teacher("Omar Petit").await;
        let lina = sixth.pupil("Lina Martin").await;
        let zoe = sixth.pupil("Zoé Roux").await;
        let theo = fifth.pupil("Théo Blanc").await;
        let anne = school.guardian_of(&lina, "Anne Martin").await;
        let max = school.guardian_of(&zoe, "Max Roux").await;
        let head = school.staff("Irène Chef").await;
        let cpe = school.staff("Nora Vidal").await;
        let cook = school.staff("Guy Cantine").await;
        let artist = sixth.guest("Iris Passage").await;
        for (persona, function) in [(&head, "DIR"), (&cpe, "EDU")] {
            stage
                .sql(&format!(
                    "UPDATE membership SET function = '{function}' WHERE person_id = '{}'",
                    persona.id
                ))
                .await;
        }
        let people = vec![
            ("Durand", Role::Teacher, durand),
            ("Petit", Role::Teacher, petit),
            ("Lina", Role::Pupil, lina),
            ("Zoé", Role::Pupil, zoe),
            ("Théo", Role::Pupil, theo),
            ("Anne", Role::Guardian, anne),
            ("Max", Role::Guardian, max),
            ("head", Role::Staff, head),
            ("CPE", Role::Staff, cpe),
            ("cook", Role::Staff, cook),
            ("artist", Role::Guest, artist),
        ];
        Self { school, people }
    }

    fn one(&self, name: &str) -> &Persona {
        &self.people.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("{name}")).2
    }

    fn names(&self, page: &Value) -> BTreeSet<&'static str> {
        let ids: Vec<&str> =
            page["items"].as_array().expect("items").iter().filter_map(|item| item["id"].as_str()).collect();
        let known =
            self.people.iter().filter(|(_, _, persona)| ids.contains(&persona.id.to_string().as_str()));
        known.map(|(name, ..)| *name).collect()
    }

    async fn set(&self, client: &Client, rules: &Value) -> preau_tests::Answer {
        let url = self.school.url("communication-rules");
        let tag = client.get(&url).await.expect(200).header("etag").expect("a tag").to_owned();
        client.clone().with("if-match", &tag).put(&url, rules).await
    }
}

async fn member(node: &Node, school: &School, persona: &Persona) -> Member {
    let mut tx = node.app.db.as_person(persona.id).await.expect("a transaction");
    let profile = preau_session::load_profile(&mut tx).await.expect("a profile").expect("an account");
    tx.commit().await.expect("committed");
    let token = Token {
        family: node.stage().clock().mint(),
        person: persona.id,
        territory: persona.territory,
        territory_admin: false,
        memberships: profile.memberships,
        permission_version: profile.permission_version,
        issued_at: node.stage().clock().now(),
        strong_at: None,
    };
    Principal::verified(token).member_of(school.id).expect("a member")
}

/// Who may write to whom in a collège that has set no rule of its own.
const MATRIX: [(&str, &[&str]); 8] = [
    ("Lina", &["Durand", "Anne", "CPE"]),
    ("Théo", &["Petit", "CPE"]),
    ("Anne", &["Lina", "Durand", "CPE", "head"]),
    ("Max", &["Zoé", "Durand", "CPE", "head"]),
    ("Durand", &["Petit", "Lina", "Zoé", "Théo", "Anne", "Max", "head", "CPE", "cook", "artist"]),
    ("cook", &["Durand", "Petit", "Lina", "Zoé", "Théo", "Anne", "Max", "head", "CPE", "artist"]),
    ("head", &["Durand", "Petit", "Lina", "Zoé", "Théo", "Anne", "Max", "cook", "CPE", "artist"]),
    ("artist", &[]),
];

#[test]
fn the_matrix_of_a_college_holds_in_lists_and_one_by_one() {
    play(async |stage| {
        let node = stage.node().await;
        let college = College::new(&stage).await;
        for (asker, writes_to) in MATRIX {
            let writes_to: BTreeSet<&str> = writes_to.iter().copied().collect();
            let client = node.signed_in(college.one(asker)).await;
            let page = client.get(&college.school.url("writable-people")).await.expect(200).json();
            let mut listed = college.names(&page);
            listed.remove(asker);
            assert_eq!(listed, writes_to, "{asker}");
            let me = member(&node, &college.school, college.one(asker)).await;
            for (name, _, persona) in &college.people {
                let mut tx = node.app.db.in_school(&me).await.expect("a transaction");
                let may = may_write(&mut tx, &me, persona.id, Occasion::First).await.expect("an answer");
                tx.commit().await.expect("committed");
                assert_eq!(may, writes_to.contains(name), "{asker} to {name}");
                // Whoever may be written to is found, and nobody else but one's own family.
                let seen =
                    client.get(&college.school.url(&format!("people/{}", persona.id))).await.status == 200;
                assert!(!may || seen, "{asker} may write to {name} and does not find them");
                assert!(may || !seen || asker == *name, "{asker} finds {name} and may not write");
            }
        }
    });
}

#[test]
fn a_school_opens_its_classes_and_the_lists_follow() {
    play(async |stage| {
        let node = stage.node().await;
        let college = College::new(&stage).await;
        let admin = node.signed_in(&college.school.admin().await).await;
        let mut open = rules();
        open["pupil"]["pupils"] = json!("own_classes");
        let preview =
            admin.post(&college.school.url("communication-rules/preview"), &open).await.expect(200).json();
        assert_eq!(preview["reaches"][0]["opened"], 2, "Lina and Zoé find each other: {preview}");
        assert_eq!((&preview["directions"], &preview["refused_to_school"]), (&json!([]), &json!([])));
        college.set(&admin, &open).await.expect(200);
        let lina = node.signed_in(college.one("Lina")).await;
        let found = lina.get(&college.school.url("people")).await.expect(200).json();
        assert_eq!(college.names(&found), ["Lina", "Zoé", "Durand", "Anne", "CPE"].into());
        let zoe =
            lina.get(&college.school.url(&format!("people/{}", college.one("Zoé").id))).await.expect(200);
        assert_eq!(zoe.json().get("guardians"), None, "a classmate's parents are not one's business");
        let journal = admin.get(&college.school.url("administration/journal?act=communication.set")).await;
        assert_eq!(journal.expect(200).json()["items"].as_array().map(Vec::len), Some(1));

        // Somebody who read the rules before is told that they have changed.
        let stale = admin.clone().with("if-match", "\"old\"");
        stale
            .put(&college.school.url("communication-rules"), &rules())
            .await
            .refused(412, "changed-meanwhile");
        admin
            .put(&college.school.url("communication-rules"), &rules())
            .await
            .refused(428, "if-match-missing");

        // The child's own link is apart from every rule.
        open["family"] = json!("off");
        college.set(&admin, &open).await.expect(200);
        let page = lina.get(&college.school.url("writable-people")).await.expect(200).json();
        assert!(!college.names(&page).contains("Anne"));
        assert!(
            lina.get(&college.school.url(&format!("people/{}", college.one("Anne").id))).await.status == 200
        );
    });
}

#[test]
fn a_local_administrator_opens_no_school_and_the_territory_may() {
    play(async |stage| {
        let node = stage.node().await;
        let college = College::new(&stage).await;
        let admin = node.signed_in(&college.school.admin().await).await;
        let above = node.signed_in(&college.school.territory.admin().await).await;
        let with = |row: &str, cell: &str, reach: &str| {
            let mut rules = rules();
            rules[row][cell] = json!(reach);
            rules
        };
        let mut silent = rules();
        silent["guardian"] = json!({
            "pupils": "none", "guardians": "none", "teachers": "none",
            "school_life": false, "direction": false, "other_staff": false,
        });
        let refused = [
            (with("pupil", "pupils", "school"), "communication-opens-school"),
            (with("guardian", "guardians", "school"), "communication-opens-school"),
            (with("guardian", "pupils", "school"), "communication-opens-school"),
            (with("pupil", "guardians", "school"), "communication-opens-school"),
            (with("guest", "pupils", "own_classes"), "communication-guests-meet-families"),
            (with("guardian", "guests", "own_classes"), "communication-guests-meet-families"),
            (silent, "communication-turns-everybody"),
        ];
        for (rules, code) in &refused {
            let before = stage.fingerprint().await;
            college.set(&admin, rules).await.refused(403, code);
            assert_eq!(stage.fingerprint().await, before, "{code}");
        }
        let artist = node.signed_in(college.one("artist")).await;
        let mut few = with("guest", "teachers", "own_classes");
        few["guest"]["direction"] = json!(true);
        college.set(&admin, &few).await.expect(200);
        let page = artist.get(&college.school.url("writable-people")).await.expect(200).json();
        assert_eq!(
            college.names(&page),
            ["Durand", "head"].into(),
            "the class's teacher, and who was opened"
        );
        artist.get(&college.school.url("people")).await.refused(403, "forbidden");
        college
            .set(&admin, &with("teacher", "pupils", "none"))
            .await
            .refused(422, "communication-too-narrow");
        let (open, _) = &refused[0];
        college.set(&above, open).await.expect(200);
        let lina = node.signed_in(college.one("Lina")).await;
        let page = lina.get(&college.school.url("writable-people")).await.expect(200).json();
        assert!(college.names(&page).is_superset(&["Zoé", "Théo"].into()));
    });
}

#[test]
fn in_a_crisis_families_only_reply() {
    play(async |stage| {
        let node = stage.node().await;
        let college = College::new(&stage).await;
        let admin = node.signed_in(&college.school.admin().await).await;
        let mut crisis = rules();
        crisis["crisis"] = json!(true);
        college.set(&admin, &crisis).await.expect(200);
        for (name, may_begin) in [("Lina", false), ("Anne", false), ("Durand", true), ("cook", true)] {
            let me = member(&node, &college.school, college.one(name)).await;
            let mut tx = node.app.db.in_school(&me).await.expect("a transaction");
            let head = college.one("head").id;
            let to = if name == "Lina" { college.one("Durand").id } else { head };
            assert_eq!(may_write(&mut tx, &me, to, Occasion::First).await.unwrap(), may_begin, "{name}");
            assert!(may_write(&mut tx, &me, to, Occasion::Reply).await.unwrap(), "{name}");
            tx.commit().await.expect("committed");
        }
    });
}

#[derive(Clone, Debug)]
struct Links(Vec<(usize, usize, i16)>);

fn families() -> impl Strategy<Value = Links> {
    proptest::collection::btree_map((0_usize..4, 0_usize..4), 0_i16..3, 0..12).prop_map(|links| {
        Links(links.into_iter().map(|((guardian, pupil), legal)| (guardian, pupil, legal)).collect())
    })
}

/// T06: over any families, a guardian finds exactly the children that they have a right to, whatever was before.
#[test]
fn a_guardian_finds_whom_they_have_a_right_to() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let class = school.class("6e B").await;
        let anchor = class.pupil("Ancre Fixe").await;
        let (mut pupils, mut guardians) = (Vec::new(), Vec::new());
        for number in 0..4 {
            pupils.push(class.pupil(&format!("Enfant N{number}")).await);
            guardians.push(school.guardian_of(&anchor, &format!("Parent N{number}")).await);
        }
        let admin = node.signed_in(&school.admin().await).await;
        stage.sql("DELETE FROM guardian_link").await;
        let mut before: Vec<String> = Vec::new();
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for _ in 0..12 {
            let links = families().new_tree(&mut runner).expect("a tree").current();
            for url in before.drain(..) {
                admin.delete(&school.url(&url)).await.expect(204);
            }
            for (guardian, pupil, legal) in &links.0 {
                let url = format!(
                    "administration/people/{}/guardians/{}",
                    pupils[*pupil].id, guardians[*guardian].id
                );
                before.push(url.clone());
                let body = json!({ "kind": 1, "legal": legal, "contact_order": 1 });
                admin.put(&school.url(&url), &body).await.expect(200);
            }
            for (at, guardian) in guardians.iter().enumerate() {
                let client = node.signed_in(guardian).await;
                let page = client.get(&school.url("people?role=pupil&limit=200")).await.expect(200).json();
                let found: BTreeSet<PersonId> = page["items"]
                    .as_array()
                    .expect("items")
                    .iter()
                    .map(|item| item["id"].as_str().expect("an id").parse().expect("a person"))
                    .collect();
                let right: BTreeSet<PersonId> = links
                    .0
                    .iter()
                    .filter(|(guardian, _, legal)| *guardian == at && *legal > 0)
                    .map(|(_, pupil, _)| pupils[*pupil].id)
                    .collect();
                assert_eq!(found, right, "{links:?}, guardian {at}");
                for pupil in &pupils {
                    let day = client.get(&school.url(&format!("timetable?person_id={}", pupil.id))).await;
                    assert_eq!(day.status == 200, right.contains(&pupil.id), "{links:?}, guardian {at}");
                }
            }
        }
    });
}

//! Who sees whom in a school.

use std::collections::BTreeSet;

use preau_kernel::Role;
use preau_tests::{Client, Persona, School, Stage, play};
use serde_json::Value;

/// A school of two classes, with families, staff of three kinds, and a pupil who has left.
struct Village {
    school: School,
    people: Vec<(&'static str, Persona)>,
}

impl Village {
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
        let principal = school.staff("Irène Chef").await;
        let cpe = school.staff("Nora Vidal").await;
        let cook = school.staff("Guy Cantine").await;
        let admin = school.admin().await;
        let gone = sixth.pupil("Parti Ailleurs").await;
        for (persona, function) in [(&principal, "DIR"), (&cpe, "EDU")] {
            stage
                .sql(&format!(
                    "UPDATE membership SET function = '{function}' WHERE person_id = '{}'",
                    persona.id
                ))
                .await;
        }
        stage.sql(&format!("UPDATE membership SET ended_at = now() WHERE person_id = '{}'", gone.id)).await;
        stage.sql(&format!("DELETE FROM class_pupil WHERE person_id = '{}'", gone.id)).await;
        let people = vec![
            ("Durand", durand),
            ("Petit", petit),
            ("Lina", lina),
            ("Zoé", zoe),
            ("Théo", theo),
            ("Anne", anne),
            ("Max", max),
            ("principal", principal),
            ("CPE", cpe),
            ("cook", cook),
            ("admin", admin),
            ("gone", gone),
        ];
        Self { school, people }
    }

    fn one(&self, name: &str) -> &Persona {
        &self.people.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}")).1
    }

    /// Who is in a list, by the names of this village.
    fn names(&self, ids: &[String]) -> BTreeSet<&'static str> {
        let named = ids.iter().map(|id| {
            self.people.iter().find(|(_, persona)| persona.id.to_string() == *id).expect("known").0
        });
        named.collect()
    }
}

/// Every id of a list, walked in pages of three; each is listed once.
async fn walk(client: &Client, url: &str) -> Vec<String> {
    let join = if url.contains('?') { '&' } else { '?' };
    let mut ids = Vec::new();
    let mut cursor = String::new();
    for _ in 0..100 {
        let page = client.get(&format!("{url}{join}limit=3{cursor}")).await.expect(200).json();
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= 3);
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => {
                assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "listed twice in {url}");
                return ids;
            }
        }
    }
    panic!("{url} has no end");
}

const WHO_SEES_WHOM: [(&str, &[&str]); 5] = [
    // A pupil of a collège: their teachers, own guardians, and the staff who live with the classes; no classmate, unless
    // the school says so.
    ("Lina", &["Lina", "Durand", "Anne", "CPE"]),
    ("Théo", &["Théo", "Petit", "CPE"]),
    // A guardian: their child, its teachers, and direction besides; no other family.
    ("Anne", &["Anne", "Lina", "Durand", "CPE", "principal"]),
    ("Max", &["Max", "Zoé", "Durand", "CPE", "principal"]),
    // Whoever works there: everybody who has not left.
    ("cook", &["Lina", "Zoé", "Théo", "Durand", "Petit", "Anne", "Max", "CPE", "principal", "cook", "admin"]),
];

#[test]
fn people_are_shown_to_those_who_may_see_them() {
    play(async |stage| {
        let node = stage.node().await;
        let village = Village::new(&stage).await;
        for (asker, sees) in WHO_SEES_WHOM {
            let client = node.signed_in(village.one(asker)).await;
            let listed = walk(&client, &village.school.url("people")).await;
            let sees: BTreeSet<&str> = sees.iter().copied().collect();
            assert_eq!(village.names(&listed), sees, "{asker}");
            // One by one, the same; and by search, never more.
            for (name, persona) in &village.people {
                let answer = client.get(&village.school.url(&format!("people/{}", persona.id))).await;
                assert_eq!(
                    answer.status == 200,
                    sees.contains(name),
                    "{asker} and {name}: {}",
                    answer.status
                );
                if !sees.contains(name) {
                    answer.refused(404, "not-found");
                }
            }
            for query in
                ["q=", "q=mar", "q=r", "role=pupil", "role=guardian", "role=staff", "q=blanc&role=pupil"]
            {
                let found = walk(&client, &village.school.url(&format!("people?{query}"))).await;
                assert!(village.names(&found).is_subset(&sees), "{asker} asks {query}");
            }
        }
    });
}

#[test]
fn classes_and_their_people_are_shown_to_those_who_may_see_them() {
    play(async |stage| {
        let node = stage.node().await;
        let village = Village::new(&stage).await;
        let classes = async |name: &str| {
            let client = node.signed_in(village.one(name)).await;
            let page = client.get(&village.school.url("classes")).await.expect(200).json();
            let items = page["items"].as_array().expect("items").clone();
            (client, items)
        };
        let (everything, all) = classes("admin").await;
        assert_eq!(all.len(), 2);
        for class in &all {
            let url = village.school.url(&format!("classes/{}", class["id"].as_str().expect("an id")));
            assert_eq!(everything.get(&url).await.expect(200).json()["name"], class["name"]);
            for name in ["Lina", "Anne", "Théo"] {
                let (client, _) = classes(name).await;
                let own = (class["name"] == "6e B") == (name != "Théo");
                let answer = client.get(&url).await;
                if !own {
                    answer.refused(404, "not-found");
                    continue;
                }
                let detail = answer.expect(200).json();
                let ids = |list: &Value, at: &str| -> Vec<String> {
                    let list = list.as_array().expect("a list").iter();
                    list.map(|one| one.pointer(at).and_then(Value::as_str).expect("an id").to_owned())
                        .collect()
                };
                let pupils = village.names(&ids(&detail["pupils"], "/id"));
                let expected: &[&str] = match name {
                    "Lina" => &["Lina"],
                    "Anne" => &["Lina"],
                    _ => &["Théo"],
                };
                assert_eq!(
                    pupils,
                    expected.iter().copied().collect(),
                    "{name} sees the pupils of {}",
                    class["name"]
                );
                let teachers = village.names(&ids(&detail["teachers"], "/person/id"));
                assert_eq!(teachers, [if name == "Théo" { "Petit" } else { "Durand" }].into());
            }
        }
    });
}

#[test]
fn families_are_shown_to_themselves_and_to_those_who_work_there() {
    play(async |stage| {
        let node = stage.node().await;
        let village = Village::new(&stage).await;
        let family = async |asker: &str, whom: &str| {
            let client = node.signed_in(village.one(asker)).await;
            let person = client
                .get(&village.school.url(&format!("people/{}", village.one(whom).id)))
                .await
                .expect(200)
                .json();
            let of = |list: &Value| list.as_array().map(|list| list.len());
            (of(&person["guardians"]), of(&person["children"]))
        };
        assert_eq!(family("Lina", "Lina").await.0, Some(1));
        assert_eq!(family("Durand", "Lina").await.0, Some(1));
        assert_eq!(family("Anne", "Anne").await.1, Some(1));
        assert_eq!(family("Anne", "Lina").await.0, None, "nor is the other parent's address");
    });
}

#[test]
fn groups_are_predicates_and_show_what_their_reader_may_see() {
    play(async |stage| {
        let node = stage.node().await;
        let village = Village::new(&stage).await;
        for (asker, sees) in WHO_SEES_WHOM {
            let client = node.signed_in(village.one(asker)).await;
            let sees: BTreeSet<&str> = sees.iter().copied().collect();
            let groups = walk(&client, &village.school.url("groups")).await;
            for group in &groups {
                let members = walk(&client, &village.school.url(&format!("groups/{group}/members"))).await;
                assert!(village.names(&members).is_subset(&sees), "{asker} and {group}");
            }
            if asker == "cook" {
                assert!(groups.len() >= 8, "{groups:?}");
            }
        }
        let parents = village.school.url("groups/auto:school:guardians/members");
        node.signed_in(village.one("Lina")).await.get(&parents).await.refused(404, "not-found");
    });
}

#[test]
fn somebody_in_two_schools_is_two_things() {
    play(async |stage| {
        let node = stage.node().await;
        let village = Village::new(&stage).await;
        let other = village.school.territory.school("Lycée").await;
        let durand = village.one("Durand");
        other.enrol(durand, Role::Guardian).await;
        let client = node.signed_in(durand).await;
        assert_eq!(walk(&client, &village.school.url("people")).await.len(), 11);
        assert_eq!(village.names(&walk(&client, &other.url("people")).await), ["Durand"].into());
    });
}

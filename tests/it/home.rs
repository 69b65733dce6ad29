//! The day: all my schools and children in one answer, few statements, and none when nothing has changed.

use preau_kernel::Role;
use preau_tests::{Client, Node, Relay, Stage, play};
use secrecy::SecretString;
use serde_json::{Value, json};

const HOME: &str = "/api/v1/home";

async fn home(client: &Client) -> Value {
    client.get(HOME).await.expect(200).json()
}

/// First names of those whose day is shown, with how they are related, school by school.
fn shown(home: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let schools = home["schools"].as_array().expect("schools");
    schools
        .iter()
        .flat_map(|school| school["views"].as_array().expect("views").iter().map(move |view| (school, view)))
        .map(|(school, view)| {
            (text(&school["name"]), text(&view["person"]["first_name"]), text(&view["relation"]))
        })
        .collect()
}

fn view<'a>(home: &'a Value, first_name: &str) -> &'a Value {
    let schools = home["schools"].as_array().expect("schools").iter();
    let mut views = schools.flat_map(|school| school["views"].as_array().expect("views"));
    views
        .find(|view| view["person"]["first_name"] == first_name)
        .unwrap_or_else(|| panic!("{first_name} in {home}"))
}

#[test]
fn a_pupil_sees_the_lesson_now_and_the_next_as_the_clock_goes() {
    play(async |stage| {
        let node = stage.node().await;
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let durand = class.teacher("Claire Durand").await;
        let lina = class.pupil("Lina Martin").await;
        class.lesson(&durand, "Histoire", "2026-11-23T08:00:00Z", 55).await;
        class.lesson(&durand, "Français", "2026-11-23T09:00:00Z", 55).await;
        class.lesson(&durand, "Anglais", "2026-11-24T08:00:00Z", 55).await;
        let other = class.school.class("5e A").await;
        let petit = other.teacher("Omar Petit").await;
        other.lesson(&petit, "Latin", "2026-11-23T08:00:00Z", 55).await;

        let labels = |view: &Value| {
            let label = |lesson: &Value| lesson["subject"]["label"].as_str().map(str::to_owned);
            (label(&view["now"]), label(&view["next"]))
        };
        let some = |label: &str| Some(label.to_owned());
        for (at, now, next) in [
            ("2026-11-23T07:59:59Z", None, some("Histoire")),
            ("2026-11-23T08:00:00Z", some("Histoire"), some("Français")),
            ("2026-11-23T08:54:59Z", some("Histoire"), some("Français")),
            ("2026-11-23T08:55:00Z", None, some("Français")),
            ("2026-11-23T09:30:00Z", some("Français"), some("Anglais")),
            ("2026-11-23T18:00:00Z", None, some("Anglais")),
            ("2026-11-24T08:30:00Z", some("Anglais"), None),
        ] {
            stage.set(at);
            let home = home(&node.signed_in(&lina).await).await;
            assert_eq!(labels(view(&home, "Lina")), (now, next), "{at}");
            assert_eq!(home["schools"][0]["date"], json!(at[..10]), "{at}");
        }
        stage.set("2026-11-23T08:10:00Z");
        let home = home(&node.signed_in(&lina).await).await;
        assert_eq!(shown(&home), [("Collège Rosa-Parks".into(), "Lina".into(), "self".into())]);
        let today = view(&home, "Lina")["today"].as_array().unwrap();
        assert_eq!(today.len(), 2);
        assert_eq!((&today[0]["audience"], &today[0]["room"]), (&json!(["6e B"]), &json!("B123")));
        assert!(today[0]["teachers"][0].as_str().unwrap().contains("Durand"));
        assert_eq!(
            (&home["schools"][0]["roles"], &home["schools"][0]["tz"]),
            (&json!(["pupil"]), &json!("Europe/Paris"))
        );
    });
}

#[test]
fn guardians_see_each_child_in_its_own_school_and_only_theirs() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let (college, lycee) = (territory.school("Collège").await, territory.school("Lycée").await);
        let (sixth, second) = (college.class("6e B").await, lycee.class("2nde 3").await);
        let (lina, noe, zoe) = (
            sixth.pupil("Lina Martin").await,
            second.pupil("Noé Martin").await,
            sixth.pupil("Zoé Petit").await,
        );
        // Separated parents, each with the eldest; one of them teaches there too; a neighbour who may only be called.
        let mother = college.guardian_of(&lina, "Anne Martin").await;
        lycee.enrol(&mother, Role::Guardian).await;
        lycee.link(&mother, &noe, 1).await;
        lycee.enrol(&mother, Role::Teacher).await;
        let father = college.guardian_of(&lina, "Paul Martin").await;
        let in_charge = territory.person("Rose Foyer").await;
        college.enrol(&in_charge, Role::Guardian).await;
        college.link(&in_charge, &lina, 2).await;
        let neighbour = territory.person("Jean Voisin").await;
        college.enrol(&neighbour, Role::Guardian).await;
        college.link(&neighbour, &zoe, 0).await;

        let of = async |persona| {
            let mut shown = shown(&home(&node.signed_in(persona).await).await);
            shown.sort();
            shown
        };
        let row = |school: &str, name: &str, relation: &str| {
            (school.to_owned(), name.to_owned(), relation.to_owned())
        };
        assert_eq!(
            of(&mother).await,
            [row("Collège", "Lina", "child"), row("Lycée", "Anne", "self"), row("Lycée", "Noé", "child")]
        );
        assert_eq!(of(&father).await, [row("Collège", "Lina", "child")]);
        assert_eq!(of(&in_charge).await, [row("Collège", "Lina", "child")]);
        assert!(
            of(&neighbour).await.iter().all(|(_, name, _)| name != "Zoé"),
            "a link without rights shows no day"
        );
        let admin = home(&node.signed_in(&territory.admin().await).await).await;
        assert_eq!((&admin["schools"], &admin["user"]["first_name"]), (&json!([]), &json!("Ada")));
    });
}

#[test]
fn what_is_held_is_not_sent_again_until_it_changes() {
    play(async |stage| {
        let node = stage.node().await;
        let class = stage.territory("test").await.school("Collège").await.class("6e B").await;
        let durand = class.teacher("Claire Durand").await;
        let lina = class.pupil("Lina Martin").await;
        class.lesson(&durand, "Histoire", "2026-11-23T08:00:00Z", 55).await;
        let me = node.signed_in(&lina).await;
        let first = me.get(HOME).await.expect(200);
        let tag = first.header("etag").unwrap().to_owned();
        assert_eq!(first.header("cache-control"), Some("private, no-cache"));
        let holding = me.clone().with("if-none-match", &tag);
        for _ in 0..2 {
            let held = holding.get(HOME).await.expect(304);
            assert_eq!((held.body.len(), held.header("etag")), (0, Some(tag.as_str())));
            stage.advance(chrono::Duration::minutes(1));
        }
        assert_eq!(node.signed_in(&durand).await.with("if-none-match", &tag).get(HOME).await.status, 200);
        // The end of the lesson is news,
        stage.set("2026-11-23T08:55:00Z");
        let me = node.signed_in(&lina).await;
        let after = me.clone().with("if-none-match", &tag).get(HOME).await.expect(200);
        let tag = after.header("etag").unwrap().to_owned();
        // and so is a change of the timetable, once this node has heard of it.
        class.lesson(&durand, "Musique", "2026-11-23T10:00:00Z", 55).await;
        me.clone().with("if-none-match", &tag).get(HOME).await.expect(304);
        node.app.generations.bump(class.school.id);
        let changed = me.with("if-none-match", &tag).get(HOME).await.expect(200).json();
        assert_eq!(view(&changed, "Lina")["today"].as_array().unwrap().len(), 2);
    });
}

pub(crate) async fn counted(stage: &Stage) -> (Node, Relay) {
    let relay = Relay::before(&stage.stores().postgres_address()).await;
    let url = format!("postgres://preau_app@{}/{}", relay.address(), stage.database().name());
    (stage.node_with(|config| config.database.url = SecretString::from(url)).await, relay)
}

#[test]
fn a_cold_day_costs_two_statements_a_school_and_a_warm_one_none() {
    play(async |stage| {
        let (node, relay) = counted(&stage).await;
        let territory = stage.territory("test").await;
        let (college, lycee) = (territory.school("Collège").await, territory.school("Lycée").await);
        let (sixth, second) = (college.class("6e B").await, lycee.class("2nde 3").await);
        let durand = sixth.teacher("Claire Durand").await;
        let lina = sixth.pupil("Lina Martin").await;
        let mut parents = Vec::new();
        for number in 0..8 {
            let parent = college.guardian_of(&lina, &format!("Parent Numéro{number}")).await;
            lycee.enrol(&parent, Role::Guardian).await;
            lycee.link(&parent, &second.pupil(&format!("Noé{number} Martin")).await, 1).await;
            parents.push(parent);
        }
        let mut clients = Vec::new();
        for parent in &parents {
            clients.push(node.signed_in(parent).await);
        }
        let teacher = node.signed_in(&durand).await;
        let cost = async |client: &Client| {
            let before = relay.statements();
            client.get(HOME).await.expect(200);
            relay.statements() - before
        };
        let cold = cost(&clients[0]).await;
        assert!((2..=4).contains(&cold), "{cold} statements for two schools");
        assert_eq!(cost(&clients[0]).await, 0, "warm");
        let second = cost(&clients[1]).await;
        assert_eq!(second, 2, "lessons are shared: only who I am is asked, in each school");
        assert_eq!(cost(&teacher).await, 1);
        // Held or not, warm costs nothing.
        let tag = clients[0].get(HOME).await.header("etag").unwrap().to_owned();
        let before = relay.statements();
        clients[0].clone().with("if-none-match", &tag).get(HOME).await.expect(304);
        assert_eq!(relay.statements(), before);
        // Those who come together ask once.
        node.app.generations.bump(college.id);
        node.app.generations.bump(lycee.id);
        let before = relay.statements();
        let together =
            clients.iter().flat_map(|client| [client, client, client]).map(|client| client.get(HOME));
        for answer in futures::future::join_all(together).await {
            answer.expect(200);
        }
        let asked = relay.statements() - before;
        assert!(
            asked <= 2 * 8 + 2,
            "{asked} statements for eight parents of two schools, three times each at once"
        );
    });
}

/// G16 of `reference/overload.md` §C: of what they share, thirty cost no more than one.
#[test]
fn a_class_of_thirty_asks_for_its_lessons_once() {
    play(async |stage| {
        let (node, relay) = counted(&stage).await;
        let college = stage.territory("test").await.school("Collège").await;
        let sixth = college.class("6e B").await;
        sixth.lesson(&sixth.teacher("Claire Durand").await, "Maths", "2026-11-23T09:00:00Z", 55).await;
        let mut pupils = Vec::new();
        for number in 0..30 {
            let pupil = sixth.pupil(&format!("Élève Numéro{number}")).await;
            pupils.push(node.signed_in(&pupil).await);
        }
        let asked = async |clients: &[Client]| {
            node.app.generations.bump(college.id);
            let before = relay.statements();
            for answer in futures::future::join_all(clients.iter().map(|client| client.get(HOME))).await {
                answer.expect(200);
            }
            relay.statements() - before
        };
        // Who I am is my own; the rest is shared.
        assert_eq!(asked(&pupils[..1]).await, 2);
        assert_eq!(asked(&pupils).await, 30 + 1);
    });
}

#[test]
fn a_day_begins_and_ends_with_the_schools_clock() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let paris = territory.school("Collège de Paris").await.class("6e B").await;
        let reunion =
            territory.school_in("Collège de Saint-Denis", "Indian/Reunion").await.class("6e R").await;
        let durand = paris.teacher("Claire Durand").await;
        let (lina, theo) = (paris.pupil("Lina Martin").await, reunion.pupil("Théo Payet").await);
        let payet = reunion.teacher("Luce Payet").await;
        for (label, start) in [
            // The night of 24 to 25 October 2026 has 25 hours in Paris; that of 27 to 28 March 2027 has 23.
            ("samedi soir", "2026-10-24T21:30:00Z"),
            ("dimanche, première heure", "2026-10-24T22:30:00Z"),
            ("deux heures et demie, deux fois", "2026-10-25T00:30:00Z"),
            ("et encore", "2026-10-25T01:30:00Z"),
            ("dimanche soir", "2026-10-25T22:30:00Z"),
            ("lundi", "2026-10-25T23:00:00Z"),
            ("printemps, dimanche", "2027-03-27T23:00:00Z"),
            ("printemps, dimanche soir", "2027-03-28T21:30:00Z"),
            ("printemps, lundi", "2027-03-28T22:00:00Z"),
        ] {
            paris.lesson(&durand, label, start, 20).await;
        }
        reunion.lesson(&payet, "avant l'aube", "2026-11-23T21:00:00Z", 20).await;
        let today = async |at: &str, who, name: &str| {
            stage.set(at);
            let home = home(&node.signed_in(who).await).await;
            let labels: Vec<String> = view(&home, name)["today"]
                .as_array()
                .unwrap()
                .iter()
                .map(|lesson| lesson["subject"]["label"].as_str().unwrap().to_owned())
                .collect();
            (home["schools"][0]["date"].as_str().unwrap().to_owned(), labels)
        };
        let sunday =
            ["dimanche, première heure", "deux heures et demie, deux fois", "et encore", "dimanche soir"];
        assert_eq!(
            today("2026-10-24T22:00:00Z", &lina, "Lina").await,
            ("2026-10-25".to_owned(), sunday.map(str::to_owned).to_vec())
        );
        assert_eq!(today("2026-10-25T22:59:59Z", &lina, "Lina").await.0, "2026-10-25");
        assert_eq!(
            today("2026-10-25T23:00:00Z", &lina, "Lina").await,
            ("2026-10-26".to_owned(), vec!["lundi".to_owned()])
        );
        assert_eq!(
            today("2027-03-28T12:00:00Z", &lina, "Lina").await,
            (
                "2027-03-28".to_owned(),
                vec!["printemps, dimanche".to_owned(), "printemps, dimanche soir".to_owned()]
            )
        );
        assert_eq!(today("2026-11-23T19:59:59Z", &theo, "Théo").await, ("2026-11-23".to_owned(), vec![]));
        assert_eq!(
            today("2026-11-23T20:00:00Z", &theo, "Théo").await,
            ("2026-11-24".to_owned(), vec!["avant l'aube".to_owned()])
        );
    });
}

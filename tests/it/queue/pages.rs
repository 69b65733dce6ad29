//! The same line by the pages, and before a desk.

use std::sync::Arc;

use preau_admission::{Lane, Order, Orders, orders::Act, slots::Posture};
use preau_tests::{PASSWORD, Stage, desk, play};
use serde_json::json;
use uuid::Uuid;

use super::{
    ORIGIN, SESSIONS, TICKETS, class, cookie, crowd, holding, pass, place, sessions, slow, submit, text,
    until_no_place,
};

/// An order of the operators, given now.
fn ordered(stage: &Stage, act: Act, until: &str) -> Order {
    Order {
        id: Uuid::from_u128(8),
        act,
        territory: None,
        author: "exploitation".to_owned(),
        reason: "affluence".to_owned(),
        made_at: stage.clock().now(),
        until: Some(until.parse().expect("an instant")),
    }
}

#[test]
fn a_browser_without_a_program_waits_enters_and_comes_back() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        crowd(&node, 3).await;
        let here = node.stranger().with("origin", ORIGIN);
        let form = format!("login={}&password={}&vers=%2Fappareils", lina.login, PASSWORD.replace(' ', "+"));
        let waits = submit(&here, "/connexion", &form).await.expect(202);
        let page = text(&waits);
        assert!(page.len() <= 4096 && page.contains("Votre place"), "{page}");
        assert!(page.contains("Dites qui vous êtes") && page.contains("name=\"profil\""));
        assert!(waits.header("retry-after").is_some());
        assert!(!page.contains(PASSWORD) && !page.contains("type=\"password\" value"));
        let held = cookie(&waits, "__Host-preau-ticket").unwrap();

        // Reloaded, or opened again after the tab was closed: the same place.
        let back = holding(&node, &[&waits]);
        let again = back.get("/connexion").await.expect(202);
        assert_eq!(cookie(&again, "__Host-preau-ticket").unwrap(), held);
        assert!(text(&again).contains(&lina.login), "what was typed is still there");
        // Who one is leads to another line.
        let said = submit(&back, "/connexion/file", "profil=pupil").await.expect(202);
        assert_ne!(cookie(&said, "__Host-preau-ticket").unwrap(), held);
        assert!(text(&said).contains("Vous attendez avec les élèves"));
        let other = back.get("/connexion?autre").await.expect(303);
        assert!(cookie(&other, "__Host-preau-ticket").is_some_and(|value| value.is_empty()));

        let back = holding(&node, &[&said]);
        let turn =
            text(&until_no_place(&stage, &node, async || back.get("/connexion").await).await.expect(200));
        assert!(turn.contains("C’est à vous") && turn.contains("type=\"password\""), "{turn}");
        assert!(!turn.contains("http-equiv"));
        let wrong =
            submit(&back, "/connexion", &format!("login={}&password=non", lina.login)).await.expect(401);
        assert_eq!(cookie(&wrong, "__Host-preau-ticket"), None, "a typo costs no place");
        let inside = submit(&back, "/connexion", &form).await.expect(303);
        assert_eq!(inside.header("location"), Some("/appareils"));
        assert!(cookie(&inside, "__Host-preau-ticket").is_some_and(|value| value.is_empty()));
        holding(&node, &[&inside]).get("/appareils").await.expect(200);
    });
}

#[test]
fn whoever_waits_in_a_closed_class_is_told_the_hour_at_which_it_opens() {
    play(async |stage| {
        let territory = stage.territory("test").await;
        territory.school("Collège Rosa-Parks").await;
        let there = territory.school_in("Collège Leconte-de-Lisle", "Indian/Reunion").await;
        let node = slow(&stage).await;
        let close = ordered(&stage, Act::Close { lane: Lane::InSlot }, "2026-11-23T12:00:00Z");
        let obey = || node.app.door.obey(Arc::new(Orders(vec![close.clone()])));
        obey();
        node.app.door.turn().await;
        let told = place(node.stranger().post(TICKETS, &json!({ "declared": { "profile": "pupil" } })).await);
        assert_eq!(told["opens_at"], "2026-11-23T12:00:00Z");
        assert!(told["poll_after_ms"].as_u64().unwrap() <= 240_000, "it may open before: {told}");
        let guardian = json!({ "declared": { "profile": "guardian" } });
        assert_eq!(place(node.stranger().post(TICKETS, &guardian).await).get("opens_at"), None);

        let here = node.stranger().with("origin", ORIGIN);
        let waits = submit(&here, "/connexion/file", "profil=pupil").await.expect(202);
        let page = text(&waits);
        assert!(page.len() <= 4096, "{}", page.len());
        assert!(page.contains("Votre accès ouvre à 13:00 (heure de Paris)"), "{page}");
        assert!(page.contains("Votre place") && page.contains("Reste ouvert"), "{page}");
        assert!(!page.contains("Votre créneau"), "{page}");
        // Whose link has said the school is told the hour of its own clock.
        let form = format!("profil=pupil&ecole={}", there.id);
        let far = text(&submit(&here, "/connexion/file", &form).await.expect(202));
        assert!(far.contains("Votre accès ouvre à 16:00</h1>"), "{far}");

        // Reloaded, the place is the same; and it is a place like any other once the hour has come.
        let back = holding(&node, &[&waits]);
        pass(&stage, &[&node], 5).await;
        let again = back.get("/connexion").await.expect(202);
        let ticket = "__Host-preau-ticket";
        assert_eq!(cookie(&again, ticket), cookie(&waits, ticket));
        stage.set("2026-11-23T12:00:00Z");
        obey();
        let open = text(&back.get("/connexion").await.expect(202));
        assert!(open.contains("Votre place") && !open.contains("Votre accès"), "{open}");
        until_no_place(&stage, &node, async || back.get("/connexion").await).await.expect(200);
    });
}

#[test]
fn whoever_comes_again_in_a_class_that_is_closed_for_long_is_called_no_liar() {
    play(async |stage| {
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        let node = slow(&stage).await;
        let close = ordered(&stage, Act::Close { lane: Lane::InSlot }, "2026-11-23T20:00:00Z");
        node.app.door.obey(Arc::new(Orders(vec![close])));
        node.app.door.turn().await;
        let here = node.stranger().with("origin", ORIGIN);
        let waits = submit(&here, "/connexion/file", "profil=pupil").await.expect(202);
        stage.advance(chrono::Duration::hours(3));
        pass(&stage, &[&node], 1).await;
        let form = format!("login={}&password={}", lina.login, PASSWORD.replace(' ', "+"));
        let again = submit(&holding(&node, &[&waits]), "/connexion", &form).await.expect(202);
        assert!(text(&again).contains("votre place n’a pas changé"), "{}", text(&again));
        let ticket = "__Host-preau-ticket";
        assert_ne!(cookie(&again, ticket), cookie(&waits, ticket), "it is kept for longer");
    });
}

#[test]
fn whoever_is_out_of_a_soft_slot_is_told_whose_hours_it_is_and_when_theirs_are() {
    play(async |stage| {
        let day = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let max = school.class("3e A").await.pupil("Max Trois").await;
        stage.sql(&format!("UPDATE pupil SET mef_code = '10310019110' WHERE person_id = '{}'", max.id)).await;
        let own = json!({ "login": max.login, "password": PASSWORD, "trusted_device": true });
        let inside = day.stranger().post(SESSIONS, &own).await.expect(201);
        let claim = cookie(&inside, "__Host-preau-place").expect("a trusted device");

        let node = slow(&stage).await;
        let plan = serde_json::from_value(crate::plans::plan()).expect("a plan");
        node.app.plans.import(territory.id, &plan).await.expect("made");
        node.app.door.obey(Arc::new(Orders(vec![ordered(
            &stage,
            Act::Slots { posture: Posture::Soft },
            "2026-11-23T18:00:00Z",
        )])));
        node.app.door.turn().await;
        let here = node.stranger().with("origin", ORIGIN);
        let device = here.with("cookie", &format!("__Host-preau-place={claim}"));
        let form = format!("login={}&password={}", max.login, PASSWORD.replace(' ', "+"));
        let page = text(&submit(&device, "/connexion", &form).await.expect(202));
        assert!(page.len() <= 4096 && page.contains("pas le créneau de votre classe"), "{page}");
        assert!(page.contains("Priorité jusqu’à 12:00\u{a0}: 6e, 5e."), "{page}");
        assert!(page.contains("Puis de 13:00 à 17:00\u{a0}: 4e, 3e."), "{page}");
    });
}

#[test]
fn whoever_no_device_knows_says_which_school_is_theirs() {
    play(async |stage| {
        let territory = stage.territory("test").await;
        let school = territory.school("École Jean-Jaurès").await;
        school.class("CP").await.pupil("Lina Martin").await;
        territory.school("Collège Jean-Jaurès").await;
        stage
            .sql(&format!(
                "UPDATE school SET kind = 'primary', city = 'Roubaix' WHERE school_id = '{}'",
                school.id
            ))
            .await;
        let node = slow(&stage).await;
        crowd(&node, 6).await;
        let found = async |q: &str| node.stranger().get(&format!("/api/v1/queue/schools?q={q}")).await;
        let said = found("jaur%C3%A8s%20ROUB").await.expect(200);
        assert_eq!(said.header("cache-control"), Some("public, max-age=300"));
        assert!(said.cookies().is_empty());
        let said = said.json();
        assert_eq!((said["items"].as_array().unwrap().len(), said["more"].as_bool()), (1, Some(false)));
        assert_eq!(said["items"][0]["id"], school.id.to_string());
        assert_eq!(found("jaures").await.expect(200).json()["items"].as_array().unwrap().len(), 2);
        for nothing in ["", "%25", "a", &"jaures%20".repeat(60)] {
            assert!(found(nothing).await.expect(200).json()["items"].as_array().unwrap().len() <= 2);
        }
        node.stranger().get("/api/v1/queue/schools?nom=x").await.refused(400, "unknown-field");

        let here = node.stranger().with("origin", ORIGIN);
        let waits = submit(&here, "/connexion", "login=personne&password=rien").await.expect(202);
        assert!(text(&waits).contains("href=\"/connexion/etablissement\""), "{}", text(&waits));
        let back = holding(&node, &[&waits]);
        let asked = text(&back.get("/connexion/etablissement").await.expect(200));
        assert!(asked.contains("name=\"q\"") && !asked.contains("<option"));
        let page = text(&back.get("/connexion/etablissement?q=jaures+roubaix").await.expect(200));
        assert!(page.len() <= 4096 && page.contains("École Jean-Jaurès, Roubaix ("), "{page}");
        assert!(page.contains("action=\"/connexion/file\" method=\"post\""), "{page}");
        let none = text(&back.get("/connexion/etablissement?q=nulle+part").await.expect(200));
        assert!(none.contains("Aucun établissement trouvé"));
        let evil =
            back.get("/connexion/etablissement?q=jaures&ici=//evil.test/depart&vers=//evil.test").await;
        let evil = text(&evil.expect(200));
        assert!(evil.contains("action=\"/connexion/file\"") && !evil.contains("evil"), "{evil}");

        // A guardian of a primary school waits with the children, which only the school can tell.
        let plain = submit(&back, "/connexion/file", "profil=guardian").await.expect(202);
        assert!(text(&plain).contains("Les parents passent après"));
        let form = format!("profil=guardian&ecole={}", school.id);
        let said = submit(&back, "/connexion/file", &form).await.expect(202);
        assert!(text(&said).contains("Vous attendez avec les élèves"), "{}", text(&said));
        assert!(!text(&said).contains("etablissement"), "it has been said");
    });
}

#[test]
fn the_small_script_is_told_where_to_go() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        let here = node.stranger().with("origin", ORIGIN).with("x-preau-script", "yes");
        let form = format!("login={}&password={}", lina.login, PASSWORD.replace(' ', "+"));
        let inside = submit(&here, "/connexion", &form).await.expect(204);
        assert_eq!(inside.header("x-preau-to"), Some("/"));
        holding(&node, &[&inside]).get("/").await.expect(200);
    });
}

#[test]
fn the_way_to_a_desk_waits_in_the_same_line() {
    play(async |stage| {
        let day = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let lina = school.class("6e B").await.pupil("Lina Martin").await;
        let paul = school.guardian_of(&lina, "Paul Martin").await;
        for (key, who) in [("1001", &paul), ("1002", &lina)] {
            stage
                .sql(&format!(
                    "INSERT INTO join_key (territory_id, academy, join_key, person_id) VALUES ('{}', '25', '{key}', '{}')",
                    territory.id, who.id
                ))
                .await;
        }
        let (stand_in, _) = desk::StandIn::trusted_by(&stage, &territory, "essai", "educonnect").await;
        // On an ordinary day nothing stands before the desk.
        day.stranger().get(&stand_in.ours("depart")).await.expect(303);

        let node = slow(&stage).await;
        crowd(&node, 3).await;
        // A guardian who says to be a pupil.
        let lied =
            node.stranger().get(&format!("{}?profil=pupil", stand_in.ours("depart"))).await.expect(202);
        assert!(text(&lied).contains("Vous attendez avec les élèves") && lied.header("location").is_none());
        let back = holding(&node, &[&lied]);
        let depart = stand_in.ours("depart");
        let departure = until_no_place(&stage, &node, async || back.get(&depart).await).await.expect(303);
        let document = stand_in.answer(&departure, "_t1", &[("FrEduCtRefId", &["{AAF}25|x|1001"])]);
        let told = desk::bring_back(&node, &stand_in, &desk::jar(&departure), &document).await.expect(202);
        assert!(text(&told).contains("n’était pas celle de votre profil"), "{}", text(&told));
        assert_eq!(sessions(&stage).await, 0);

        // The pupil, who said so.
        let waits =
            node.stranger().get(&format!("{}?profil=pupil", stand_in.ours("depart"))).await.expect(202);
        let back = holding(&node, &[&waits]);
        let depart = stand_in.ours("depart");
        let departure = until_no_place(&stage, &node, async || back.get(&depart).await).await.expect(303);
        let document = stand_in.answer(&departure, "_t2", &[("FrEduCtRefId", &["{AAF}25|x|1002"])]);
        let inside = desk::bring_back(&node, &stand_in, &desk::jar(&departure), &document).await.expect(303);
        assert_eq!(inside.header("location"), Some("/"));
        assert_eq!(sessions(&stage).await, 1);
    });
}

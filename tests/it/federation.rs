//! People come in by a desk: a stand-in that says what it is told. (`real_desk.rs` has a real one.)

use futures::future::join_all;
use preau_kernel::Role;
use preau_saml::Certificate;
use preau_tests::{
    Answer, Line, Node, Persona, Relay, School, Stage, Territory,
    desk::{StandIn, bring_back, jar, metadata, pem, post_form},
    play,
};
use serde_json::json;
use uuid::Uuid;

const HERE: &str = "http://localhost:8080";

/// A key in the academy's directory.
async fn known_as(stage: &Stage, who: &Persona, academy: &str, key: &str) {
    stage
        .sql(&format!(
            "INSERT INTO join_key (territory_id, academy, join_key, person_id) VALUES ('{}', '{academy}', '{key}', '{}')",
            who.territory, who.id
        ))
        .await;
}

struct Scene {
    stage: Stage,
    node: Node,
    territory: Territory,
    school: School,
    guardian: Persona,
    desk: StandIn,
}

impl Scene {
    async fn new(stage: Stage) -> Self {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let pupil = school.class("6e B").await.pupil("Lina Martin").await;
        let guardian = school.guardian_of(&pupil, "Paul Martin").await;
        known_as(&stage, &guardian, "25", "1001").await;
        let (desk, _) = StandIn::trusted_by(&stage, &territory, "essai", "educonnect").await;
        Self { stage, node, territory, school, guardian, desk }
    }

    async fn depart(&self) -> Answer {
        self.node.stranger().get(&self.desk.ours("depart")).await.expect(303)
    }

    /// There and back.
    async fn come(&self, name: &str, values: &[&str]) -> Answer {
        let departure = self.depart().await;
        let document = self.desk.answer(&departure, name, &[("FrEduCtRefId", values)]);
        bring_back(&self.node, &self.desk, &jar(&departure), &document).await
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Whether these cookies are a session.
async fn is_in(node: &Node, cookies: &str) -> bool {
    let asked = node.stranger().with("cookie", cookies).get("/api/v1/home").await;
    asked.status == 200
}

#[test]
fn somebody_comes_in_by_a_desk() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let path = format!("{}?vers=%2Fsemaine%2F2026-11-23", scene.desk.ours("depart"));
        let departure = scene.node.stranger().get(&path).await.expect(303);
        assert!(departure.header("location").unwrap().starts_with("https://desk.test/essai?SAMLRequest="));
        let cookies = departure.cookies();
        let state = cookies.iter().find(|cookie| cookie.starts_with("__Host-preau-depart=")).unwrap();
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=None", "; Path=/", "; Max-Age=900"] {
            assert!(state.contains(attribute), "{state}");
        }

        let document = scene.desk.answer(&departure, "_t1", &[("FrEduCtRefId", &["{AAF}25|0750001T|1001"])]);
        let inside = bring_back(&scene.node, &scene.desk, &jar(&departure), &document).await.expect(303);
        assert_eq!(inside.header("location"), Some("/semaine/2026-11-23"));
        assert!(is_in(&scene.node, &jar(&inside)).await);
        assert!(
            inside
                .cookies()
                .iter()
                .any(|it| it.starts_with("__Host-preau-depart=;") && it.contains("Max-Age=0"))
        );

        // The same person under the other ways of writing an academy.
        for value in ["{AAF}25|x|1001|y", "{AAF}025|x|1001"] {
            assert_eq!(scene.come("_t2", &[value, "{ECT}25|x|9"]).await.status, 303, "{value}");
        }
    });
}

#[test]
fn somebody_new_needs_no_code_and_meets_the_terms() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let newcomer = scene.territory.person_in_state("Zoé Nouvelle", "imported").await;
        scene.school.enrol(&newcomer, Role::Guardian).await;
        known_as(&scene.stage, &newcomer, "P07", "77").await;
        let inside = scene.come("_t1", &["{AAF}7|x|77"]).await.expect(303);
        assert_eq!(inside.header("location"), Some("/conditions"));
        assert!(is_in(&scene.node, &jar(&inside)).await);
        let state =
            format!("SELECT count(*) FROM account WHERE person_id = '{}' AND state = 'active'", newcomer.id);
        assert_eq!(scene.stage.count(&state).await, 1);
    });
}

#[test]
fn an_answer_counts_once_on_every_node_and_without_redis() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let relay = Relay::before(&scene.stage.stores().redis_address()).await;
        let redis = format!("redis://{}/0", relay.address());
        let mut nodes = vec![scene.node.clone()];
        for _ in 0..2 {
            let redis = redis.clone();
            nodes.push(
                scene
                    .stage
                    .node_with(move |config| {
                        config.redis.url = redis;
                        config.redis.deadline_ms = 250;
                    })
                    .await,
            );
        }
        for line in [Line::Up, Line::Cut] {
            relay.set(line);
            let departure = scene.depart().await;
            let document = scene.desk.answer(&departure, "_t1", &[("FrEduCtRefId", &["{AAF}25|x|1001"])]);
            let cookies = jar(&departure);
            let (desk, cookies, document) = (&scene.desk, &cookies, &document);
            let races = (0..12).map(|at| {
                let node = &nodes[at % nodes.len()];
                async move { bring_back(node, desk, cookies, document).await.status.as_u16() }
            });
            let mut statuses = join_all(races).await;
            statuses.sort_unstable();
            assert_eq!(statuses[0], 303, "{statuses:?}");
            assert!(statuses[1..].iter().all(|status| *status == 401), "{statuses:?}");
            // Redis forgets everything: still once.
            scene.stage.flush_redis().await;
            let again = bring_back(&scene.node, &scene.desk, cookies, document).await.expect(401);
            assert!(
                text(&again).contains("used") && again.cookies().iter().all(|it| it.contains("Max-Age=0"))
            );
        }
    });
}

#[test]
fn an_answer_is_this_browsers() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let (autre, _) = StandIn::trusted_by(&scene.stage, &scene.territory, "autre", "educonnect").await;
        let (mine, other) = (scene.depart().await, scene.depart().await);
        let document = scene.desk.answer(&mine, "_t1", &[("FrEduCtRefId", &["{AAF}25|x|1001"])]);
        for cookies in ["".to_owned(), jar(&other), "__Host-preau-depart=x.y".to_owned()] {
            let refused = bring_back(&scene.node, &scene.desk, &cookies, &document).await.expect(401);
            assert!(!refused.cookies().iter().any(|it| it.starts_with("__Host-preau=")), "{cookies}");
        }
        // Another desk's cookie, an answer that nobody asked for, an old one, one that was changed.
        assert_eq!(bring_back(&scene.node, &autre, &jar(&mine), &document).await.status, 401);
        let unasked = scene.desk.answer_to("_nobody", "_t1", &[("FrEduCtRefId", &["{AAF}25|x|1001"])]);
        assert_eq!(bring_back(&scene.node, &scene.desk, &jar(&mine), &unasked).await.status, 401);
        let changed = document.replace("|1001", "|1002");
        assert_eq!(bring_back(&scene.node, &scene.desk, &jar(&mine), &changed).await.status, 401);
        assert_eq!(bring_back(&scene.node, &scene.desk, &jar(&mine), "pas du XML").await.status, 401);
        scene.stage.advance(chrono::Duration::minutes(16));
        assert_eq!(bring_back(&scene.node, &scene.desk, &jar(&mine), &document).await.status, 401);
        assert_eq!(scene.stage.count("SELECT count(*) FROM session_family").await, 0);
    });
}

#[test]
fn several_accounts_are_a_choice_made_once() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let elsewhere = scene.territory.school("Lycée Jean-Moulin").await;
        let pupil = elsewhere.class("2nde 1").await.pupil("Paul Martin").await;
        known_as(&scene.stage, &pupil, "25", "1002").await;
        let both = ["{AAF}25|x|1001", "{AAF}25|y|1002"];
        let offered = scene.come("_t1", &both).await.expect(200);
        let page = text(&offered);
        assert!(
            page.contains("Collège Rosa-Parks (Responsable)") && page.contains("Lycée Jean-Moulin (Élève)"),
            "{page}"
        );
        assert!(!jar(&offered).contains("__Host-preau="));

        let at = if page.find("Jean-Moulin") < page.find("Rosa-Parks") { "0" } else { "1" };
        let choose = async |origin: &str, cookies: &str, at: &str| {
            post_form(&scene.node, &scene.desk.ours("choix"), origin, cookies, &[("account", at)]).await
        };
        assert_eq!(choose("https://evil.test", &jar(&offered), at).await.status, 403);
        assert_eq!(choose(HERE, "", at).await.status, 401);
        assert_eq!(choose(HERE, &jar(&offered), "7").await.status, 401);
        let inside = choose(HERE, &jar(&offered), at).await.expect(303);
        let me =
            scene.node.stranger().with("cookie", &jar(&inside)).get("/api/v1/home").await.expect(200).json();
        assert!(me.to_string().contains(&pupil.id.to_string()), "{me}");
        // On a shared device: going back and choosing again opens nothing.
        assert_eq!(choose(HERE, &jar(&offered), at).await.status, 401);

        // Of two, one is blocked: the other comes in at once.
        scene
            .stage
            .sql(&format!("UPDATE account SET blocked_at = now() WHERE person_id = '{}'", pupil.id))
            .await;
        assert_eq!(scene.come("_t2", &both).await.status, 303);
    });
}

#[test]
fn whoever_is_not_let_in_is_told_what_to_do() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        for values in [&["{AAF}25|x|9999"][..], &["{ECT}25|x|1001"], &["{AAF}13|x|1001"], &[]] {
            let page = scene.come("_t1", values).await.expect(200);
            assert!(
                text(&page).contains("code sur papier") && text(&page).contains("secrétariat"),
                "{values:?}"
            );
            assert!(jar(&page).is_empty());
        }
        let value = ["{AAF}25|x|1001"];
        let set = async |change: &str| {
            let sql = format!("UPDATE account SET {change} WHERE person_id = '{}'", scene.guardian.id);
            scene.stage.sql(&sql).await;
        };
        set("blocked_at = now()").await;
        assert!(text(&scene.come("_t1", &value).await.expect(403)).contains("suspendu"));
        set("blocked_at = NULL, state = 'deleted', deleted_at = now()").await;
        assert!(text(&scene.come("_t1", &value).await.expect(403)).contains("annuaire"));
        set("state = 'active', deleted_at = NULL").await;
        assert_eq!(scene.come("_t1", &value).await.status, 303);
        // Whose membership has ended is in no school of ours any more.
        scene.stage.sql("UPDATE person_membership SET ended_at = now()").await;
        assert!(text(&scene.come("_t1", &value).await.expect(200)).contains("code sur papier"));
    });
}

#[test]
fn agents_come_by_the_address_that_the_academy_gave() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let (desk, _) = StandIn::trusted_by(&scene.stage, &scene.territory, "agents", "agents").await;
        let teacher = scene.school.class("5e A").await.teacher("Claire Durand").await;
        let set = async |who: &Persona, origin: &str| {
            let sql = format!(
                "UPDATE person SET email = 'Claire.Durand@ac-test.fr', email_origin = '{origin}' WHERE person_id = '{}'",
                who.id
            );
            scene.stage.sql(&sql).await;
        };
        let come = async |attributes: &[(&str, &[&str])]| {
            let departure = scene.node.stranger().get(&desk.ours("depart")).await.expect(303);
            let document = desk.answer(&departure, "_a1", attributes);
            bring_back(&scene.node, &desk, &jar(&departure), &document).await
        };
        set(&teacher, "feed").await;
        // A guardian with the same address, and a colleague who typed it, are not meant.
        set(&scene.guardian, "feed").await;
        let colleague = scene.school.staff("Nora Vidal").await;
        set(&colleague, "hand").await;
        for attributes in [
            &[("mail", &["claire.durand@ac-test.fr"][..])][..],
            &[("ctemail", &["claire.durand@AC-TEST.fr"][..])],
        ] {
            assert_eq!(come(attributes).await.status, 303);
        }
        let opened = format!("SELECT count(*) FROM session_family WHERE person_id = '{}'", teacher.id);
        assert_eq!(scene.stage.count(&opened).await, 2);
        assert_eq!(scene.stage.count("SELECT count(*) FROM session_family").await, 2);
        let unknown = come(&[("mail", &["autre@ac-test.fr"])]).await.expect(200);
        assert!(text(&unknown).contains("adresse académique"));
        assert_eq!(come(&[]).await.status, 200);
    });
}

#[test]
fn desks_of_academies_name_the_child_and_the_school() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let stage = &scene.stage;
        let other = scene.territory.school("Lycée Jean-Moulin").await;
        let class = scene.school.class("5e A").await;
        let (lina, hugo) = (class.pupil("Lina LŒuillet").await, class.pupil("Hugo Martin").await);
        let paul = scene.guardian.clone();
        for child in [&lina, &hugo] {
            scene.school.link(&paul, child, 1).await;
        }
        // A neighbour whom only a telephone number links, and a namesake elsewhere with the same number.
        let neighbour = scene.school.guardian_of(&hugo, "Jeanne Voisin").await;
        let away = other.class("2nde 1").await.pupil("Zoé Roux").await;
        let set = async |sql: String| stage.sql(&sql).await;
        set(format!("UPDATE guardian_link SET legal = 0 WHERE guardian_id = '{}'", neighbour.id)).await;
        for (child, number) in [(&lina, "701294"), (&hugo, "701295"), (&away, "701294")] {
            set(format!("UPDATE person SET siecle_id = '{number}' WHERE person_id = '{}'", child.id)).await;
        }
        let here = scene.school.uai.clone();
        let come = async |values: &[String]| {
            let departure = scene.depart().await;
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let document = scene.desk.answer(&departure, "_v", &[("FrEduVecteur", values.as_slice())]);
            bring_back(&scene.node, &scene.desk, &jar(&departure), &document).await
        };
        let opened = async |who: &Persona| {
            let sql = format!("SELECT count(*) FROM session_family WHERE person_id = '{}'", who.id);
            stage.count(&sql).await
        };
        // The pupil, of the school that is named.
        assert_eq!(come(&[format!("4|||701294|{here}")]).await.status, 303);
        assert_eq!(come(&[format!("4|ROUX|Zoe|701294|{}", other.uai)]).await.status, 303);
        assert_eq!((opened(&lina).await, opened(&away).await), (1, 1));
        // A guardian of two children is one person; one value that means nobody spoils nothing.
        let family = [
            format!("2|MARTIN|Paul|701294|{here}"),
            format!("2|Martin|PAUL|701295|{here}"),
            format!("2|MARTIN|Paul|999|{here}"),
        ];
        assert_eq!(come(&family).await.status, 303);
        assert_eq!(opened(&paul).await, 1);
        // Two people: a choice.
        let both = [format!("2|MARTIN|Paul|701294|{here}"), format!("4|||701294|{}", other.uai)];
        assert!(text(&come(&both).await.expect(200)).contains("Zoé Roux"));
        // Nobody: not of that school, not a guardian, no such name, not the profile, not a vector.
        for value in [
            format!("4|||701295|{}", other.uai),
            format!("2|VOISIN|Jeanne|701295|{here}"),
            format!("2|MARTIN|Pauline|701294|{here}"),
            format!("2|MARTIN|Paul|701294|{}", other.uai),
            "4|||701294|0000000X".to_owned(),
            format!("701294|{here}"),
        ] {
            let page = come(std::slice::from_ref(&value)).await.expect(200);
            assert!(text(&page).contains("secrétariat") && jar(&page).is_empty(), "{value}");
        }
        // Two guardians of one name: to guess would open somebody else's account.
        scene.school.guardian_of(&hugo, "Paul Martin").await;
        let page = come(&[format!("2|MARTIN|Paul|701295|{here}")]).await.expect(200);
        assert!(text(&page).contains("secrétariat"));
        // A desk speaks for its academies only.
        set("UPDATE federation_provider SET academies = ARRAY['7']".to_owned()).await;
        let (node, desk) = (stage.node().await, &scene.desk);
        let again = async || {
            let departure = node.stranger().get(&desk.ours("depart")).await.expect(303);
            let vector = format!("4|||701294|{here}");
            let document = desk.answer(&departure, "_w", &[("FrEduVecteur", &[vector.as_str()])]);
            bring_back(&node, desk, &jar(&departure), &document).await.status.as_u16()
        };
        known_as(stage, &lina, "P25", "2001").await;
        assert_eq!(again().await, 200);
        known_as(stage, &lina, "07-1D", "2002").await;
        assert_eq!(again().await, 303);
        assert_eq!(stage.count("SELECT count(*) FROM session_family").await, 4);
    });
}

#[test]
fn a_record_that_was_merged_comes_in_as_the_one_that_was_kept() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let (desk, _) = StandIn::trusted_by(&scene.stage, &scene.territory, "agents", "agents").await;
        let class = scene.school.class("5e A").await;
        let (merged, kept) = (class.teacher("Claire Durant").await, class.teacher("Claire Durand").await);
        let pupil = class.pupil("Paul Martin").await;
        known_as(&scene.stage, &pupil, "25", "1002").await;
        let offered = scene.come("_t1", &["{AAF}25|x|1001", "{AAF}25|y|1002"]).await.expect(200);
        let mail =
            "UPDATE person SET email = 'claire.durant@ac-test.fr', email_origin = 'feed' WHERE person_id = ";
        scene.stage.sql(&format!("{mail}'{}'", merged.id)).await;
        for (gone, stays) in [(&merged, &kept), (&pupil, &scene.guardian)] {
            let sql = format!(
                "UPDATE account SET state = 'merged', merged_into = '{}' WHERE person_id = '{}'",
                stays.id, gone.id
            );
            scene.stage.sql(&sql).await;
        }
        let departure = scene.node.stranger().get(&desk.ours("depart")).await.expect(303);
        let document = desk.answer(&departure, "_a1", &[("mail", &["claire.durant@ac-test.fr"])]);
        assert_eq!(bring_back(&scene.node, &desk, &jar(&departure), &document).await.status, 303);
        let opened =
            |who: &Persona| format!("SELECT count(*) FROM session_family WHERE person_id = '{}'", who.id);
        assert_eq!(scene.stage.count(&opened(&kept)).await, 1);
        // A choice that was offered before.
        let page = text(&offered);
        let at = if page.find("Élève") < page.find("Responsable") { "0" } else { "1" };
        let chosen =
            post_form(&scene.node, &scene.desk.ours("choix"), HERE, &jar(&offered), &[("account", at)]).await;
        assert_eq!(chosen.status, 303);
        assert_eq!(scene.stage.count(&opened(&scene.guardian)).await, 1);
        // Both records behind one family: one person, and no choice.
        assert_eq!(scene.come("_t2", &["{AAF}25|x|1001", "{AAF}25|y|1002"]).await.status, 303);
        assert_eq!(scene.stage.count(&opened(&scene.guardian)).await, 2);
        // Merged into somebody who is blocked.
        let blocked = format!("UPDATE account SET blocked_at = now() WHERE person_id = '{}'", kept.id);
        scene.stage.sql(&blocked).await;
        let departure = scene.node.stranger().get(&desk.ours("depart")).await.expect(303);
        let document = desk.answer(&departure, "_a2", &[("mail", &["claire.durant@ac-test.fr"])]);
        let shut = bring_back(&scene.node, &desk, &jar(&departure), &document).await.expect(403);
        assert!(text(&shut).contains("suspendu"));
    });
}

#[test]
fn no_address_leads_elsewhere() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let foreign = [
            "//evil.test",
            "https://evil.test/",
            "/\\evil.test",
            "/%2F/evil.test",
            "\\\\evil.test",
            "/semaine/..//evil.test/\\x",
            "javascript:alert(1)",
            "http:evil.test",
            "/deconnexion",
            "/federation/essai/depart",
            "https://localhost:8080@evil.test",
            "/semaine/a\r\nSet-Cookie: x=1",
            "%0d%0aLocation: https://evil.test",
            "///evil.test",
            "/appareils@evil.test",
            "ⓔvil.test",
        ];
        for wanted in foreign {
            let escaped = wanted.bytes().fold(String::new(), |out, byte| out + &format!("%{byte:02X}"));
            let path = format!("{}?vers={escaped}", scene.desk.ours("depart"));
            let departure = scene.node.stranger().get(&path).await.expect(303);
            assert!(
                departure.header("location").unwrap().starts_with("https://desk.test/essai?"),
                "{wanted}"
            );
            let document = scene.desk.answer(&departure, "_t1", &[("FrEduCtRefId", &["{AAF}25|x|1001"])]);
            let inside = bring_back(&scene.node, &scene.desk, &jar(&departure), &document).await.expect(303);
            let to = inside.header("location").unwrap();
            assert!(
                to == "/" || (to.starts_with("/semaine/") && !to.contains("//") && !to.contains('\\')),
                "{wanted}: {to}"
            );
        }
        // RelayState is not looked at.
        let departure = scene.depart().await;
        let document = scene.desk.answer(&departure, "_t1", &[("FrEduCtRefId", &["{AAF}25|x|1001"])]);
        let packed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, document);
        let fields = [("SAMLResponse", packed.as_str()), ("RelayState", "https://evil.test/")];
        let back = post_form(
            &scene.node,
            &scene.desk.ours("retour"),
            "https://desk.test",
            &jar(&departure),
            &fields,
        )
        .await;
        assert_eq!(back.expect(303).header("location"), Some("/"));
    });
}

#[test]
fn signing_out_goes_both_ways() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let value = ["{AAF}25|x|1001"];
        let inside = scene.come("_t1", &value).await.expect(303);
        let other = scene.come("_t2", &value).await.expect(303);

        // Unsigned, or about somebody else: nobody is signed out.
        let ask = async |address: String| scene.node.stranger().get(&address).await;
        assert_eq!(ask(scene.desk.asks_to_sign_out("_t1", false)).await.status, 400);
        ask(scene.desk.asks_to_sign_out("_t9", true)).await.expect(303);
        assert!(is_in(&scene.node, &jar(&inside)).await);

        // The desk asks: that session, and no other.
        let answered = ask(scene.desk.asks_to_sign_out("_t1", true)).await.expect(303);
        let to = answered.header("location").unwrap();
        assert!(
            to.starts_with("https://desk.test/essai?SAMLResponse=") && to.contains("&RelayState=relay"),
            "{to}"
        );
        assert!(!is_in(&scene.node, &jar(&inside)).await);
        assert!(is_in(&scene.node, &jar(&other)).await);

        // We ask: signed out here first, then a link.
        let left = post_form(&scene.node, "/deconnexion", HERE, &jar(&other), &[]).await.expect(303);
        assert_eq!(left.header("location"), Some(scene.desk.ours("deconnexion").as_str()));
        assert!(!is_in(&scene.node, &jar(&other)).await);
        let browser = scene.node.stranger().with("cookie", &jar(&left));
        assert!(
            text(&browser.get(&scene.desk.ours("deconnexion")).await.expect(200))
                .contains("deconnexion?suite")
        );
        let on = browser.get(&format!("{}?suite", scene.desk.ours("deconnexion"))).await.expect(303);
        assert!(on.header("location").unwrap().starts_with("https://desk.test/essai?SAMLRequest="));
    });
}

#[test]
fn a_desk_is_kept_by_its_territory() {
    play(async |stage| {
        let scene = Scene::new(stage).await;
        let admin = scene.territory.admin().await;
        let proven = scene.node.proven(&admin).await;
        let path = format!("/api/v1/territories/{}/federation-providers", scene.territory.id);
        let keyed =
            || proven.clone().with("idempotency-key", &scene.stage.clock().mint::<Uuid>().to_string());
        let certificate = Certificate::parse(&pem().1).unwrap();
        let desk = |slug: &str, entity: &str| {
            json!({ "slug": slug, "kind": "educonnect", "name": "ÉduConnect", "academies": ["025", "P07"], "enabled": true,
                    "metadata": metadata(entity, &certificate) })
        };
        let unproven = scene.node.signed_in(&admin).await.with("idempotency-key", "une clef de test");
        unproven.post(&path, &desk("nouveau", "https://desk.test/n")).await.refused(403, "proof-required");

        let made = keyed().post(&path, &desk("nouveau", "https://desk.test/n")).await.expect(201).json();
        assert_eq!(made["certificates"][0]["fingerprint"], certificate.fingerprint());
        assert_eq!(made["academies"], json!(["25", "7"]));
        keyed()
            .post(&path, &desk("nouveau", "https://desk.test/n"))
            .await
            .refused(409, "federation-slug-taken");
        keyed().post(&path, &desk("loin", "http://desk.test/n")).await.refused(422, "federation-metadata");
        keyed().post(&path, &desk("Majuscule", "https://desk.test/n")).await.refused(400, "invalid-field");
        let mut broken = desk("cassé", "https://desk.test/n");
        broken["slug"] = json!("casse");
        broken["metadata"] = json!("<a/>");
        keyed().post(&path, &broken).await.refused(422, "federation-metadata");
        assert_eq!(proven.get(&path).await.expect(200).json()["items"].as_array().unwrap().len(), 2);

        let listed = async || {
            let all = scene.node.stranger().get("/api/v1/federation").await.expect(200).json();
            let found = all["items"].as_array().unwrap().iter().find(|it| it["slug"] == "nouveau").cloned();
            found.map(|it| it["state"].as_str().unwrap().to_owned())
        };
        assert_eq!(listed().await.as_deref(), Some("open"));
        let ours = scene.node.stranger().get("/federation/nouveau/metadata").await.expect(200);
        assert!(text(&ours).contains("http://localhost:8080/federation/nouveau/retour"));

        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        let change = async |body: serde_json::Value| {
            let body = body.to_string().into();
            keyed().send(http::Method::PATCH, &one, Some(("application/json", body))).await
        };
        assert_eq!(change(json!({ "down": true })).await.expect(200).json()["down"], true);
        assert_eq!(listed().await.as_deref(), Some("down"));
        let page = scene.node.stranger().get("/federation/nouveau/depart").await.expect(503);
        assert!(text(&page).contains("mot de passe") && page.header("location").is_none());
        change(json!({ "down": false, "enabled": false })).await.expect(200);
        assert_eq!(listed().await, None);
        assert_eq!(scene.node.stranger().get("/federation/nouveau/depart").await.status, 404);
        // Metadata of another desk is not taken for this one's.
        let other = json!({ "metadata": metadata("https://desk.test/other", &certificate) });
        change(other).await.refused(422, "federation-metadata");
        let journal = format!(
            "SELECT count(*) FROM journal WHERE chain_id = '{}' AND act LIKE 'federation.%'",
            scene.territory.id
        );
        assert_eq!(scene.stage.count(&journal).await, 3);
    });
}

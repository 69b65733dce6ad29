//! Whoever has shown who they are, by a desk or with a code, and finds no room: nothing of it is lost, nothing is half done,
//! and they wait in the same line as everybody.

use preau_identity::TERMS_VERSION;
use preau_kernel::Role;
use preau_tests::{Answer, Class, Node, PASSWORD, Persona, Stage, desk, play};
use serde_json::{Value, json};

use crate::queue::{
    class, cookie, crowd, holding, place, sessions, slow, submit, text, ticket, until_no_place, with,
};

const NEW_PASSWORD: &str = "un tout autre chemin creux";
const ORIGIN: &str = "http://localhost:8080";
const KEPT: &str = "__Host-preau-retenu";

/// From here on this table takes nothing in: the statement is cancelled, as one that has run out of time is.
async fn no_room_in(stage: &Stage, table: &str) {
    let sql = format!(
        "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '57014'; END $$;
         CREATE TRIGGER no_room BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION no_room();"
    );
    stage.sql(&sql).await;
}

async fn room_in(stage: &Stage, table: &str) {
    stage.sql(&format!("DROP TRIGGER no_room ON {table}")).await;
}

struct Desk {
    node: Node,
    stand_in: desk::StandIn,
}

impl Desk {
    /// A desk that knows Paul Martin under the key 1001, before a node that lets one person a second in, or everybody.
    async fn before(stage: &Stage, is_slow: bool) -> Self {
        let territory = stage.territory("test").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let lina = school.class("6e B").await.pupil("Lina Martin").await;
        let paul = school.guardian_of(&lina, "Paul Martin").await;
        stage
            .sql(&format!(
                "INSERT INTO join_key (territory_id, academy, join_key, person_id) VALUES ('{}', '25', '1001', '{}')",
                territory.id, paul.id
            ))
            .await;
        let (stand_in, _) = desk::StandIn::trusted_by(stage, &territory, "essai", "educonnect").await;
        // Last: a node learns at its start which territories there are.
        let node = if is_slow { slow(stage).await } else { stage.node().await };
        Self { node, stand_in }
    }

    /// To the desk, when it is one's turn.
    async fn depart(&self, stage: &Stage, path: &str) -> Answer {
        let asked = self.node.stranger().get(path).await;
        if asked.status != 202 {
            return asked.expect(303);
        }
        let back = holding(&self.node, &[&asked]);
        until_no_place(stage, &self.node, async || back.get(path).await).await.expect(303)
    }

    /// There and back.
    async fn come(&self, stage: &Stage, path: &str) -> Answer {
        let departure = self.depart(stage, path).await;
        let document = self.stand_in.answer(&departure, "_t1", &[("FrEduCtRefId", &["{AAF}25|x|1001"])]);
        desk::bring_back(&self.node, &self.stand_in, &desk::jar(&departure), &document).await
    }
}

#[test]
fn what_a_desk_has_said_is_kept_while_there_is_no_room() {
    play(async |stage| {
        let desk = Desk::before(&stage, false).await;
        let suite = desk.stand_in.ours("suite");
        let by_desk = async || stage.count("SELECT count(*) FROM federation_session").await;
        for (so_far, table) in (0_i64..).zip(["federation_use", "session_family", "federation_session"]) {
            no_room_in(&stage, table).await;
            let kept = desk.come(&stage, &desk.stand_in.ours("depart")).await.expect(202);
            assert!(text(&kept).contains("Le guichet vous a reconnu"), "{table}: {}", text(&kept));
            assert!(kept.header("retry-after").is_some() && text(&kept).len() <= 4096);
            // Neither of the two is written without the other, and no session stays that nobody was told of.
            assert_eq!((sessions(&stage).await, by_desk().await), (so_far, so_far), "{table}");
            let line = kept.cookies().into_iter().find(|it| it.starts_with(KEPT)).unwrap().to_owned();
            for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
                assert!(line.contains(attribute), "{line}");
            }

            // Reloaded meanwhile: the same place, and the same answer of the desk.
            let browser = holding(&desk.node, &[&kept]);
            let door = browser.get("/connexion").await.expect(303);
            assert_eq!(door.header("location"), Some(suite.as_str()), "the way in leads on");
            room_in(&stage, table).await;
            let inside =
                until_no_place(&stage, &desk.node, async || browser.get(&suite).await).await.expect(303);
            assert_eq!(inside.header("location"), Some("/"));
            for gone in [KEPT, "__Host-preau-ticket"] {
                assert!(cookie(&inside, gone).is_some_and(|value| value.is_empty()), "{gone}");
            }
            assert_eq!((sessions(&stage).await, by_desk().await), (so_far + 1, so_far + 1), "{table}");
            holding(&desk.node, &[&inside]).get("/").await.expect(200);
            // Used up: nobody comes in by it again.
            let again =
                until_no_place(&stage, &desk.node, async || browser.get(&suite).await).await.expect(401);
            assert!(text(&again).contains("used") && !desk::jar(&again).contains("__Host-preau="));
            assert_eq!(sessions(&stage).await, so_far + 1);
        }
    });
}

#[test]
fn what_a_desk_has_said_is_believed_of_us_alone_and_not_for_ever() {
    play(async |stage| {
        let desk = Desk::before(&stage, false).await;
        let suite = desk.stand_in.ours("suite");
        no_room_in(&stage, "session_family").await;
        let kept = desk.come(&stage, &desk.stand_in.ours("depart")).await.expect(202);
        let value = cookie(&kept, KEPT).unwrap();
        room_in(&stage, "session_family").await;
        let (slug, sealed) = value.split_once(':').unwrap();
        let middle = sealed.len() / 2;
        let cut = format!("{slug}:{}{}", &sealed[..middle], &sealed[middle + 1..]);
        for bad in [cut.as_str(), "essai:", "essai:x.y", "autre:x.y", ""] {
            let stranger = desk.node.stranger().with("cookie", &format!("{KEPT}={bad}"));
            stranger.get(&suite).await.expect(401);
        }
        // No departure is an answer: somebody who never came back from the desk is nobody.
        let departure = desk.depart(&stage, &desk.stand_in.ours("depart")).await;
        let departed = cookie(&departure, "__Host-preau-depart").unwrap();
        let stranger = desk.node.stranger().with("cookie", &format!("{KEPT}=essai:{departed}"));
        stranger.get(&suite).await.expect(401);
        // On a device that is one's own it is good for half an hour; on a shared one for five minutes.
        let shared = async || {
            no_room_in(&stage, "session_family").await;
            let kept =
                desk.come(&stage, &format!("{}?partage", desk.stand_in.ours("depart"))).await.expect(202);
            room_in(&stage, "session_family").await;
            holding(&desk.node, &[&kept])
        };
        let next = shared().await;
        stage.advance(chrono::Duration::minutes(6));
        next.get(&suite).await.expect(401);
        let own = holding(&desk.node, &[&kept]);
        stage.advance(chrono::Duration::minutes(26));
        own.get(&suite).await.expect(401);
        assert_eq!(sessions(&stage).await, 0);
    });
}

#[test]
fn a_liar_at_a_desk_waits_in_the_own_line_and_need_not_go_back_to_the_desk() {
    play(async |stage| {
        let desk = Desk::before(&stage, true).await;
        let node = desk.node.clone();
        crowd(&node, 3).await;
        let depart = desk.stand_in.ours("depart");
        let lied = node.stranger().get(&format!("{depart}?profil=pupil")).await.expect(202);
        let back = holding(&node, &[&lied]);
        let departure = until_no_place(&stage, &node, async || back.get(&depart).await).await.expect(303);
        let document = desk.stand_in.answer(&departure, "_t1", &[("FrEduCtRefId", &["{AAF}25|x|1001"])]);
        let told =
            desk::bring_back(&node, &desk.stand_in, &desk::jar(&departure), &document).await.expect(202);
        assert!(text(&told).contains("n’était pas celle de votre profil"), "{}", text(&told));
        assert_eq!(sessions(&stage).await, 0);
        let back = holding(&node, &[&told]);
        let suite = desk.stand_in.ours("suite");
        let inside = until_no_place(&stage, &node, async || back.get(&suite).await).await.expect(303);
        assert_eq!(inside.header("location"), Some("/"));
        assert_eq!(sessions(&stage).await, 1);
    });
}

#[expect(clippy::disallowed_methods, reason = "the owner's own connection to a test's database")]
async fn owners(stage: &Stage) -> sqlx::Transaction<'static, sqlx::Postgres> {
    stage.owner().begin().await.expect("a transaction")
}

#[test]
fn nobody_is_refused_once_the_session_is_written() {
    play(async |stage| {
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        let node = stage.node().await;
        // Names of schools are told with the session: they are read before it is written.
        let mut holder = owners(&stage).await;
        sqlx::query("LOCK TABLE school IN ACCESS EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
        let body = json!({ "login": lina.login, "password": PASSWORD });
        node.stranger().post("/api/v1/sessions", &body).await.refused(409, "busy");
        assert_eq!(sessions(&stage).await, 0);
        holder.rollback().await.unwrap();
        node.stranger().post("/api/v1/sessions", &body).await.expect(201);
    });
}

/// People enough of one school for a line there: schools take turns, and whoever is first of theirs hardly waits.
async fn crowd_of(node: &Node, class: &Class, how_many: usize) {
    let declared = json!({ "declared": { "profile": "pupil", "school_id": class.school.id } });
    for _ in 0..how_many {
        node.stranger().post("/api/v1/queue/tickets", &declared).await;
    }
    node.app.door.turn().await;
}

/// A pupil who has not come yet, with the code on the paper.
async fn newcomer(node: &Node, class: &Class) -> (Persona, String) {
    let teacher = class.teacher("Claire Durand").await;
    let pupil = class.school.territory.person_in_state("Zoé Nouvelle", "imported").await;
    class.school.enrol(&pupil, Role::Pupil).await;
    class.join(&pupil).await;
    let path = class.school.url(&format!("people/{}/activation-code", pupil.id));
    let made = node.signed_in(&teacher).await.post(&path, &json!({})).await.expect(201).json();
    (pupil, made["code"].as_str().unwrap().to_owned())
}

fn activation(who: &Persona, code: &str) -> Value {
    json!({ "login": who.login, "code": code, "password": NEW_PASSWORD, "accept_terms": true,
            "terms_version": TERMS_VERSION, "tokens": true })
}

#[test]
fn an_activation_waits_in_the_line_of_whom_the_code_is_for() {
    play(async |stage| {
        let class = class(&stage).await;
        let node = slow(&stage).await;
        let (zoe, code) = newcomer(&node, &class).await;
        let before = sessions(&stage).await;
        crowd_of(&node, &class, 6).await;
        let activate = async |body: Value| node.stranger().post("/api/v1/activations", &body).await;
        activate(activation(&zoe, "ZZZZZ-ZZZZZ-ZZZ")).await.refused(401, "bad-activation");
        let at = place(activate(activation(&zoe, &code)).await);
        assert_eq!((at["class"].as_str(), at["reason"].as_str()), (Some("in-slot"), Some("pupil")), "{at}");
        let held = with(activation(&zoe, &code), "ticket", ticket(&at));
        assert_eq!(ticket(&place(activate(held.clone()).await)), ticket(&at), "the same place");
        let unused = "SELECT count(*) FROM activation_code WHERE used_at IS NULL";
        assert_eq!((sessions(&stage).await, stage.count(unused).await), (before, 1), "nothing was used");
        until_no_place(&stage, &node, async || activate(held.clone()).await).await.expect(201);
        assert_eq!((sessions(&stage).await, stage.count(unused).await), (before + 1, 0));

        // The place has let her in: with it nobody else comes.
        let omar = class.pupil("Omar Petit").await;
        crowd_of(&node, &class, 6).await;
        let body = json!({ "login": omar.login, "password": PASSWORD, "ticket": ticket(&at) });
        let other = place(node.stranger().post("/api/v1/sessions", &body).await);
        assert_ne!(ticket(&other), ticket(&at));
    });
}

#[test]
fn a_code_that_finds_no_room_has_a_place_and_stays_good() {
    play(async |stage| {
        let class = class(&stage).await;
        let node = stage.node().await;
        let (zoe, code) = newcomer(&node, &class).await;
        let mut body = activation(&zoe, &code);
        for table in ["session_family", "credential"] {
            no_room_in(&stage, table).await;
            let at = place(node.stranger().post("/api/v1/activations", &body).await);
            assert_eq!(at["class"], "in-slot", "{at}");
            room_in(&stage, table).await;
            body = with(body, "ticket", ticket(&at));
        }
        assert_eq!(stage.count("SELECT count(*) FROM account WHERE state = 'imported'").await, 1);
        let done =
            until_no_place(&stage, &node, async || node.stranger().post("/api/v1/activations", &body).await);
        done.await.expect(201);
    });
}

#[test]
fn a_new_password_waits_too_and_its_code_is_used_at_the_end() {
    play(async |stage| {
        let class = class(&stage).await;
        let node = slow(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        let teacher = class.teacher("Claire Durand").await;
        let path = class.school.url(&format!("people/{}/reset-code", lina.id));
        let made =
            node.signed_in(&teacher).await.post(&path, &json!({ "hours": 1 })).await.expect(201).json();
        crowd_of(&node, &class, 6).await;
        let body = json!({ "login": lina.login, "code": made["code"], "password": NEW_PASSWORD });
        let reset =
            async |body: &Value| node.stranger().post("/api/v1/password-resets/completion", body).await;
        let at = place(reset(&body).await);
        assert_eq!(at["class"], "in-slot", "{at}");
        let held = with(body, "ticket", ticket(&at));
        until_no_place(&stage, &node, async || reset(&held).await).await.expect(204);
        reset(&held).await.refused(401, "bad-reset");
    });
}

#[test]
fn the_page_of_a_code_holds_what_was_typed_and_the_place() {
    play(async |stage| {
        let class = class(&stage).await;
        let node = slow(&stage).await;
        let (zoe, code) = newcomer(&node, &class).await;
        crowd_of(&node, &class, 6).await;
        let form = format!(
            "login={}&code={code}&password={}&terms_version={TERMS_VERSION}&accept_terms=yes",
            zoe.login,
            NEW_PASSWORD.replace(' ', "+")
        );
        let here = node.stranger().with("origin", ORIGIN);
        let waits = submit(&here, "/activation", &form).await.expect(202);
        let page = text(&waits);
        assert!(page.len() <= 4096 && page.contains("Vous attendez avec les élèves"), "{page}");
        assert!(page.contains(&format!("name=\"code\" value=\"{code}\"")) && !page.contains(NEW_PASSWORD));
        assert!(!page.contains("http-equiv"), "a reload would lose what was typed");
        let held = cookie(&waits, "__Host-preau-ticket").unwrap();
        assert!(!held.contains('.'), "a code is in no cookie");
        let browser = holding(&node, &[&waits]);
        let again = submit(&browser, "/activation", &form).await.expect(202);
        assert_eq!(cookie(&again, "__Host-preau-ticket").unwrap(), held);
        assert!(text(&again).contains("votre place n’a pas changé"), "{}", text(&again));
        let inside = until_no_place(&stage, &node, async || submit(&browser, "/activation", &form).await)
            .await
            .expect(303);
        assert_eq!(inside.header("location"), Some("/"));
        assert!(cookie(&inside, "__Host-preau-ticket").is_some_and(|value| value.is_empty()));
        holding(&node, &[&inside]).get("/").await.expect(200);
    });
}

#[test]
fn the_day_tells_ones_own_hours() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        let head = node.proven(&class.school.admin().await).await;
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let plan = json!({ "name": "Plages", "mode": "advice", "starts_on": "2020-01-01", "siblings": false,
            "windows": [{ "profile": "pupil", "days": days, "from": "08:30", "to": "09:00" }] });
        let me = node.signed_in(&lina).await;
        assert!(!text(&me.get("/").await.expect(200)).contains("Votre créneau"));
        let head = head.with("idempotency-key", "cle-de-test-1");
        head.post(&class.school.url("plans"), &plan).await.expect(201);
        let page = text(&me.get("/").await.expect(200));
        assert!(page.contains("Votre créneau aujourd’hui\u{a0}: 8:30 – 9:00"), "{page}");
        assert!(page.contains("href=\"/plages-horaires\"") && page.contains("id=\"slot-data\""));
    });
}

//! Accounts: sheets, addresses, lost passwords, blocks, terms, profiles of a device; and the morning of the rentrée.

use std::collections::BTreeSet;

use chrono::Duration;
use futures::{StreamExt, stream};
use preau_identity::{ActivationCode, TERMS_VERSION};
use preau_kernel::Role;
use preau_post::{Security, Transport};
use preau_tests::{Answer, Class, Client, Node, PASSWORD, Persona, Session, Stage, play};
use serde_json::{Value, json};

use crate::smtp::SmtpServer;

const SESSIONS: &str = "/api/v1/sessions";
const NEW_PASSWORD: &str = "un tout autre chemin creux";

async fn class(stage: &Stage) -> Class {
    stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await
}

async fn newcomer(class: &Class, name: &str, role: Role) -> Persona {
    let persona = class.school.territory.person_in_state(name, "imported").await;
    class.school.enrol(&persona, role).await;
    persona
}

async fn in_class(stage: &Stage, class: &Class, persona: &Persona) {
    let (school, class, person) = (class.school.id, class.id, persona.id);
    stage
        .sql(&format!("INSERT INTO class_pupil (school_id, class_id, person_id) VALUES ('{school}', '{class}', '{person}')"))
        .await;
}

async fn give_email(stage: &Stage, persona: &Persona, email: &str) {
    stage.sql(&format!("UPDATE person SET email = '{email}' WHERE person_id = '{}'", persona.id)).await;
}

async fn sign_in(node: &Node, login: &str, password: &str) -> Answer {
    node.stranger().post(SESSIONS, &json!({ "login": login, "password": password, "tokens": true })).await
}

fn activation(login: &str, code: &str) -> Value {
    json!({ "login": login, "code": code, "password": NEW_PASSWORD, "accept_terms": true, "terms_version": TERMS_VERSION,
            "tokens": true })
}

fn school_path(class: &Class, rest: &str) -> String {
    format!("/api/v1/schools/{}/{rest}", class.school.id)
}

async fn ask_for_password(node: &Node, identifier: &str, channel: &str) -> Answer {
    let body = json!({ "identifier": identifier, "channel": channel });
    node.stranger().post("/api/v1/password-resets", &body).await.expect(202)
}

async fn complete(node: &Node, body: &Value) -> Answer {
    node.stranger().post("/api/v1/password-resets/completion", body).await
}

#[test]
fn a_teacher_prints_the_sheets_of_a_class_and_every_code_opens_its_account() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let teacher = class.teacher("Claire Durand").await;
        let mut pupils = Vec::new();
        for number in 0..30 {
            let pupil = newcomer(&class, &format!("Élève Numéro{number:02}"), Role::Pupil).await;
            in_class(&stage, &class, &pupil).await;
            pupils.push(pupil);
        }
        let active = class.pupil("Omar Actif").await;
        let me = node.signed_in(&teacher).await;
        let path = school_path(&class, "activation-sheets");
        let body = json!({ "audience": "pupils", "class_id": class.id });
        let made = me.post(&path, &body).await.expect(201).json();
        let items = made["items"].as_array().unwrap();
        assert_eq!((items.len(), &made["school_name"]), (31, &json!("Collège Rosa-Parks")));
        let codes: BTreeSet<&str> = items.iter().filter_map(|item| item["code"].as_str()).collect();
        assert_eq!(codes.len(), 30, "one each, and none for who has activated");
        let omar = items.iter().find(|item| item["person_id"] == json!(active.id)).unwrap();
        assert_eq!((omar.get("code"), &omar["state"]), (None, &json!("active")));
        assert_eq!(stage.count("SELECT count(*) FROM journal WHERE act = 'identity.make-sheets'").await, 1);
        for item in items.iter().filter(|item| item.get("code").is_some()).take(3) {
            let body = activation(item["login"].as_str().unwrap(), item["code"].as_str().unwrap());
            node.stranger().post("/api/v1/activations", &body).await.expect(201);
        }
        // Printing again voids what was printed before.
        let old = &items[10];
        me.post(&path, &body).await.expect(201);
        let stale = activation(old["login"].as_str().unwrap(), old["code"].as_str().unwrap());
        node.stranger().post("/api/v1/activations", &stale).await.refused(401, "bad-activation");
        let seen = me.get(&format!("{path}?audience=pupils&class_id={}", class.id)).await.expect(200).json();
        assert!(seen["items"].as_array().unwrap().iter().all(|item| item.get("code").is_none()));
    });
}

#[test]
fn sheets_are_for_the_class_s_teachers_as_far_as_the_school_lets_them() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (teacher, admin) = (class.teacher("Claire Durand").await, class.school.admin().await);
        let other = class.school.class("5e A").await;
        let colleague = other.teacher("Paul Autre").await;
        let pupil = newcomer(&class, "Lina Martin", Role::Pupil).await;
        in_class(&stage, &class, &pupil).await;
        let path = school_path(&class, "activation-sheets");
        let body = json!({ "audience": "pupils", "class_id": class.id });
        node.signed_in(&colleague).await.post(&path, &body).await.refused(404, "not-found");
        let guardians = json!({ "audience": "guardians", "class_id": class.id });
        let adults = json!({ "audience": "adults" });
        for wider in [&guardians, &adults] {
            node.signed_in(&teacher).await.post(&path, wider).await.refused(404, "not-found");
            node.signed_in(&admin).await.post(&path, wider).await.expect(201);
        }
        // An administrator of another school may not be reached through a class of this one.
        let elsewhere = class.school.territory.school("Lycée Jean-Moulin").await;
        let double = class.school.territory.person_in_state("Dora Double", "imported").await;
        class.school.enrol(&double, Role::Teacher).await;
        elsewhere.enrol(&double, Role::SchoolAdmin).await;
        let made = node.signed_in(&admin).await.post(&path, &adults).await.expect(201).json();
        let listed = made["items"].as_array().unwrap();
        assert!(listed.iter().all(|item| item["person_id"] != json!(double.id)), "{listed:?}");

        let rights = school_path(&class, "class-rights");
        let mut rule = node.signed_in(&teacher).await.get(&rights).await.expect(200).json();
        assert_eq!(rule["reset_passwords"], true);
        rule["reset_passwords"] = json!(false);
        rule["block"] = json!(false);
        node.signed_in(&teacher).await.put(&rights, &rule).await.refused(403, "forbidden");
        node.signed_in(&admin).await.put(&rights, &rule).await.expect(204);
        let me = node.signed_in(&teacher).await;
        me.post(&path, &body).await.refused(403, "right-withheld");
        let block = school_path(&class, &format!("people/{}/block", pupil.id));
        me.put(&block, &json!({ "reason": "Essai" })).await.refused(403, "right-withheld");
        node.signed_in(&admin).await.post(&path, &body).await.expect(201);
    });
}

#[test]
fn sheets_as_csv_hold_no_formula() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let admin = class.school.admin().await;
        for name in ["Ève =cmd|'/c_calc'!A0", "+33 @SOMME(A1)", "Li \"Martin\";x"] {
            let pupil = newcomer(&class, name, Role::Pupil).await;
            in_class(&stage, &class, &pupil).await;
        }
        let path = school_path(&class, "activation-sheets/csv");
        let body = json!({ "audience": "pupils", "class_id": class.id });
        let answer = node.signed_in(&admin).await.post(&path, &body).await.expect(201);
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let text = text.strip_prefix('\u{feff}').expect("Excel reads UTF-8 by its mark");
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(text.as_bytes());
        let mut rows = 0;
        for row in reader.records() {
            let row = row.unwrap();
            assert_eq!(row.len(), 6);
            assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{row:?}");
            ActivationCode::parse(&row[4]).expect("a code");
            rows += 1;
        }
        assert_eq!(rows, 3);
    });
}

#[test]
fn cards_are_for_the_pupils_of_a_primary_school() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let teacher = class.teacher("Claire Durand").await;
        let (old, new) =
            (class.pupil("Lina Martin").await, newcomer(&class, "Zoé Nouvelle", Role::Pupil).await);
        in_class(&stage, &class, &new).await;
        let session = node.sign_in(&old).await;
        let path = school_path(&class, &format!("classes/{}/cards", class.id));
        let me = node.signed_in(&teacher).await;
        me.post(&path, &json!({})).await.refused(422, "no-cards");
        stage.sql("UPDATE school SET kind = 'primary'").await;
        let cards = me.post(&path, &json!({})).await.expect(201).json();
        let cards = cards["items"].as_array().unwrap();
        assert_eq!(cards.len(), 2);
        for card in cards {
            sign_in(&node, card["login"].as_str().unwrap(), card["passphrase"].as_str().unwrap())
                .await
                .expect(201);
        }
        sign_in(&node, &old.login, PASSWORD).await.refused(401, "bad-credentials");
        node.bearer(&session.access).get(SESSIONS).await.refused(401, "unauthorized");
    });
}

#[test]
fn an_address_counts_once_its_owner_has_shown_to_read_it() {
    play(async |stage| {
        let server = SmtpServer::start(&[]).await;
        let port = server.port;
        let node = stage
            .node_with(|config| {
                config.post.transport = Transport::Smtp;
                config.post.smtp_host = "127.0.0.1".to_owned();
                config.post.smtp_port = port;
                config.post.smtp_security = Security::None;
                config.post.from = "Préau <ne-pas-repondre@ent.example>".to_owned();
            })
            .await;
        let durand = class(&stage).await.teacher("Claire Durand").await;
        let me = node.proven(&durand).await;
        for bad in ["claire", "claire@", "a@b.fr\r\nBcc: c@d.fr", &"a".repeat(300)] {
            me.put("/api/v1/account/email", &json!({ "email": bad })).await.refused(422, "against-the-rules");
        }
        me.put("/api/v1/account/email", &json!({ "email": " Claire@Example.org " })).await.expect(202);
        node.app.accounts.work().await.unwrap();
        let sent = server.taken().pop().expect("a mail");
        assert_eq!(sent.to, "claire@example.org");
        assert!(server.raw()[0].contains("Message-ID: <"), "{:?}", server.raw());
        assert_eq!(stage.count("SELECT count(*) FROM post_message").await, 0);
        let before = me.get("/api/v1/account").await.expect(200).json();
        assert_eq!(
            (&before["email"], &before["email_waiting"]),
            (&Value::Null, &json!("claire@example.org"))
        );
        me.post("/api/v1/account/email/confirmation", &json!({ "code": "000000" }))
            .await
            .refused(422, "bad-code");
        me.post("/api/v1/account/email/confirmation", &json!({ "code": sent.code(6) })).await.expect(204);
        let after = me.get("/api/v1/account").await.expect(200).json();
        assert_eq!((&after["email"], &after["email_by_hand"]), (&json!("claire@example.org"), &json!(true)));
        me.post("/api/v1/account/email/confirmation", &json!({ "code": sent.code(6) }))
            .await
            .refused(422, "bad-code");

        // By the link, from any device; and five wrong codes void what waits.
        me.put("/api/v1/account/email", &json!({ "email": "durand@example.org" })).await.expect(202);
        node.app.accounts.work().await.unwrap();
        let link = server.taken().pop().unwrap();
        let token = link.token("compte/confirmation");
        for _ in 0..6 {
            me.post("/api/v1/account/email/confirmation", &json!({ "code": "111112" }))
                .await
                .refused(422, "bad-code");
        }
        me.post("/api/v1/account/email/confirmation", &json!({ "code": link.code(6) }))
            .await
            .refused(422, "bad-code");
        let confirm = async |token: &str| {
            node.stranger().post("/api/v1/email-confirmations", &json!({ "token": token })).await
        };
        confirm("v1.x.y").await.refused(422, "bad-code");
        confirm(&token).await.expect(204);
        confirm(&token).await.refused(422, "bad-code");
        // A code is good for an hour.
        me.put("/api/v1/account/email", &json!({ "email": "tard@example.org" })).await.expect(202);
        node.app.accounts.work().await.unwrap();
        let late = server.taken().pop().unwrap();
        stage.advance(Duration::minutes(61));
        confirm(&late.token("compte/confirmation")).await.refused(422, "bad-code");
        assert_eq!(
            stage
                .count(
                    "SELECT count(*) FROM person WHERE email = 'durand@example.org' AND email_origin = 'hand'"
                )
                .await,
            1
        );
    });
}

#[test]
fn a_mobile_is_confirmed_by_a_text_message() {
    play(async |stage| {
        let node = stage.node().await;
        let durand = class(&stage).await.teacher("Claire Durand").await;
        let me = node.proven(&durand).await;
        me.put("/api/v1/account/mobile", &json!({ "mobile": "01 42 00 00 00" }))
            .await
            .refused(422, "against-the-rules");
        me.put("/api/v1/account/mobile", &json!({ "mobile": "06 12 34 56 78" })).await.expect(202);
        node.app.accounts.work().await.unwrap();
        let sent = stage.sent_to("+33612345678").pop().expect("a text message");
        me.post("/api/v1/account/mobile/confirmation", &json!({ "code": sent.code(6) })).await.expect(204);
        let standing = me.get("/api/v1/account").await.expect(200).json();
        assert_eq!(
            (&standing["mobile"], &standing["mobile_by_hand"]),
            (&json!("+33612345678"), &json!(true))
        );
        me.delete("/api/v1/account/mobile").await.expect(204);
        let standing = me.get("/api/v1/account").await.expect(200).json();
        assert_eq!((&standing["mobile"], &standing["mobile_by_hand"]), (&Value::Null, &json!(true)));
    });
}

#[test]
fn a_server_that_hesitates_is_asked_again_and_nothing_travels_in_the_clear_unless_told() {
    play(async |stage| {
        let server = SmtpServer::start(&["451 greylisted", "451 greylisted", "550 never"]).await;
        let smtp = |security| {
            let port = server.port;
            move |config: &mut preau_server::Config| {
                config.post.transport = Transport::Smtp;
                config.post.smtp_host = "127.0.0.1".to_owned();
                config.post.smtp_port = port;
                config.post.smtp_security = security;
            }
        };
        let (plain, guarded) =
            (stage.node_with(smtp(Security::None)).await, stage.node_with(smtp(Security::Starttls)).await);
        let durand = class(&stage).await.teacher("Claire Durand").await;
        let me = plain.proven(&durand).await;
        let change =
            async |email: &str| me.put("/api/v1/account/email", &json!({ "email": email })).await.expect(202);
        change("un@example.org").await;
        let deliver = async |node: &Node| node.app.post.deliver_due().await.unwrap();
        for waited in [30, 60] {
            let did = deliver(&plain).await;
            assert_eq!((did.sent, did.put_off), (0, 1));
            assert_eq!(deliver(&plain).await, preau_post::Delivered::default(), "not before it is due");
            stage.advance(Duration::seconds(waited));
        }
        // This time it says never.
        assert_eq!(deliver(&plain).await.dropped, 1);
        change("deux@example.org").await;
        assert_eq!(deliver(&plain).await.sent, 1);
        assert_eq!(server.taken().pop().unwrap().to, "deux@example.org");

        change("trois@example.org").await;
        let (came, taken) = (server.connections(), server.taken().len());
        assert_eq!(deliver(&guarded).await.put_off, 1, "a server without STARTTLS is given nothing");
        assert!(server.connections() > came && server.taken().len() == taken);
        // What waits holds no address, and is not sent any more once it has run out.
        let waiting: Vec<u8> =
            sqlx::query_scalar("SELECT sealed FROM post_message").fetch_one(stage.owner()).await.unwrap();
        assert!(!waiting.windows(5).any(|bytes| bytes == b"trois"));
        stage.advance(Duration::hours(2));
        assert_eq!(deliver(&plain).await.dropped, 1);
    });
}

#[test]
fn a_lost_login_is_mailed_to_its_address_and_nobody_else_learns_of_it() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (paul, anne) = (class.teacher("Paul Martin").await, class.teacher("Anne Martin").await);
        for one in [&paul, &anne] {
            give_email(&stage, one, "martin@example.org").await;
        }
        let mut answers = Vec::new();
        for email in ["Martin@example.org", "personne@example.org", "autre@example.org"] {
            let answer =
                node.stranger().post("/api/v1/login-reminders", &json!({ "email": email })).await.expect(202);
            answers.push((answer.body.clone(), answer.headers.clone()));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        node.app.accounts.work().await.unwrap();
        let sent = stage.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert!(sent[0].text.contains(&paul.login) && sent[0].text.contains(&anne.login), "{sent:?}");
        assert_eq!(stage.count("SELECT count(*) FROM recovery_request").await, 0);
    });
}

#[test]
fn a_lost_password_comes_back_by_a_link_that_works_once_and_for_an_hour() {
    play(async |stage| {
        let (node, other) = (stage.node().await, stage.node().await);
        let class = class(&stage).await;
        let (durand, petit) = (class.teacher("Claire Durand").await, class.teacher("Omar Petit").await);
        give_email(&stage, &durand, "claire@example.org").await;
        give_email(&stage, &petit, "omar@example.org").await;
        let session = node.sign_in(&durand).await;
        // Whoever guesses at her name does not keep her out afterwards.
        for _ in 0..6 {
            sign_in(&node, &durand.login, "ce n'est pas cela").await;
        }
        let known = ask_for_password(&node, &durand.login, "mail").await;
        let unknown = ask_for_password(&node, "personne.nulle-part", "mail").await;
        assert_eq!((known.body, known.headers), (unknown.body, unknown.headers));
        // Whatever a request says of hosts, the link is made of the configuration.
        let spoofed = node.stranger().with("host", "evil.example").with("x-forwarded-host", "evil.example");
        spoofed
            .post("/api/v1/password-resets", &json!({ "identifier": petit.login, "channel": "mail" }))
            .await
            .expect(202);
        node.app.accounts.work().await.unwrap();
        let all = stage.sent();
        assert!(
            all.len() == 2
                && all.iter().all(|sent| sent.text.contains("http://localhost:8080/reinitialisation/"))
        );
        assert!(all.iter().all(|sent| !sent.text.contains("evil")));
        let token = stage.sent_to("claire@example.org").pop().unwrap().token("reinitialisation");
        let with = |token: &str, password: &str| json!({ "token": token, "password": password });
        // A password that is refused does not cost the link.
        complete(&node, &with(&token, "azerty")).await.refused(422, "password-refused");
        complete(&node, &with(&token, NEW_PASSWORD)).await.expect(204);
        complete(&other, &with(&token, NEW_PASSWORD)).await.refused(401, "bad-reset");
        node.bearer(&session.access).get(SESSIONS).await.refused(401, "unauthorized");
        sign_in(&node, &durand.login, PASSWORD).await.refused(401, "bad-credentials");
        sign_in(&node, &durand.login, NEW_PASSWORD).await.expect(201);
        // Another person's link, cut, or an hour old, opens nothing.
        let theirs = stage.sent_to("omar@example.org").pop().unwrap().token("reinitialisation");
        let crossed =
            theirs.replace(&petit.id.uuid().simple().to_string(), &durand.id.uuid().simple().to_string());
        for bad in [crossed.as_str(), &theirs[..theirs.len() - 2], "v1..", ""] {
            complete(&node, &with(bad, NEW_PASSWORD)).await.refused(401, "bad-reset");
        }
        stage.advance(Duration::minutes(61));
        complete(&node, &with(&theirs, NEW_PASSWORD)).await.refused(401, "bad-reset");
    });
}

#[test]
fn a_thousand_requests_are_three_mails_and_void_no_link() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, stage.node().await];
        let durand = class(&stage).await.teacher("Claire Durand").await;
        give_email(&stage, &durand, "claire@example.org").await;
        for turn in 0..1000_usize {
            let identifier = if turn % 2 == 0 { &durand.login } else { "claire@example.org" };
            ask_for_password(&nodes[turn % 3], identifier, "mail").await;
            if turn % 50 == 0 {
                nodes[turn % 3].app.accounts.work().await.unwrap();
            }
        }
        nodes[0].app.accounts.work().await.unwrap();
        let sent = stage.sent_to("claire@example.org");
        assert!((1..=3).contains(&sent.len()), "{}", sent.len());
        let body = json!({ "token": sent[0].token("reinitialisation"), "password": NEW_PASSWORD });
        complete(&nodes[0], &body).await.expect(204);
        // The next hour, there may be another.
        stage.advance(Duration::minutes(61));
        ask_for_password(&nodes[0], &durand.login, "mail").await;
        nodes[0].app.accounts.work().await.unwrap();
        assert_eq!(stage.sent_to("claire@example.org").len(), sent.len() + 1);
    });
}

#[test]
fn a_password_comes_back_by_text_message_and_by_a_code_that_a_teacher_makes() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (teacher, pupil) = (class.teacher("Claire Durand").await, class.pupil("Lina Martin").await);
        stage
            .sql(&format!("UPDATE person SET mobile = '+33612345678' WHERE person_id = '{}'", pupil.id))
            .await;
        ask_for_password(&node, &pupil.login, "sms").await;
        node.app.accounts.work().await.unwrap();
        let code = stage.sent_to("+33612345678").pop().unwrap().code(8);
        let by_code =
            |login: &str, code: &str| json!({ "login": login, "code": code, "password": NEW_PASSWORD });
        let wrong = complete(&node, &by_code(&pupil.login, "12345678")).await.refused(401, "bad-reset");
        let nobody =
            complete(&node, &by_code("personne.nulle-part", "12345678")).await.refused(401, "bad-reset");
        assert_eq!((wrong.body, wrong.headers), (nobody.body, nobody.headers));
        complete(&node, &by_code(&pupil.login, &code)).await.expect(204);
        complete(&node, &by_code(&pupil.login, &code)).await.refused(401, "bad-reset");

        // Ten minutes before class.
        let path = school_path(&class, &format!("people/{}/reset-code", pupil.id));
        let me = node.signed_in(&teacher).await;
        for hours in [0, 25] {
            me.post(&path, &json!({ "hours": hours })).await.refused(422, "against-the-rules");
        }
        let first = me.post(&path, &json!({ "hours": 1 })).await.expect(201).json();
        let made = me.post(&path, &json!({ "hours": 1 })).await.expect(201).json();
        let code = made["code"].as_str().unwrap();
        complete(&node, &by_code(&pupil.login, first["code"].as_str().unwrap()))
            .await
            .refused(401, "bad-reset");
        complete(&node, &by_code(&pupil.login, &code.to_lowercase())).await.expect(204);
        sign_in(&node, &pupil.login, NEW_PASSWORD).await.expect(201);
        assert_eq!(
            stage.count("SELECT count(*) FROM journal WHERE act = 'identity.make-reset-code'").await,
            2
        );
        let late = me.post(&path, &json!({ "hours": 1 })).await.expect(201).json();
        stage.advance(Duration::minutes(61));
        complete(&node, &by_code(&pupil.login, late["code"].as_str().unwrap()))
            .await
            .refused(401, "bad-reset");
        // Paper is for who has not come yet; and nobody reaches above themselves.
        let waiting = newcomer(&class, "Zoé Nouvelle", Role::Pupil).await;
        in_class(&stage, &class, &waiting).await;
        let me = node.signed_in(&teacher).await;
        let of = |who: &Persona| school_path(&class, &format!("people/{}/reset-code", who.id));
        me.post(&of(&waiting), &json!({ "hours": 1 })).await.refused(409, "not-activated");
        let (admin, boss) = (class.school.admin().await, class.school.territory.admin().await);
        class.school.enrol(&boss, Role::Teacher).await;
        me.post(&of(&admin), &json!({ "hours": 1 })).await.refused(404, "not-found");
        node.signed_in(&admin).await.post(&of(&boss), &json!({ "hours": 1 })).await.refused(404, "not-found");
    });
}

#[test]
fn short_codes_are_tried_a_few_times_only() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, stage.node().await];
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        stage
            .sql(&format!("UPDATE person SET mobile = '+33612345678' WHERE person_id = '{}'", pupil.id))
            .await;
        ask_for_password(&nodes[0], &pupil.login, "sms").await;
        nodes[0].app.accounts.work().await.unwrap();
        let code = stage.sent_to("+33612345678").pop().unwrap().code(8);
        let tries = (0..60).map(|turn| {
            let guess = format!("{:08}", turn + 10_000_000);
            let body = json!({ "login": pupil.login, "code": guess, "password": NEW_PASSWORD });
            let node = &nodes[turn % 3];
            async move { complete(node, &body).await.status.as_u16() }
        });
        let answers = futures::future::join_all(tries).await;
        let checked = answers.iter().filter(|status| **status == 401).count();
        assert!((1..=20).contains(&checked), "{checked}");
        stage.advance(Duration::minutes(16));
        let body = json!({ "login": pupil.login, "code": code, "password": NEW_PASSWORD });
        complete(&nodes[0], &body).await.refused(401, "bad-reset");
    });
}

#[test]
fn a_young_pupil_s_lost_password_goes_to_the_teacher_where_the_school_says_so() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        stage.sql("UPDATE school SET kind = 'primary'").await;
        let (teacher, admin) = (class.teacher("Claire Durand").await, class.school.admin().await);
        let pupil = class.pupil("Lina Martin").await;
        give_email(&stage, &teacher, "maitresse@example.org").await;
        give_email(&stage, &pupil, "famille@example.org").await;
        let rights = school_path(&class, "class-rights");
        let mut rule = node.signed_in(&admin).await.get(&rights).await.expect(200).json();
        rule["young_resets_to_teacher"] = json!(true);
        node.signed_in(&admin).await.put(&rights, &rule).await.expect(204);
        ask_for_password(&node, &pupil.login, "mail").await;
        node.app.accounts.work().await.unwrap();
        assert_eq!(stage.sent_to("famille@example.org").len(), 0);
        let told = stage.sent_to("maitresse@example.org").pop().expect("the teacher is told");
        assert!(told.text.contains("Lina Martin") && !told.text.contains("reinitialisation"), "{told:?}");
        assert_eq!(stage.count("SELECT count(*) FROM recovery").await, 0);
    });
}

#[test]
fn nothing_is_promised_where_nothing_can_be_sent() {
    play(async |stage| {
        let node = stage.node_with(|config| config.post.transport = Transport::None).await;
        let durand = class(&stage).await.teacher("Claire Durand").await;
        let stranger = node.stranger();
        stranger
            .post("/api/v1/password-resets", &json!({ "identifier": durand.login, "channel": "mail" }))
            .await
            .refused(422, "post-unavailable");
        stranger
            .post("/api/v1/login-reminders", &json!({ "email": "claire@example.org" }))
            .await
            .refused(422, "post-unavailable");
    });
}

#[test]
fn people_who_share_an_address_sign_in_by_it() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (paul, anne) = (class.teacher("Paul Martin").await, class.teacher("Anne Martin").await);
        for one in [&paul, &anne] {
            give_email(&stage, one, "Martin@example.org").await;
        }
        // The same password: whoever knows it is offered both, and says which.
        let offered =
            sign_in(&node, "martin@EXAMPLE.org", PASSWORD).await.refused(409, "choose-person").json();
        let logins: Vec<&str> =
            offered["people"].as_array().unwrap().iter().filter_map(|one| one["login"].as_str()).collect();
        assert_eq!(logins.len(), 2);
        assert!(logins.contains(&paul.login.as_str()) && logins.contains(&anne.login.as_str()));
        sign_in(&node, logins[0], PASSWORD).await.expect(201);
        // Passwords of their own tell them apart.
        let session = node.sign_in(&anne).await;
        let body = json!({ "present_password": PASSWORD, "new_password": NEW_PASSWORD });
        node.bearer(&session.access).put("/api/v1/account/password", &body).await.expect(204);
        let came = sign_in(&node, "martin@example.org", NEW_PASSWORD).await.expect(201).json();
        assert_eq!(came["person"]["id"], json!(anne.id));
        let came = sign_in(&node, "martin@example.org", PASSWORD).await.expect(201).json();
        assert_eq!(came["person"]["id"], json!(paul.id));
        // Known and unknown addresses are told the same.
        let known =
            sign_in(&node, "martin@example.org", "ce n'est pas cela").await.refused(401, "bad-credentials");
        let unknown =
            sign_in(&node, "personne@example.org", "ce n'est pas cela").await.refused(401, "bad-credentials");
        assert_eq!((known.body, known.headers), (unknown.body, unknown.headers));
        // And no address is a way round a name that waits, which it does not tell either.
        for _ in 0..6 {
            sign_in(&node, &paul.login, "ce n'est pas cela").await;
        }
        sign_in(&node, &paul.login, PASSWORD).await.refused(429, "too-many-attempts");
        sign_in(&node, "martin@example.org", PASSWORD).await.refused(401, "bad-credentials");
        stage.advance(Duration::minutes(16));
        sign_in(&node, "martin@example.org", PASSWORD).await.expect(201);
        // An address is guessed at as often as a name.
        let mut checked = 0;
        for _ in 0..360 {
            checked +=
                usize::from(sign_in(&node, "martin@example.org", "ce n'est pas cela").await.status == 401);
            stage.advance(Duration::seconds(10));
        }
        assert!((6..=20).contains(&checked), "{checked}");
    });
}

#[test]
fn terms_are_versions_and_hold_everybody_once() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let durand = class.teacher("Claire Durand").await;
        let terms = node.stranger().get("/api/v1/terms").await.expect(200).json();
        assert_eq!(terms["version"], TERMS_VERSION);
        let published_at = stage.clock().now() + Duration::minutes(10);
        let next = preau_identity::accounts::TermsVersion {
            version: "2027-01".to_owned(),
            published_at,
            text_url: "/conditions".to_owned(),
        };
        node.app.accounts.terms().publish(&next).await.unwrap();
        let before = sign_in(&node, &durand.login, PASSWORD).await.expect(201).json();
        assert_eq!(before["gates"], json!([]));
        stage.advance(Duration::minutes(10));
        let after = sign_in(&node, &durand.login, PASSWORD).await.expect(201).json();
        assert_eq!(after["gates"], json!(["terms"]));
        let me = node.bearer(Session::of(&after).access);
        assert_eq!(me.get("/api/v1/account").await.expect(200).json()["gates"], json!(["terms"]));
        let accept = |version: &str| json!({ "terms_version": version });
        me.put("/api/v1/account/terms", &accept(TERMS_VERSION)).await.refused(422, "terms-not-accepted");
        me.put("/api/v1/account/terms", &accept("2027-01")).await.expect(204);
        let again = sign_in(&node, &durand.login, PASSWORD).await.expect(201).json();
        assert_eq!(again["gates"], json!([]));
        assert_eq!(stage.count("SELECT count(*) FROM terms_acceptance WHERE version = '2027-01'").await, 1);
    });
}

#[test]
fn a_block_is_felt_on_every_node_and_ends_by_itself() {
    play(async |stage| {
        let (here, there) = (stage.node().await, stage.node().await);
        let class = class(&stage).await;
        let (teacher, pupil) = (class.teacher("Claire Durand").await, class.pupil("Lina Martin").await);
        let session = there.sign_in(&pupil).await;
        let block = school_path(&class, &format!("people/{}/block", pupil.id));
        let me = here.signed_in(&teacher).await;
        let own = school_path(&class, &format!("people/{}/block", teacher.id));
        me.put(&own, &json!({ "reason": "Essai" })).await.refused(404, "not-found");
        me.put(&block, &json!({ "reason": " " })).await.refused(422, "against-the-rules");
        let past = stage.clock().now() - Duration::hours(1);
        me.put(&block, &json!({ "reason": "Essai", "until": past })).await.refused(422, "against-the-rules");
        let until = stage.clock().now() + Duration::hours(2);
        me.put(&block, &json!({ "reason": "Insultes", "until": until })).await.expect(204);
        // Each second, every node reads what was revoked.
        there.app.revoked.refresh(&there.app.db).await.unwrap();
        there.bearer(&session.access).get(SESSIONS).await.refused(401, "unauthorized");
        there
            .stranger()
            .post("/api/v1/sessions/refresh", &json!({ "refresh_token": session.refresh }))
            .await
            .refused(401, "session-ended");
        sign_in(&there, &pupil.login, PASSWORD).await.refused(403, "account-blocked");
        sign_in(&there, &pupil.login, "ce n'est pas cela").await.refused(401, "bad-credentials");
        let territory = class.school.territory.id;
        assert_eq!(here.app.accounts.lift_ended(territory).await.unwrap(), 0);
        stage.advance(Duration::hours(2));
        assert_eq!(here.app.accounts.lift_ended(territory).await.unwrap(), 1);
        sign_in(&there, &pupil.login, PASSWORD).await.expect(201);
        let me = here.signed_in(&teacher).await;
        me.put(&block, &json!({ "reason": "Encore" })).await.expect(204);
        sign_in(&there, &pupil.login, PASSWORD).await.refused(403, "account-blocked");
        me.delete(&block).await.expect(204);
        sign_in(&there, &pupil.login, PASSWORD).await.expect(201);
        let acts = stage.count("SELECT count(*) FROM journal WHERE act LIKE 'identity.%block%'").await;
        assert_eq!(acts, 4, "two blocks, one lifted by hand and one by its end");
    });
}

#[test]
fn a_profile_is_shut_out_of_one_school_and_lives_on_elsewhere() {
    play(async |stage| {
        let (here, there) = (stage.node().await, stage.node().await);
        let class = class(&stage).await;
        let (admin, pupil) = (class.school.admin().await, class.pupil("Lina Martin").await);
        let teacher = class.teacher("Claire Durand").await;
        let elsewhere = class.school.territory.school("Lycée Jean-Moulin").await;
        elsewhere.enrol(&teacher, Role::Teacher).await;
        let (young, old) = (there.sign_in(&pupil).await, there.sign_in(&teacher).await);
        let me = here.proven(&admin).await;
        let path = |role: &str| school_path(&class, &format!("profile-blocks/{role}"));
        me.put(&path("school_admin"), &json!({ "reason": "Non" })).await.refused(422, "against-the-rules");
        let until = stage.clock().now() + Duration::hours(1);
        for role in ["pupil", "teacher"] {
            me.put(&path(role), &json!({ "reason": "Panne de bus", "until": until })).await.expect(204);
        }
        there.app.revoked.refresh(&there.app.db).await.unwrap();
        let refresh = async |session: &Session| {
            there
                .stranger()
                .post("/api/v1/sessions/refresh", &json!({ "refresh_token": session.refresh }))
                .await
        };
        there.bearer(&young.access).get(SESSIONS).await.refused(401, "unauthorized");
        refresh(&young).await.refused(401, "session-ended");
        sign_in(&there, &pupil.login, PASSWORD).await.refused(403, "account-blocked");
        there.bearer(&old.access).get(SESSIONS).await.refused(401, "unauthorized");
        let less = refresh(&old).await.expect(200).json();
        let still = there.bearer(less["access_token"].as_str().unwrap());
        still.get(&school_path(&class, "classes")).await.refused(404, "not-found");
        still.get(&format!("/api/v1/schools/{}/classes", elsewhere.id)).await.expect(200);
        let listed = me.get(&school_path(&class, "profile-blocks")).await.expect(200).json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 2);
        stage.advance(Duration::hours(1));
        assert_eq!(here.app.accounts.lift_ended(class.school.territory.id).await.unwrap(), 2);
        sign_in(&there, &pupil.login, PASSWORD).await.expect(201);
    });
}

/// The cookie of a device, as a browser sends it back.
fn device_cookie(answer: &Answer) -> String {
    let line = answer
        .cookies()
        .into_iter()
        .find(|line| line.starts_with("__Host-preau-profiles="))
        .expect("a cookie");
    assert!(line.contains("HttpOnly") && line.contains("Secure") && line.contains("SameSite=Lax"), "{line}");
    line.split(';').next().unwrap().to_owned()
}

async fn trusted(node: &Node, persona: &Persona) -> Client {
    let body =
        json!({ "login": persona.login, "password": PASSWORD, "tokens": true, "trusted_device": true });
    node.bearer(Session::of(&node.stranger().post(SESSIONS, &body).await.expect(201).json()).access)
}

#[test]
fn a_family_shares_a_device_by_pin() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (lina, omar) = (class.pupil("Lina Martin").await, class.pupil("Omar Martin").await);
        const PROFILES: &str = "/api/v1/device/profiles";
        let shared = node.sign_in(&lina).await;
        node.bearer(&shared.access)
            .post(PROFILES, &json!({ "pin": "2718" }))
            .await
            .refused(409, "shared-device");
        let me = trusted(&node, &lina).await;
        for bad in ["1234", "0000", "12", "abcd"] {
            me.post(PROFILES, &json!({ "pin": bad })).await.refused(422, "against-the-rules");
        }
        let kept = me.post(PROFILES, &json!({ "pin": "2718" })).await.expect(204);
        let cookie = device_cookie(&kept);
        let second = trusted(&node, &omar).await.with("cookie", &cookie);
        second.post(PROFILES, &json!({ "pin": "314159" })).await.expect(204);

        let device = node.stranger().with("cookie", &cookie);
        let listed = device.get(PROFILES).await.expect(200).json();
        let names: Vec<&str> =
            listed["items"].as_array().unwrap().iter().filter_map(|one| one["first_name"].as_str()).collect();
        assert_eq!(names.len(), 2);
        assert_eq!(node.stranger().get(PROFILES).await.expect(200).json()["items"], json!([]));
        let switch = async |who: &Persona, pin: &str| {
            let path = format!("{PROFILES}/{}/session", who.id);
            device.post(&path, &json!({ "pin": pin, "tokens": true })).await
        };
        let came = switch(&omar, "314159").await.expect(201).json();
        assert_eq!(came["person"]["first_name"], "Omar");
        node.bearer(Session::of(&came).access).get(SESSIONS).await.expect(200);
        let back = switch(&lina, "2718").await.expect(201).json();
        assert_eq!(back["person"]["first_name"], "Lina");
        // Each has a family of their own, and coming back makes no new one.
        let families = stage.count("SELECT count(*) FROM session_family WHERE revoked_at IS NULL").await;
        assert_eq!(families, 3, "one shared, and one for each profile");
        // The PIN is worth nothing on another device, nor for another person.
        let elsewhere = node.stranger().with("cookie", &format!("__Host-preau-profiles={}", "A".repeat(43)));
        let path = format!("{PROFILES}/{}/session", lina.id);
        elsewhere.post(&path, &json!({ "pin": "2718" })).await.refused(401, "profile-gone");
        for left in [4, 3, 2, 1] {
            let wrong = switch(&lina, "314159").await.refused(401, "bad-pin").json();
            assert_eq!(wrong["tries_left"], left);
        }
        switch(&lina, "314159").await.refused(401, "profile-gone");
        switch(&lina, "2718").await.refused(401, "profile-gone");
        // Wrong ones sent at once do not all pass.
        let burst = futures::future::join_all((0..20).map(|_| switch(&omar, "0000"))).await;
        assert!(burst.iter().filter(|answer| answer.code() == "bad-pin").count() <= 4);
        switch(&omar, "314159").await.refused(401, "profile-gone");
        assert_eq!(device.get(PROFILES).await.expect(200).json()["items"], json!([]));
    });
}

#[test]
fn a_profile_is_taken_off_a_device_with_its_session() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (teacher, lina) = (class.teacher("Claire Durand").await, class.pupil("Lina Martin").await);
        const PROFILES: &str = "/api/v1/device/profiles";
        let cookie = device_cookie(
            &trusted(&node, &lina).await.post(PROFILES, &json!({ "pin": "2718" })).await.expect(204),
        );
        let device = node.stranger().with("cookie", &cookie);
        let session = format!("{PROFILES}/{}/session", lina.id);
        let pin = json!({ "pin": "2718", "tokens": true });
        let came = device.post(&session, &pin).await.expect(201).json();
        // A block closes the family, and with it the way back by PIN.
        let block = school_path(&class, &format!("people/{}/block", lina.id));
        let me = node.signed_in(&teacher).await;
        me.put(&block, &json!({ "reason": "Essai" })).await.expect(204);
        device.post(&session, &pin).await.refused(401, "profile-gone");
        me.delete(&block).await.expect(204);
        device.post(&session, &pin).await.refused(401, "profile-gone");
        node.bearer(Session::of(&came).access).get(SESSIONS).await.refused(401, "unauthorized");
        let again = trusted(&node, &lina).await.with("cookie", &cookie);
        again.post(PROFILES, &json!({ "pin": "2718" })).await.expect(204);
        device.delete(&format!("{PROFILES}/{}", lina.id)).await.expect(204);
        device.delete(&format!("{PROFILES}/{}", lina.id)).await.refused(404, "not-found");
        again.get(SESSIONS).await.refused(401, "unauthorized");
    });
}

/// 800 pupils behind one address, one in ten of whom mistypes: nobody is refused for what another does.
#[test]
fn a_school_behind_one_address_signs_in() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await];
        let class = class(&stage).await;
        let pupils = many(&stage, &class, 800, "active").await;
        let refused = stream::iter(pupils.iter().enumerate())
            .map(|(number, (login, _))| {
                let node = &nodes[number % 2];
                async move {
                    if number % 10 == 0 {
                        sign_in(node, login, "une faute de frappe").await.refused(401, "bad-credentials");
                    }
                    usize::from(sign_in(node, login, PASSWORD).await.status != 201)
                }
            })
            .buffer_unordered(16)
            .fold(0, async |sum, refused| sum + refused)
            .await;
        assert_eq!(refused, 0);
    });
}

/// 2,000 first activations, four in ten of which begin with a wrong code, while somebody inside the school guesses at
/// everybody's name: nobody honest is refused. There are no cookies, and one address.
#[test]
fn the_rentree_refuses_nobody_honest() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, stage.node().await];
        let class = class(&stage).await;
        let pupils = many(&stage, &class, 2000, "imported").await;
        let victims: Vec<&str> = pupils.iter().step_by(10).map(|(login, _)| login.as_str()).collect();
        let honest = stream::iter(pupils.iter().enumerate())
            .map(|(number, (login, code))| {
                let node = &nodes[number % 3];
                async move {
                    if number % 5 < 2 {
                        let typo = activation(login, "00000-00000-000");
                        node.stranger().post("/api/v1/activations", &typo).await;
                    }
                    let body = activation(login, code);
                    usize::from(node.stranger().post("/api/v1/activations", &body).await.status != 201)
                }
            })
            .buffer_unordered(12)
            .fold(0, async |sum, refused| sum + refused);
        let attack = stream::iter((0..10).flat_map(|_| victims.iter()))
            .map(|login| {
                let body = activation(login, "ZZZZZ-ZZZZZ-ZZZ");
                let node = &nodes[0];
                async move { node.stranger().post("/api/v1/activations", &body).await.status.as_u16() }
            })
            .buffer_unordered(8)
            .fold((0, 0), async |(told, slowed), status| match status {
                401 => (told + 1, slowed),
                429 => (told, slowed + 1),
                other => panic!("{other}"),
            });
        let (refused, (_, slowed)) = futures::join!(honest, attack);
        assert_eq!(refused, 0, "honest people were refused");
        assert!(slowed > 0, "who guesses is slowed down");
        assert_eq!(stage.count("SELECT count(*) FROM account WHERE state = 'active'").await, 2000);
    });
}

/// So many pupils put in at once: login, and code on paper.
async fn many(stage: &Stage, class: &Class, count: usize, state: &str) -> Vec<(String, String)> {
    let hash = stage.hash_of_password().await;
    let mut pupils = Vec::with_capacity(count);
    let (mut ids, mut logins, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let code = ActivationCode::generate().expect("randomness");
        ids.push(stage.clock().mint::<uuid::Uuid>());
        logins.push(format!("eleve.numero{number}"));
        hashes.push(code.hash().to_vec());
        pupils.push((logins[number].clone(), code.printed()));
    }
    let (school, territory) = (class.school.id.uuid(), class.school.territory.id.uuid());
    for sql in [
        "INSERT INTO person (person_id, territory_id, last_name, first_name, created_at, updated_at)
         SELECT p.id, $1, 'Numéro', 'Élève', $5, $5 FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $6::uuid IS NOT NULL AND $7::text <> '' AND $8::text <> ''",
        "INSERT INTO login (login, person_id, territory_id)
         SELECT p.login, p.id, $1 FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $5::timestamptz IS NOT NULL AND $6::uuid IS NOT NULL AND $7::text <> '' AND $8::text <> ''",
        "INSERT INTO account (person_id, territory_id, login, state, terms_version, updated_at)
         SELECT p.id, $1, p.login, $7, CASE $7 WHEN 'active' THEN '2026-09' ELSE '' END, $5
           FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $6::uuid IS NOT NULL AND $8::text <> ''",
        "INSERT INTO person_membership (person_id, school_id, role, territory_id, started_at)
         SELECT p.id, $6, 'pupil', $1, $5 FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $7::text <> '' AND $8::text <> ''",
        "INSERT INTO activation_code (person_id, code_hash, expires_at, territory_id)
         SELECT p.id, p.hash, $5 + interval '90 days', $1
           FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $6::uuid IS NOT NULL AND $7::text = 'imported' AND $8::text <> ''",
        "INSERT INTO credential (person_id, kind, secret, changed_at)
         SELECT p.id, 'password', $8, $5 FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS p (id, login, hash)
          WHERE $1::uuid IS NOT NULL AND $6::uuid IS NOT NULL AND $7::text = 'active'",
    ] {
        sqlx::query(sql)
            .bind(territory)
            .bind(&ids)
            .bind(&logins)
            .bind(&hashes)
            .bind(stage.clock().now())
            .bind(school)
            .bind(state)
            .bind(hash)
            .execute(stage.owner())
            .await
            .unwrap_or_else(|err| panic!("{sql}: {err}"));
    }
    pupils
}

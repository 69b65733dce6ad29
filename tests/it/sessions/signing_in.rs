//! In and out, on one device and on several.

use chrono::Duration;
use preau_identity::TERMS_VERSION;
use preau_tests::{PASSWORD, Session, play};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CURRENT, SESSIONS, class, guess, refresh};

#[test]
fn a_teacher_signs_in_and_out() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let durand = class.teacher("Claire Durand").await;
        let body = guess(&node, &durand.login, PASSWORD).await.expect(201).json();
        assert_eq!(body["person"], json!({ "id": durand.id, "first_name": "Claire", "last_name": "Durand" }));
        assert_eq!(
            body["memberships"],
            json!([{ "school_id": class.school.id, "school_name": "Collège Rosa-Parks", "roles": ["teacher"] }])
        );
        assert_eq!((&body["gates"], &body["expires_in"]), (&json!([]), &json!(300)));

        let me = node.bearer(Session::of(&body).access);
        let devices = me.get(SESSIONS).await.expect(200).json();
        assert_eq!(devices["items"].as_array().unwrap().len(), 1);
        assert_eq!(devices["items"][0]["current"], true);
        me.delete(CURRENT).await.expect(204);
        me.get(SESSIONS).await.refused(401, "unauthorized");
        refresh(&node, &Session::of(&body).refresh).await.refused(401, "session-ended");
    });
}

#[test]
fn an_access_token_lasts_five_minutes_to_the_second() {
    play(async |stage| {
        let node = stage.node().await;
        let session = node.sign_in(&class(&stage).await.pupil("Lina Martin").await).await;
        let me = node.bearer(&session.access);
        stage.advance(Duration::seconds(299));
        me.get(SESSIONS).await.expect(200);
        stage.advance(Duration::seconds(1));
        me.get(SESSIONS).await.refused(401, "unauthorized");
        let fresh = refresh(&node, &session.refresh).await.expect(200).json();
        node.bearer(fresh["access_token"].as_str().unwrap()).get(SESSIONS).await.expect(200);
        assert!(fresh.get("refresh_token").is_none(), "it does not rotate before the hour");
    });
}

#[test]
fn a_shared_device_is_forgotten_after_twelve_hours_and_a_trusted_one_after_thirty_days() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let sign_in = async |trusted: bool| {
            let body = json!({ "login": pupil.login, "password": PASSWORD, "tokens": true, "trusted_device": trusted });
            Session::of(&node.stranger().post(SESSIONS, &body).await.expect(201).json())
        };
        let (shared, trusted) = (sign_in(false).await, sign_in(true).await);
        stage.advance(Duration::hours(12));
        refresh(&node, &shared.refresh).await.refused(401, "session-ended");
        let still = refresh(&node, &trusted.refresh).await.expect(200).json();
        stage.advance(Duration::days(30) - Duration::hours(12));
        refresh(&node, still["refresh_token"].as_str().unwrap()).await.refused(401, "session-ended");
    });
}

#[test]
fn unknown_known_and_not_yet_activated_are_told_the_same() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let known = class.teacher("Claire Durand").await;
        let imported = class.school.territory.person_in_state("Zoé Nouvelle", "imported").await;
        let blocked = class.school.territory.person_in_state("Bruno Bloqué", "blocked").await;
        let mut answers = Vec::new();
        for login in
            [&known.login, &imported.login, &blocked.login, "personne.nulle-part", "x", "'; DROP TABLE"]
        {
            let answer = guess(&node, login, "ce n'est pas cela").await.refused(401, "bad-credentials");
            answers.push((answer.body.clone(), answer.headers.clone()));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        guess(&node, &imported.login, PASSWORD).await.refused(401, "bad-credentials");
        guess(&node, &blocked.login, PASSWORD).await.refused(403, "account-blocked");
        for path in ["code", "login"] {
            let login = if path == "code" { known.login.as_str() } else { "personne.nulle-part" };
            let body = json!({ "login": login, "code": "00000-00000-000", "password": "trois petits chats bleus",
                               "accept_terms": true, "terms_version": TERMS_VERSION });
            let answer =
                node.stranger().post("/api/v1/activations", &body).await.refused(401, "bad-activation");
            answers.push((answer.body.clone(), answer.headers.clone()));
        }
        let last = answers.len() - 1;
        assert_eq!(answers[last], answers[last - 1]);
    });
}

#[test]
fn devices_are_listed_by_pages_and_closed_one_by_one() {
    play(async |stage| {
        let (here, there) = (stage.node().await, stage.node().await);
        let class = class(&stage).await;
        let (pupil, other) = (class.pupil("Lina Martin").await, class.pupil("Omar Petit").await);
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(here.sign_in(&pupil).await);
        }
        let me = here.bearer(&sessions[0].access);
        let first = me.get(&format!("{SESSIONS}?limit=2")).await.expect(200).json();
        let next = me
            .get(&format!("{SESSIONS}?limit=2&cursor={}", first["next_cursor"].as_str().unwrap()))
            .await
            .expect(200)
            .json();
        let ids = |page: &Value| -> Vec<Uuid> {
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap().parse().unwrap())
                .collect()
        };
        let listed = [ids(&first), ids(&next)].concat();
        assert_eq!(listed, [sessions[2].family(), sessions[1].family(), sessions[0].family()]);
        assert!(next.get("next_cursor").is_none());

        let stolen = here.sign_in(&other).await;
        me.delete(&format!("{SESSIONS}/{}", stolen.family())).await.refused(404, "not-found");
        me.delete(&format!("{SESSIONS}/{}", sessions[2].family())).await.expect(204);
        me.delete(&format!("{SESSIONS}/{}", sessions[2].family())).await.refused(404, "not-found");
        here.bearer(&sessions[2].access).get(SESSIONS).await.refused(401, "unauthorized");
        // The other node learns at its next reading, which is each second.
        there.app.revoked.refresh(&there.app.db).await.unwrap();
        there.bearer(&sessions[2].access).get(SESSIONS).await.refused(401, "unauthorized");
        for node in [&here, &there] {
            refresh(node, &sessions[2].refresh).await.refused(401, "session-ended");
            refresh(node, &sessions[1].refresh).await.expect(200);
            refresh(node, &stolen.refresh).await.expect(200);
        }
    });
}

#[test]
fn a_blocked_account_goes_no_further_than_its_access_token() {
    play(async |stage| {
        let node = stage.node().await;
        let session = node.sign_in(&class(&stage).await.pupil("Lina Martin").await).await;
        stage.sql("UPDATE account SET blocked_at = now()").await;
        stage.flush_redis().await;
        refresh(&node, &session.refresh).await.refused(401, "session-ended");
    });
}

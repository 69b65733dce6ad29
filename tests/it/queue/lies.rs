//! Who forges, lies or only asks gains nothing.

use chrono::Duration;
use preau_tests::play;
use serde_json::json;

use super::{SESSIONS, TICKETS, class, crowd, pass, place, secret, sessions, slow, ticket, wait_in, with};

#[test]
fn what_is_no_ticket_of_ours_waits_behind_everybody() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        crowd(&node, 4).await;
        let at = place(node.stranger().post(SESSIONS, &secret(&lina)).await);
        let mine = ticket(&at);
        let mut flipped = mine.clone().into_bytes();
        let middle = flipped.len() / 2;
        flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        let forged = [
            flipped.as_str(),
            &mine[..mine.len() - 1],
            &mine[..20],
            "",
            "A",
            "€",
            &"A".repeat(120),
            &"A".repeat(128),
        ];
        for bad in forged {
            let next = place(node.stranger().post(SESSIONS, &with(secret(&lina), "ticket", bad)).await);
            assert_ne!(ticket(&next), mine, "{bad:?}");
            assert!(next["tag"].as_u64() >= at["tag"].as_u64(), "{bad:?} gains nothing: {at} {next}");
        }
        node.stranger().post(SESSIONS, &with(secret(&lina), "ticket", 7)).await.expect(400);
        node.stranger().post(TICKETS, &json!({ "declared": { "profile": "minister" } })).await.expect(400);
        node.stranger().post(TICKETS, &json!({ "tickets": mine })).await.refused(400, "unknown-field");

        // Of a clock half a minute ahead or behind: still the same place. Four hours later: no more.
        stage.advance(Duration::seconds(-30));
        assert_eq!(ticket(&place(node.stranger().post(TICKETS, &json!({ "ticket": mine })).await)), mine);
        stage.advance(Duration::hours(4) + Duration::seconds(120));
        crowd(&node, 4).await;
        let late = place(node.stranger().post(TICKETS, &json!({ "ticket": mine })).await);
        assert_ne!(ticket(&late), mine);
    });
}

#[test]
fn a_lie_costs_the_liar_the_place_and_a_true_word_is_worth_its_lane() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let (lina, durand) = (class.pupil("Lina Martin").await, class.teacher("Claire Durand").await);
        let paul = class.school.guardian_of(&lina, "Paul Martin").await;
        crowd(&node, 4).await;
        for (liar, said, claimed, own) in [
            (&lina, "teacher", "lesson", "in-slot"),
            (&paul, "staff", "lesson", "guardian"),
            (&paul, "pupil", "in-slot", "guardian"),
        ] {
            let body =
                with(secret(liar), "declared", json!({ "profile": said, "school_id": class.school.id }));
            let first = place(node.stranger().post(SESSIONS, &body).await);
            assert_eq!(first["class"], claimed, "{first}");
            let (at, answer) = {
                let mut at = first;
                let mut seconds = 0;
                loop {
                    seconds += 1;
                    assert!(seconds < 200, "the turn never came: {at}");
                    pass(&stage, &[&node], 1).await;
                    let answer =
                        node.stranger().post(SESSIONS, &with(body.clone(), "ticket", ticket(&at))).await;
                    let next = place(answer.clone());
                    if ticket(&next) != ticket(&at) {
                        break (next, answer);
                    }
                    at = next;
                }
            };
            assert_eq!(at["class"], own, "{at}");
            assert!(answer.cookies().is_empty() && answer.json().get("access_token").is_none());
            assert_eq!(sessions(&stage).await, 0, "nobody came in by that");
            crowd(&node, 2).await;
        }
        let body = with(secret(&durand), "declared", json!({ "profile": "teacher" }));
        let (at, inside) = wait_in(&stage, &node, body).await;
        assert_eq!((at["class"].as_str(), at["reason"].as_str()), (Some("lesson"), Some("teacher")));
        inside.expect(201);
    });
}

#[test]
fn a_login_says_nothing_before_its_password_does() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let (lina, durand) = (class.pupil("Lina Martin").await, class.teacher("Claire Durand").await);
        crowd(&node, 3).await;
        let mut said = Vec::new();
        for login in [&lina.login, &durand.login, "personne.nulle-part", "x", "'; DROP TABLE"] {
            let body = json!({ "login": login, "password": "ce n'est pas cela" });
            let at = place(node.stranger().post(SESSIONS, &body).await);
            said.push((at["class"].clone(), at["reason"].clone(), at["territory_id"].clone()));
        }
        assert!(said.iter().all(|it| *it == said[0]), "{said:?}");
        assert_eq!(said[0].1, "unknown");
    });
}

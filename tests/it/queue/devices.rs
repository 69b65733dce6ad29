//! What a device knows of whoever waited or left.

use chrono::Duration;
use preau_tests::{Answer, PASSWORD, Persona, play};
use serde_json::{Value, json};

use super::{
    ORIGIN, SESSIONS, class, cookie, crowd, holding, pass, place, secret, sessions, slow, submit, ticket,
    with,
};

#[test]
fn a_trusted_device_remembers_its_lane_and_tells_nobody() {
    play(async |stage| {
        let day = stage.node().await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        let shared = day.stranger().post(SESSIONS, &secret(&lina)).await.expect(201);
        let body = json!({ "login": lina.login, "password": PASSWORD, "trusted_device": false });
        let shared_too = day.stranger().post(SESSIONS, &body).await.expect(201);
        for answer in [&shared, &shared_too] {
            assert_eq!(cookie(answer, "__Host-preau-place"), None, "not on a shared device");
        }
        let trusted = with(body, "trusted_device", true);
        let answer = day.stranger().post(SESSIONS, &trusted).await.expect(201);
        let line =
            answer.cookies().into_iter().find(|it| it.starts_with("__Host-preau-place=")).unwrap().to_owned();
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=2592000"] {
            assert!(line.contains(attribute), "{line}");
        }
        let claim = cookie(&answer, "__Host-preau-place").unwrap();
        let again = day.stranger().with("cookie", &format!("__Host-preau-place={claim}"));
        let second = again.post(SESSIONS, &trusted).await.expect(201);
        assert_eq!(cookie(&second, "__Host-preau-place"), None, "it is fresh and the same person's");

        let storm = slow(&stage).await;
        crowd(&storm, 3).await;
        let known = storm.stranger().with("cookie", &format!("__Host-preau-place={claim}"));
        let at = place(known.post(SESSIONS, &secret(&lina)).await);
        assert_eq!((at["class"].as_str(), at["reason"].as_str()), (Some("in-slot"), Some("pupil")));
        // Another's cookie, cut or changed, is none.
        for bad in [&claim[1..], &claim[..claim.len() - 2], "", "A"] {
            let stranger = storm.stranger().with("cookie", &format!("__Host-preau-place={bad}"));
            assert_eq!(place(stranger.post(SESSIONS, &secret(&lina)).await)["class"], "guardian", "{bad:?}");
        }
        stage.advance(Duration::days(31));
        crowd(&storm, 3).await;
        assert_eq!(
            place(known.post(SESSIONS, &secret(&lina)).await)["class"],
            "guardian",
            "thirty days at most"
        );
    });
}

#[test]
fn whoever_leaves_the_seat_comes_back_to_the_front() {
    play(async |stage| {
        let day = stage.node().await;
        let class = class(&stage).await;
        let (lina, omar) = (class.pupil("Lina Martin").await, class.pupil("Omar Petit").await);
        let own = |who: &Persona| json!({ "login": who.login, "password": PASSWORD, "trusted_device": true });
        let claim_of = |answer: &Answer| cookie(answer, "__Host-preau-place");
        let sign_out = async |inside: &Answer| {
            let browser = holding(&day, &[inside]);
            browser.delete("/api/v1/sessions/current").await.expect(204)
        };
        let shared = json!({ "login": lina.login, "password": PASSWORD });
        let shared = day.stranger().post(SESSIONS, &shared).await.expect(201);
        assert_eq!(claim_of(&sign_out(&shared).await), None, "a shared device remembers nobody");
        let inside = day.stranger().post(SESSIONS, &own(&lina)).await.expect(201);
        let left = claim_of(&sign_out(&inside).await).expect("the device knows that she has left");
        let inside = day.stranger().post(SESSIONS, &own(&lina)).await.expect(201);
        let by_form = submit(&holding(&day, &[&inside]), "/deconnexion", "").await.expect(303);
        assert!(claim_of(&by_form).is_some(), "by the form as well");

        let storm = slow(&stage).await;
        crowd(&storm, 12).await;
        let device = |claim: &str| {
            storm.stranger().with("origin", ORIGIN).with("cookie", &format!("__Host-preau-place={claim}"))
        };
        let at = place(device(&left).post(SESSIONS, &own(&lina)).await);
        assert_eq!((at["class"].as_str(), at["reason"].as_str()), (Some("lesson"), Some("returning")));
        assert_eq!(at["position"], 1);
        pass(&stage, &[&storm], 2).await;
        let held = with(own(&lina), "ticket", ticket(&at));
        let inside = device(&left).post(SESSIONS, &held).await.expect(201);
        let fresh = claim_of(&inside).expect("the device forgets that she had left");
        let before = sessions(&stage).await;

        // What the device says no more may be said again: it was used.
        let again = async |claim: &str, body: Value| {
            let first = place(device(claim).post(SESSIONS, &body).await);
            let held = with(body, "ticket", ticket(&first));
            pass(&stage, &[&storm], 2).await;
            (first, place(device(claim).post(SESSIONS, &held).await))
        };
        let (_, second) = again(&left, own(&lina)).await;
        assert_eq!(
            (second["class"].as_str(), second["reason"].as_str()),
            (Some("in-slot"), Some("other-device"))
        );
        // Another's leave: a place of one's own, as if one came now.
        let other = claim_of(&by_form).unwrap();
        let (first, own_place) = again(&other, own(&omar)).await;
        assert_eq!(first["reason"], "returning");
        assert_eq!(
            (own_place["class"].as_str(), own_place["reason"].as_str()),
            (Some("in-slot"), Some("pupil"))
        );
        assert_eq!(sessions(&stage).await, before, "nobody came in by that");
        // Changed, or of a device where nobody has left: none.
        let forged = format!("{}A", &left[..left.len() - 1]);
        for (claim, class) in [(fresh.as_str(), "in-slot"), (forged.as_str(), "guardian")] {
            let at = place(device(claim).post(SESSIONS, &own(&lina)).await);
            assert_eq!((at["class"].as_str(), at["reason"] == "returning"), (Some(class), false));
        }
        stage.advance(Duration::minutes(10));
        crowd(&storm, 12).await;
        let late = place(device(&other).post(SESSIONS, &own(&lina)).await);
        assert_eq!(late["class"], "in-slot", "ten minutes");
    });
}

#[test]
fn signing_out_leaves_the_seat_to_somebody_else() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let seats = async || {
            node.app.door.turn().await;
            node.app.door.status().seats
        };
        let before = seats().await;
        let lina = class.pupil("Lina Martin").await;
        let body = node.stranger().post(SESSIONS, &secret(&lina)).await.expect(201).json();
        assert_eq!(seats().await, before + 1);
        let me = node.bearer(body["access_token"].as_str().unwrap());
        me.delete("/api/v1/sessions/current").await.expect(204);
        assert_eq!(seats().await, before);
    });
}

//! One address for several people; versions of the terms.

use super::*;

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

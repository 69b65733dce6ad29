//! Devices that proved a factor, and new ones that are told.

use chrono::Duration;
use preau_tests::play;
use serde_json::json;

use super::{BROWSER, SESSIONS, arm, head_of_a_school, knock, three};

#[test]
fn a_device_that_proved_it_is_trusted_until_something_changes() {
    play(async |stage| {
        let [node, other, _] = three(&stage).await;
        let armed = arm(&stage, &node, head_of_a_school(&stage).await).await;
        let browser = node.stranger().with("user-agent", BROWSER);
        let asked = knock(&browser, &armed.persona).await.refused(401, "second-factor-required").json();
        let body = json!({
            "challenge": asked["challenge"], "trusted_device": true,
            "second_factor": { "kind": "totp", "code": armed.code(&stage) },
        });
        let came = browser.post(SESSIONS, &body).await.expect(201);
        let cookie = came.cookies().into_iter().find(|it| it.starts_with("__Host-preau-device=")).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mine = other.stranger().with("cookie", &cookie);
        knock(&mine, &armed.persona).await.expect(201);
        // Another person's device it is not, and it opens nothing alone.
        let elsewhere = arm(&stage, &node, stage.territory("la").await.admin().await).await;
        knock(&mine, &elsewhere.persona).await.refused(401, "second-factor-required");
        node.stranger().with("cookie", &cookie).get("/api/v1/home").await.refused(401, "unauthorized");
        knock(&node.stranger().with("cookie", &cookie[..cookie.len() - 2]), &armed.persona)
            .await
            .refused(401, "second-factor-required");
        // The days pass; a change of the factors voids it at once.
        stage.advance(Duration::days(29));
        knock(&mine, &armed.persona).await.expect(201);
        stage.sql("UPDATE account SET factors_changed_at = '2026-12-01'").await;
        knock(&mine, &armed.persona).await.refused(401, "second-factor-required");
        stage.sql("UPDATE account SET factors_changed_at = '2020-01-01'").await;
        knock(&mine, &armed.persona).await.expect(201);
        stage.advance(Duration::days(1));
        knock(&mine, &armed.persona).await.refused(401, "second-factor-required");
    });
}

#[test]
fn a_sign_in_on_a_new_device_is_told() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("ici").await.school("Collège Rosa-Parks").await;
        let pupil = school.class("6e B").await.pupil("Lina Martin").await;
        let from = |agent: &str| node.stranger().with("user-agent", agent);
        let phone = "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36";
        knock(&from(BROWSER), &pupil).await.expect(201);
        let count = "SELECT count(*) FROM security_event WHERE kind = 'new-device'";
        assert_eq!(stage.count(count).await, 0, "the first of all is no news");
        knock(&from(phone), &pupil).await.expect(201);
        assert_eq!(stage.count(count).await, 1);
        for agent in [BROWSER, phone] {
            knock(&from(agent), &pupil).await.expect(201);
        }
        assert_eq!(stage.count(count).await, 1);
        let client = node.signed_in(&pupil).await;
        let page = client.get("/api/v1/account/security-events").await.expect(200).json();
        assert_eq!(page["items"][0]["kind"], "new-device");
        assert_eq!(page["items"][0]["device"], "Chrome, Android");
    });
}

#[test]
fn a_new_device_is_told_by_mail_to_an_address_that_is_read() {
    play(async |stage| {
        let node = stage.node().await;
        let class = stage.territory("ici").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let phone = "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36";
        for (name, email, confirmed) in
            [("Lina Martin", "lina@example.org", "now()"), ("Omar Petit", "omar@example.org", "NULL")]
        {
            let pupil = class.pupil(name).await;
            stage
                .sql(&format!(
                    "UPDATE person SET email = '{email}', email_confirmed_at = {confirmed} WHERE person_id = '{}'",
                    pupil.id
                ))
                .await;
            for agent in [BROWSER, phone, phone] {
                knock(&node.stranger().with("user-agent", agent), &pupil).await.expect(201);
            }
        }
        node.app.accounts.work().await.unwrap();
        let sent = stage.sent();
        assert_eq!(sent.len(), 1, "once, for the second device, to whoever has shown to read it: {sent:?}");
        assert_eq!(sent[0].to, "lina@example.org");
        assert!(
            sent[0].text.contains("Bonjour Lina") && sent[0].text.contains("Chrome, Android"),
            "{sent:?}"
        );
        assert!(!sent[0].text.contains("http"), "a link would teach people to follow one");
    });
}

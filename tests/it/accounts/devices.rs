//! Several people on one device.

use super::*;

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

//! What a browser holds.

use chrono::Duration;
use preau_tests::{Answer, Client, Node, PASSWORD, play};
use serde_json::json;

use super::{CURRENT, ORIGIN, REFRESH, SESSIONS, class};

/// A browser with the cookies that an answer set.
fn browser(node: &Node, answer: &Answer) -> Client {
    let jar: Vec<&str> = answer.cookies().iter().filter_map(|cookie| cookie.split(';').next()).collect();
    node.stranger().with("cookie", &jar.join("; "))
}

#[test]
fn cookies_are_for_this_host_and_its_own_pages() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let sign_in = async |trusted: bool| {
            let body = json!({ "login": pupil.login, "password": PASSWORD, "trusted_device": trusted });
            node.stranger().post(SESSIONS, &body).await.expect(201)
        };
        let (shared, trusted) = (sign_in(false).await, sign_in(true).await);
        assert!(shared.json().get("access_token").is_none() && shared.json().get("refresh_token").is_none());
        for answer in [&shared, &trusted] {
            let cookies = answer.cookies();
            let names: Vec<&str> = cookies.iter().map(|cookie| cookie.split('=').next().unwrap()).collect();
            assert_eq!(names[..2], ["__Host-preau", "__Host-preau-refresh"]);
            for cookie in cookies {
                for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
                    assert!(cookie.contains(attribute), "{attribute} in {cookie}");
                }
                assert!(!cookie.contains("Domain"), "{cookie}");
            }
        }
        assert_eq!(shared.cookies().len(), 2, "a shared device remembers nobody");
        let remembered: Vec<_> =
            trusted.cookies()[2..].iter().map(|it| it.split('=').next().unwrap()).collect();
        assert_eq!(remembered, ["__Host-preau-device", "__Host-preau-place"]);
        assert!(!shared.cookies()[1].contains("Max-Age"), "a shared device forgets with its window");
        assert!(trusted.cookies()[1].contains("; Max-Age=2592000"));

        let me = browser(&node, &shared);
        me.get(SESSIONS).await.expect(200);
        me.delete(CURRENT).await.refused(403, "foreign-origin");
        me.clone()
            .with("origin", "https://evil.example")
            .delete(CURRENT)
            .await
            .refused(403, "foreign-origin");
        me.clone().with("origin", "null").delete(CURRENT).await.refused(403, "foreign-origin");
        me.clone().with("sec-fetch-site", "same-site").delete(CURRENT).await.refused(403, "foreign-origin");
        me.clone().with("sec-fetch-site", "cross-site").delete(CURRENT).await.refused(403, "foreign-origin");
        let odd = me.clone().with("origin", ORIGIN).with("sec-fetch-site", "cross-site");
        odd.delete(CURRENT).await.refused(403, "foreign-origin");
        me.get(SESSIONS).await.expect(200);
        browser(&node, &trusted).with("sec-fetch-site", "same-origin").delete(CURRENT).await.expect(204);
        let out = me.clone().with("origin", ORIGIN).delete(CURRENT).await.expect(204);
        assert!(out.cookies().iter().all(|cookie| cookie.contains("=; ") && cookie.contains("Max-Age=0")));
        assert_eq!(out.cookies().len(), 2);
        me.get(SESSIONS).await.refused(401, "unauthorized");
    });
}

#[test]
fn a_browser_refreshes_with_its_cookie() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let body = json!({ "login": pupil.login, "password": PASSWORD });
        let me = browser(&node, &node.stranger().post(SESSIONS, &body).await.expect(201));
        let me = me.with("origin", ORIGIN);
        stage.advance(Duration::minutes(61));
        me.get(SESSIONS).await.refused(401, "unauthorized");
        let answer = me.post(REFRESH, &json!({})).await.expect(200);
        assert!(answer.json().get("access_token").is_none() && answer.json().get("refresh_token").is_none());
        assert_eq!(answer.cookies().len(), 2);
        let me = browser(&node, &answer);
        me.get(SESSIONS).await.expect(200);
        me.clone().with("origin", ORIGIN).delete(CURRENT).await.expect(204);
        let ended = me.with("origin", ORIGIN).post(REFRESH, &json!({})).await.refused(401, "session-ended");
        assert!(ended.cookies().iter().all(|cookie| cookie.contains("Max-Age=0")));
    });
}

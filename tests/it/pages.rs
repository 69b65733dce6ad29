//! The pages as a browser without JavaScript walks them. (How they look and read is tried in `tests/e2e`.)

use bytes::Bytes;
use http::Method;
use preau_kernel::Role;
use preau_tests::{Answer, Client, Node, PASSWORD, play};

const ORIGIN: &str = "http://localhost:8080";

async fn submit(client: &Client, path: &str, form: &str) -> Answer {
    let media = "application/x-www-form-urlencoded";
    client.send(Method::POST, path, Some((media, Bytes::from(form.to_owned())))).await
}

fn browser(node: &Node, answer: &Answer) -> Client {
    let jar: Vec<&str> = answer.cookies().iter().filter_map(|cookie| cookie.split(';').next()).collect();
    node.stranger().with("cookie", &jar.join("; "))
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn encoded(text: &str) -> String {
    text.replace(' ', "+")
}

#[test]
fn the_way_in_the_day_and_the_way_out() {
    play(async |stage| {
        let node = stage.node().await;
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let durand = class.teacher("Claire Durand").await;
        let lina = class.pupil("Lina Martin").await;
        class.lesson(&durand, "Histoire <b>", "2026-11-23T08:00:00Z", 55).await;

        let stranger = node.stranger();
        for page in ["/", "/semaine/2026-11-23", "/appareils"] {
            let sent = stranger.get(page).await.expect(303);
            assert!(sent.header("location").unwrap().starts_with("/connexion"), "{page}");
        }
        let door = stranger.get("/connexion").await.expect(200);
        assert!(text(&door).contains("<form") && door.header("content-security-policy").is_some());

        let form = format!("login={}&password={}", lina.login, encoded(PASSWORD));
        let here = stranger.clone().with("origin", ORIGIN);
        submit(&stranger, "/connexion", &form).await.refused(403, "foreign-origin");
        submit(&stranger.clone().with("origin", "https://evil.example"), "/connexion", &form)
            .await
            .expect(403);
        let wrong =
            submit(&here, "/connexion", &format!("login={}&password=non", lina.login)).await.expect(401);
        assert!(text(&wrong).contains("<form") && wrong.cookies().is_empty());
        submit(&here, "/connexion", "login=&password=").await.expect(422);
        let inside = submit(&here, "/connexion", &form).await.expect(303);
        assert_eq!(inside.header("location"), Some("/"));
        for token in ["__Host-preau=", "__Host-preau-refresh="] {
            let cookies = inside.cookies();
            let cookie = cookies.iter().find(|cookie| cookie.starts_with(token)).unwrap();
            assert!(cookie.contains("; HttpOnly") && cookie.contains("; Secure"), "{cookie}");
        }

        let me = browser(&node, &inside);
        let day = text(&me.get("/").await.expect(200));
        assert!(
            day.contains("Histoire &#60;b&#62;") || day.contains("Histoire &lt;b&gt;"),
            "escaped, and shown"
        );
        assert!(!day.contains("Histoire <b>"));
        assert!(text(&me.get("/semaine/2026-11-23").await.expect(200)).contains("Histoire"));
        me.get("/appareils").await.expect(200);
        me.get("/connexion").await.expect(303);

        submit(&me, "/deconnexion", "").await.expect(403);
        me.get("/").await.expect(200);
        let out = submit(&me.clone().with("origin", ORIGIN), "/deconnexion", "").await.expect(303);
        // The device's own stays: in which lane its owner waits, and that they have just left.
        let (own, gone): (Vec<_>, Vec<_>) =
            out.cookies().into_iter().partition(|cookie| cookie.starts_with("__Host-preau-place="));
        assert!(own.len() == 1 && gone.iter().all(|cookie| cookie.contains("Max-Age=0")), "{gone:?}");
        me.get("/").await.expect(303);
        assert_eq!(
            stage.count("SELECT count(*) FROM session_family WHERE revoked_why = 'sign-out'").await,
            1
        );
    });
}

#[test]
fn the_sign_in_page_names_the_hours_of_today_and_who_goes_first() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège").await;
        let (first, hours) = ("href=\"/qui-passe-en-premier\"", "href=\"/plages-horaires\">Plages horaires");
        let door = async || text(&node.stranger().get("/connexion").await.expect(200));
        let page = door().await;
        assert!(page.contains(first) && page.contains(&format!("{hours}</a>")), "{page}");

        let plan = async |starts_on: &str, name: &str| {
            let mut plan = crate::plans::plan();
            (plan["starts_on"], plan["name"]) = (starts_on.into(), name.into());
            let plan = serde_json::from_value(plan).expect("a plan");
            node.app.plans.import(territory.id, &plan).await.expect("made");
        };
        plan("2026-12-01", "Décembre").await;
        assert!(door().await.contains(&format!("{hours}</a>")), "it is still to come");
        plan("2026-11-16", "Novembre").await;
        assert!(
            door().await.contains(&format!("{hours} en vigueur\u{a0}: Novembre</a>")),
            "{}",
            door().await
        );
        // Whose school has told itself is led to its hours, which a plan of its own may have replaced.
        let of_school = node.stranger().get(&format!("/connexion?ecole={}", school.id)).await.expect(200);
        let link = format!("href=\"/plages-horaires?ecole={}\">Plages horaires</a>", school.id);
        assert!(text(&of_school).contains(&link), "{}", text(&of_school));
        node.stranger().get(&format!("/plages-horaires?ecole={}", school.id)).await.expect(200);
    });
}

#[test]
fn nobody_is_sent_to_another_site() {
    play(async |stage| {
        let node = stage.node().await;
        let lina = stage
            .territory("test")
            .await
            .school("Collège")
            .await
            .class("6e B")
            .await
            .pupil("Lina Martin")
            .await;
        let here = node.stranger().with("origin", ORIGIN);
        for away in [
            "https%3A%2F%2Fevil.example",
            "%2F%2Fevil.example",
            "%2F%5Cevil.example",
            "%5C%5Cevil.example",
            "javascript%3Aalert(1)",
            "%2F%09%2Fevil.example",
            "evil.example",
            "%2F%0D%0ALocation%3A%20https%3A%2F%2Fevil.example",
        ] {
            let form = format!("login={}&password={}&vers={away}", lina.login, encoded(PASSWORD));
            let sent = submit(&here, "/connexion", &form).await.expect(303);
            let to = sent.header("location").unwrap();
            assert!(to.starts_with('/') && !to.contains("evil"), "{away} leads to {to}");
        }
        let form =
            format!("login={}&password={}&vers=%2Fsemaine%2F2026-11-23", lina.login, encoded(PASSWORD));
        let sent = submit(&here, "/connexion", &form).await.expect(303);
        assert_eq!(sent.header("location"), Some("/semaine/2026-11-23"));
    });
}

#[test]
fn an_account_is_activated_by_its_form() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège").await;
        let zoe = territory.person_in_state("Zoé Nouvelle", "imported").await;
        school.enrol(&zoe, Role::Pupil).await;
        let code = node.app.identity.make_code_by_login(&zoe.login).await.unwrap().code.printed();
        let here = node.stranger().with("origin", ORIGIN);
        let form = |code: &str, password: &str, terms: &str| {
            format!("login={}&code={code}&password={}{terms}", zoe.login, encoded(password))
        };
        const GOOD: &str = "trois petits chats bleus";
        let terms = format!("&accept_terms=on&terms_version={}", preau_identity::TERMS_VERSION);
        here.get("/activation").await.expect(200);
        submit(&here, "/activation", &form("00000-00000-000", GOOD, &terms)).await.expect(401);
        submit(&here, "/activation", &form(&code, "court", &terms)).await.expect(422);
        submit(&here, "/activation", &form(&code, GOOD, "")).await.expect(422);
        let inside = submit(&here, "/activation", &form(&code, GOOD, &terms)).await.expect(303);
        browser(&node, &inside).get("/").await.expect(200);
        submit(&here, "/activation", &form(&code, GOOD, &terms)).await.expect(401);
    });
}

//! Signing in after two records were made one.

use preau_jobs::run_one;
use preau_tests::desk::{jar, post_form};

use super::*;

const OLD_PASSWORD: &str = "le vieux chemin de halage";
const HERE: &str = "http://localhost:8080";

struct Scene {
    node: Node,
    class: Class,
    /// An administrator of the territory, who has just proved who they are.
    above: Client,
}

impl Scene {
    async fn new(stage: &Stage) -> Self {
        let node = stage.node().await;
        let class = class(stage).await;
        let above = node.proven(&class.school.territory.admin().await).await;
        Self { node, class, above }
    }

    fn url(&self, rest: &str) -> String {
        format!("/api/v1/territories/{}/{rest}", self.class.school.territory.id)
    }

    async fn ask(&self, stage: &Stage, url: &str, body: &Value) -> Value {
        let key = stage.clock().mint::<uuid::Uuid>().to_string();
        let asked = self.above.clone().with("idempotency-key", &key).post(url, body).await.expect(202).json();
        let (app, handlers) = (&self.node.app, preau_directory::administration::handlers());
        let territory = self.class.school.territory.id;
        assert!(run_one(&app.db, &app.clock, &app.tasks, &handlers, &app.stop, territory).await.unwrap());
        asked
    }

    /// Makes one of two records; gives the merge.
    async fn unite(&self, stage: &Stage, kept: &Persona, merged: &Persona) -> String {
        let body = json!({ "kept_id": kept.id, "merged_id": merged.id });
        self.ask(stage, &self.url("merges"), &body).await["id"].as_str().unwrap().to_owned()
    }

    async fn part(&self, stage: &Stage, merge: &str, merged: &Persona) {
        self.ask(stage, &self.url(&format!("merges/{merge}/undo")), &json!({ "merged_id": merged.id })).await;
    }

    /// Somebody's password becomes another.
    async fn choose(&self, persona: &Persona, password: &str) {
        let body = json!({ "present_password": PASSWORD, "new_password": password });
        self.node.signed_in(persona).await.put("/api/v1/account/password", &body).await.expect(204);
    }

    /// Whom a name and a password let in.
    async fn comes(&self, login: &str, password: &str) -> Value {
        sign_in(&self.node, login, password).await.expect(201).json()["person"]["id"].clone()
    }
}

#[test]
fn an_old_name_keeps_its_password_until_another_is_chosen() {
    play(async |stage| {
        let scene = Scene::new(&stage).await;
        let (kept, merged) =
            (scene.class.teacher("Claire Durand").await, scene.class.teacher("Claire Durant").await);
        scene.choose(&merged, OLD_PASSWORD).await;
        stage.advance(Duration::minutes(1));
        let merge = scene.unite(&stage, &kept, &merged).await;

        assert_eq!(scene.comes(&merged.login, OLD_PASSWORD).await, json!(kept.id));
        assert_eq!(scene.comes(&kept.login, PASSWORD).await, json!(kept.id));
        // Each name has its own, and a wrong one says what it says for nobody.
        for (login, password) in [(&merged.login, PASSWORD), (&kept.login, OLD_PASSWORD)] {
            let wrong = sign_in(&scene.node, login, password).await.refused(401, "bad-credentials");
            let nobody = sign_in(&scene.node, "personne", password).await.refused(401, "bad-credentials");
            assert_eq!((wrong.body, wrong.headers), (nobody.body, nobody.headers));
        }
        // The owner is told.
        let session = scene.node.sign_in(&kept).await;
        let me = scene.node.bearer(&session.access);
        let told = me.get("/api/v1/account/security-events").await.expect(200).json();
        assert!(told.to_string().contains("account-merged"), "{told}");

        // Whoever came by the old name shows the old password, and chooses one for both.
        let change = |present: &str| json!({ "present_password": present, "new_password": NEW_PASSWORD });
        me.put("/api/v1/account/password", &change("ce n'est pas cela"))
            .await
            .refused(401, "bad-credentials");
        stage.advance(Duration::minutes(1));
        me.put("/api/v1/account/password", &change(OLD_PASSWORD)).await.expect(204);
        for login in [&kept.login, &merged.login] {
            assert_eq!(scene.comes(login, NEW_PASSWORD).await, json!(kept.id));
        }
        sign_in(&scene.node, &merged.login, OLD_PASSWORD).await.refused(401, "bad-credentials");
        me.put("/api/v1/account/password", &change(OLD_PASSWORD)).await.refused(401, "bad-credentials");

        scene.part(&stage, &merge, &merged).await;
        assert_eq!(scene.comes(&merged.login, OLD_PASSWORD).await, json!(merged.id));
        assert_eq!(scene.comes(&kept.login, NEW_PASSWORD).await, json!(kept.id));
    });
}

#[test]
fn whoever_administers_comes_by_their_own_name_and_password() {
    play(async |stage| {
        let scene = Scene::new(&stage).await;
        let kept = scene.class.school.admin().await;
        let merged = scene.class.teacher("Nora Vidal").await;
        scene.choose(&merged, OLD_PASSWORD).await;
        stage.advance(Duration::minutes(1));
        scene.unite(&stage, &kept, &merged).await;
        sign_in(&scene.node, &merged.login, OLD_PASSWORD).await.refused(401, "bad-credentials");
        assert_eq!(scene.comes(&merged.login, PASSWORD).await, json!(kept.id));
        let session = scene.node.sign_in(&kept).await;
        let me = scene.node.bearer(&session.access);
        let body = json!({ "present_password": OLD_PASSWORD, "new_password": NEW_PASSWORD });
        me.put("/api/v1/account/password", &body).await.refused(401, "bad-credentials");
    });
}

#[test]
fn what_was_used_before_the_merge_is_not_shut_by_it() {
    play(async |stage| {
        let scene = Scene::new(&stage).await;
        // The record that stays was never entered: the one that goes still opens it.
        let kept = newcomer(&scene.class, "Lina Martin", Role::Pupil).await;
        let merged = scene.class.pupil("Lina Martin").await;
        let merge = scene.unite(&stage, &kept, &merged).await;
        assert_eq!(scene.comes(&merged.login, PASSWORD).await, json!(kept.id));
        scene.part(&stage, &merge, &merged).await;
        assert_eq!(scene.comes(&merged.login, PASSWORD).await, json!(merged.id));

        // Neither was: the paper of the one that goes is good, under the name that stands on it.
        let office = scene.node.signed_in(&scene.class.school.admin().await).await;
        let paper = async |persona: &Persona| {
            let path = school_path(&scene.class, &format!("people/{}/activation-code", persona.id));
            office.post(&path, &json!({})).await.expect(201).json()["code"].as_str().unwrap().to_owned()
        };
        let activate = async |login: &str, code: &str| {
            scene.node.stranger().post("/api/v1/activations", &activation(login, code)).await
        };
        let (kept, merged) = (
            newcomer(&scene.class, "Omar Petit", Role::Pupil).await,
            newcomer(&scene.class, "Omar Petit", Role::Pupil).await,
        );
        let code = paper(&merged).await;
        scene.unite(&stage, &kept, &merged).await;
        let came = activate(&merged.login, &code).await.expect(201).json();
        assert_eq!(came["person"]["id"], json!(kept.id));

        // The one that stays is in use: the paper says by which name, and nobody else learns it.
        let (kept, merged) =
            (scene.class.pupil("Zoé Roux").await, newcomer(&scene.class, "Zoé Roux", Role::Pupil).await);
        let code = paper(&merged).await;
        scene.unite(&stage, &kept, &merged).await;
        let told = activate(&merged.login, &code).await.refused(409, "account-merged").json();
        assert_eq!(told["login"], json!(kept.login));
        activate(&merged.login, "AAAAA-AAAAA-AAAAA").await.refused(401, "bad-activation");
        let form = [
            ("login", merged.login.as_str()),
            ("code", code.as_str()),
            ("password", NEW_PASSWORD),
            ("terms_version", TERMS_VERSION),
            ("accept_terms", "yes"),
        ];
        let page = post_form(&scene.node, "/activation", HERE, "", &form).await.expect(409);
        let page = String::from_utf8_lossy(&page.body).into_owned();
        assert!(page.contains(&kept.login) && page.contains("réuni"), "{page}");
        assert_eq!(scene.comes(&kept.login, PASSWORD).await, json!(kept.id), "nothing changed");
    });
}

#[test]
fn an_address_of_either_record_leads_to_the_one_that_stays() {
    play(async |stage| {
        let scene = Scene::new(&stage).await;
        let (kept, merged) =
            (scene.class.teacher("Claire Durand").await, scene.class.teacher("Claire Durant").await);
        give_email(&stage, &merged, "claire@example.org").await;
        scene.unite(&stage, &kept, &merged).await;
        let reminder = json!({ "email": "claire@example.org" });
        scene.node.stranger().post("/api/v1/login-reminders", &reminder).await.expect(202);
        ask_for_password(&scene.node, "claire@example.org", "mail").await;
        scene.node.app.accounts.work().await.unwrap();
        let sent = stage.sent_to("claire@example.org");
        assert!(sent.len() == 2 && sent.iter().all(|sent| sent.text.contains(&kept.login)), "{sent:?}");
        assert!(sent.iter().all(|sent| !sent.text.contains(&merged.login)), "{sent:?}");
        let link = sent.iter().find(|sent| sent.text.contains("/reinitialisation/")).unwrap();
        let body = json!({ "token": link.token("reinitialisation"), "password": NEW_PASSWORD });
        complete(&scene.node, &body).await.expect(204);
        assert_eq!(scene.comes(&kept.login, NEW_PASSWORD).await, json!(kept.id));

        // Both have the address and fit the password: one person all the same.
        give_email(&stage, &kept, "claire@example.org").await;
        assert_eq!(scene.comes("claire@example.org", NEW_PASSWORD).await, json!(kept.id));
    });
}

#[test]
fn the_page_asks_which_of_several_people_signs_in() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (paul, anne) = (class.teacher("Paul Martin").await, class.teacher("Anne Martin").await);
        for one in [&paul, &anne] {
            give_email(&stage, one, "martin@example.org").await;
        }
        let submit = async |login: &str, password: &str| {
            let form = [
                ("login", login),
                ("password", password),
                ("shared_device", "yes"),
                ("vers", "/semaine/2026-11-23"),
            ];
            post_form(&node, "/connexion", HERE, "", &form).await
        };
        submit("martin@example.org", "ce n'est pas cela").await.expect(401);
        let asked = submit("martin@example.org", PASSWORD).await.expect(409);
        let page = String::from_utf8_lossy(&asked.body).into_owned();
        for one in [&paul, &anne] {
            assert!(page.contains("type=\"radio\" id=\"login") && page.contains(&one.login), "{page}");
        }
        assert!(page.contains("Paul Martin") && page.contains("Anne Martin"), "{page}");
        assert!(!page.contains(PASSWORD) && jar(&asked).is_empty(), "nothing is kept");
        // Where one was going, and that the device is shared, come along.
        assert!(
            page.contains("value=\"/semaine/2026-11-23\"") && page.contains("name=\"shared_device\""),
            "{page}"
        );
        let inside = submit(&anne.login, PASSWORD).await.expect(303);
        assert_eq!(inside.header("location"), Some("/semaine/2026-11-23"));
        let me = node.stranger().with("cookie", &jar(&inside)).get("/api/v1/home").await.expect(200).json();
        assert!(me.to_string().contains(&anne.id.to_string()), "{me}");
    });
}

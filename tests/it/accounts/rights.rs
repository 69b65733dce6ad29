//! What teachers may do for their classes, what a delegated power opens, and what is asked of people at their next sign-in.

use uuid::Uuid;

use super::*;

async fn keyed(client: &Client, stage: &Stage, url: &str, body: &Value) -> Answer {
    client.clone().with("idempotency-key", &stage.clock().mint::<Uuid>().to_string()).post(url, body).await
}

/// Everything that the school may let, but one thing.
async fn withhold(node: &Node, class: &Class, admin: &Persona, right: &str) {
    let rights = school_path(class, "class-rights");
    let admin = node.signed_in(admin).await;
    let mut rule = admin.get(&rights).await.expect(200).json();
    rule[right] = json!(false);
    admin.put(&rights, &rule).await.expect(204);
}

#[test]
fn a_right_that_the_school_withholds_makes_no_activation_code() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (teacher, admin) = (class.teacher("Claire Durand").await, class.school.admin().await);
        let pupil = newcomer(&class, "Lina Martin", Role::Pupil).await;
        in_class(&stage, &class, &pupil).await;
        let path = school_path(&class, &format!("people/{}/activation-code", pupil.id));
        node.signed_in(&teacher).await.post(&path, &json!({})).await.expect(201);
        withhold(&node, &class, &admin, "reset_passwords").await;
        node.signed_in(&teacher).await.post(&path, &json!({})).await.refused(403, "right-withheld");
        node.signed_in(&admin).await.post(&path, &json!({})).await.expect(201);
        // A teacher's right never went beyond pupils, whatever else those are.
        let double = newcomer(&class, "Dora Double", Role::Pupil).await;
        in_class(&stage, &class, &double).await;
        class.school.enrol(&double, Role::Staff).await;
        let theirs = school_path(&class, &format!("people/{}/activation-code", double.id));
        node.signed_in(&teacher).await.post(&theirs, &json!({})).await.refused(403, "right-withheld");
    });
}

#[test]
fn a_delegated_power_makes_codes_and_reaches_no_administrator() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (clerk, admin) = (class.school.staff("Ali Secrétaire").await, class.school.admin().await);
        let pupil = newcomer(&class, "Lina Martin", Role::Pupil).await;
        let colleague = newcomer(&class, "Rosa Adjointe", Role::Staff).await;
        let boss = newcomer(&class, "Paul Principal", Role::SchoolAdmin).await;
        let path = |whom: &Persona| school_path(&class, &format!("people/{}/activation-code", whom.id));
        node.signed_in(&clerk).await.post(&path(&pupil), &json!({})).await.refused(403, "forbidden");
        let until = stage.clock().now() + Duration::days(10);
        for (whom, power) in [(&clerk, "reset-passwords"), (&colleague, "manage-people")] {
            let body = json!({ "person_id": whom.id, "power": power, "until": until });
            let url = school_path(&class, "administration/delegations");
            keyed(&node.signed_in(&admin).await, &stage, &url, &body).await.expect(201);
        }
        let me = node.signed_in(&clerk).await;
        me.post(&path(&pupil), &json!({})).await.expect(201);
        me.post(&path(&boss), &json!({})).await.refused(404, "not-found");
        // Who holds a power is not handed over with it.
        me.post(&path(&colleague), &json!({})).await.refused(404, "not-found");
        node.signed_in(&admin).await.post(&path(&colleague), &json!({})).await.expect(201);
    });
}

#[test]
fn teachers_add_take_out_and_remove_as_far_as_the_school_lets_them() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (teacher, admin) = (class.teacher("Claire Durand").await, class.school.admin().await);
        let stranger = class.school.class("5e A").await.teacher("Omar Petit").await;
        let pupils = school_path(&class, &format!("classes/{}/pupils", class.id));
        let one =
            json!({ "pupils": [{ "last_name": "Nouvelle", "first_name": "Ana", "birth_on": "2015-02-03" }] });
        let table = json!({ "pupils": [
            { "last_name": "Un", "first_name": "Léo" }, { "last_name": "Deux", "first_name": "Mia" },
        ] });
        keyed(&node.signed_in(&stranger).await, &stage, &pupils, &one).await.refused(404, "not-found");
        let me = node.signed_in(&teacher).await;
        let ana = keyed(&me, &stage, &pupils, &one).await.expect(201).json()["person_ids"][0].clone();
        let ana = ana.as_str().expect("an id").to_owned();
        let made = keyed(&me, &stage, &pupils, &table).await.expect(201).json();
        let léo = made["person_ids"][0].as_str().expect("an id").to_owned();
        let in_class = format!("SELECT count(*) FROM class_pupil WHERE class_id = '{}'", class.id);
        assert_eq!(stage.count(&in_class).await, 3);

        // Whom a directory names is not a teacher's to remove, and may be taken out of the class.
        let fed = class.pupil("Zoé Annuaire").await;
        stage.sql(&format!("UPDATE membership SET origin = 'feed' WHERE person_id = '{}'", fed.id)).await;
        me.delete(&format!("{pupils}/{}/membership", fed.id)).await.refused(403, "forbidden");
        me.delete(&format!("{pupils}/{}", fed.id)).await.expect(204);
        me.delete(&format!("{pupils}/{}", fed.id)).await.refused(404, "not-found");
        me.delete(&format!("{pupils}/{ana}/membership")).await.expect(204);
        let left =
            format!("SELECT count(*) FROM membership WHERE person_id = '{ana}' AND ended_at IS NOT NULL");
        assert_eq!(stage.count(&left).await, 1);

        for right in ["add_users", "import_csv", "unlink", "delete_users"] {
            withhold(&node, &class, &admin, right).await;
        }
        let me = node.signed_in(&teacher).await;
        keyed(&me, &stage, &pupils, &one).await.refused(403, "right-withheld");
        keyed(&me, &stage, &pupils, &table).await.refused(403, "right-withheld");
        me.delete(&format!("{pupils}/{léo}")).await.refused(403, "right-withheld");
        me.delete(&format!("{pupils}/{léo}/membership")).await.refused(403, "right-withheld");
        assert_eq!(stage.count(&in_class).await, 2);
    });
}

#[test]
fn what_is_asked_of_people_holds_them_until_it_is_done() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (durand, pupil) = (class.teacher("Claire Durand").await, class.pupil("Lina Martin").await);
        let admin = node.proven(&class.school.admin().await).await;
        let demand = |which: &str| school_path(&class, &format!("account-demands/{which}"));
        let asked =
            admin.put(&demand("new_password"), &json!({ "role": "teacher" })).await.expect(200).json();
        assert_eq!(asked["people"], 1);
        let again =
            admin.put(&demand("new_password"), &json!({ "role": "teacher" })).await.expect(200).json();
        assert_eq!(again["people"], 0, "asked of nobody twice");
        admin.put(&demand("confirm_email"), &json!({ "person_ids": [durand.id] })).await.expect(200);

        let gates = |answer: Answer| answer.expect(201).json()["gates"].clone();
        assert_eq!(gates(sign_in(&node, &pupil.login, PASSWORD).await), json!([]));
        let held = gates(sign_in(&node, &durand.login, PASSWORD).await);
        assert_eq!(held, json!(["new_password", "confirm_email"]));

        let me = node.signed_in(&durand).await;
        let change = json!({ "present_password": PASSWORD, "new_password": NEW_PASSWORD });
        me.put("/api/v1/account/password", &change).await.expect(204);
        assert_eq!(me.get("/api/v1/account").await.expect(200).json()["gates"], json!(["confirm_email"]));
        stage
            .sql(&format!("UPDATE person SET email_confirmed_at = now() WHERE person_id = '{}'", durand.id))
            .await;
        assert_eq!(gates(sign_in(&node, &durand.login, NEW_PASSWORD).await), json!([]));

        // Whoever has no password could do neither.
        stage.sql(&format!("DELETE FROM credential WHERE person_id = '{}'", pupil.id)).await;
        admin.put(&demand("new_password"), &json!({ "role": "pupil" })).await.expect(200);
        let profile =
            format!("SELECT count(*) FROM account WHERE person_id = '{}' AND demands <> '{{}}'", pupil.id);
        assert_eq!(stage.count(&profile).await, 1);
        admin.delete(&demand("new_password")).await.expect(200);
        assert_eq!(stage.count(&profile).await, 0);
    });
}

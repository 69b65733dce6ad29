//! Sheets of codes and young pupils' cards.

use super::*;

#[test]
fn a_teacher_prints_the_sheets_of_a_class_and_every_code_opens_its_account() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let teacher = class.teacher("Claire Durand").await;
        let mut pupils = Vec::new();
        for number in 0..30 {
            let pupil = newcomer(&class, &format!("Élève Numéro{number:02}"), Role::Pupil).await;
            in_class(&stage, &class, &pupil).await;
            pupils.push(pupil);
        }
        let active = class.pupil("Omar Actif").await;
        let me = node.signed_in(&teacher).await;
        let path = school_path(&class, "activation-sheets");
        let body = json!({ "audience": "pupils", "class_id": class.id });
        let made = me.post(&path, &body).await.expect(201).json();
        let items = made["items"].as_array().unwrap();
        assert_eq!((items.len(), &made["school_name"]), (31, &json!("Collège Rosa-Parks")));
        let codes: BTreeSet<&str> = items.iter().filter_map(|item| item["code"].as_str()).collect();
        assert_eq!(codes.len(), 30, "one each, and none for who has activated");
        let omar = items.iter().find(|item| item["person_id"] == json!(active.id)).unwrap();
        assert_eq!((omar.get("code"), &omar["state"]), (None, &json!("active")));
        assert_eq!(stage.count("SELECT count(*) FROM journal WHERE act = 'identity.make-sheets'").await, 1);
        for item in items.iter().filter(|item| item.get("code").is_some()).take(3) {
            let body = activation(item["login"].as_str().unwrap(), item["code"].as_str().unwrap());
            node.stranger().post("/api/v1/activations", &body).await.expect(201);
        }
        // Printing again voids what was printed before.
        let old = &items[10];
        me.post(&path, &body).await.expect(201);
        let stale = activation(old["login"].as_str().unwrap(), old["code"].as_str().unwrap());
        node.stranger().post("/api/v1/activations", &stale).await.refused(401, "bad-activation");
        let seen = me.get(&format!("{path}?audience=pupils&class_id={}", class.id)).await.expect(200).json();
        assert!(seen["items"].as_array().unwrap().iter().all(|item| item.get("code").is_none()));
    });
}

#[test]
fn sheets_are_for_the_class_s_teachers_as_far_as_the_school_lets_them() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (teacher, admin) = (class.teacher("Claire Durand").await, class.school.admin().await);
        let other = class.school.class("5e A").await;
        let colleague = other.teacher("Paul Autre").await;
        let pupil = newcomer(&class, "Lina Martin", Role::Pupil).await;
        in_class(&stage, &class, &pupil).await;
        let path = school_path(&class, "activation-sheets");
        let body = json!({ "audience": "pupils", "class_id": class.id });
        node.signed_in(&colleague).await.post(&path, &body).await.refused(404, "not-found");
        let guardians = json!({ "audience": "guardians", "class_id": class.id });
        let adults = json!({ "audience": "adults" });
        for wider in [&guardians, &adults] {
            node.signed_in(&teacher).await.post(&path, wider).await.refused(404, "not-found");
            node.signed_in(&admin).await.post(&path, wider).await.expect(201);
        }
        // An administrator of another school may not be reached through a class of this one.
        let elsewhere = class.school.territory.school("Lycée Jean-Moulin").await;
        let double = class.school.territory.person_in_state("Dora Double", "imported").await;
        class.school.enrol(&double, Role::Teacher).await;
        elsewhere.enrol(&double, Role::SchoolAdmin).await;
        let made = node.signed_in(&admin).await.post(&path, &adults).await.expect(201).json();
        let listed = made["items"].as_array().unwrap();
        assert!(listed.iter().all(|item| item["person_id"] != json!(double.id)), "{listed:?}");

        let rights = school_path(&class, "class-rights");
        let mut rule = node.signed_in(&teacher).await.get(&rights).await.expect(200).json();
        assert_eq!(rule["reset_passwords"], true);
        rule["reset_passwords"] = json!(false);
        rule["block"] = json!(false);
        node.signed_in(&teacher).await.put(&rights, &rule).await.refused(403, "forbidden");
        node.signed_in(&admin).await.put(&rights, &rule).await.expect(204);
        let me = node.signed_in(&teacher).await;
        me.post(&path, &body).await.refused(403, "right-withheld");
        let block = school_path(&class, &format!("people/{}/block", pupil.id));
        me.put(&block, &json!({ "reason": "Essai" })).await.refused(403, "right-withheld");
        node.signed_in(&admin).await.post(&path, &body).await.expect(201);
    });
}

#[test]
fn sheets_as_csv_hold_no_formula() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let admin = class.school.admin().await;
        for name in ["Ève =cmd|'/c_calc'!A0", "+33 @SOMME(A1)", "Li \"Martin\";x"] {
            let pupil = newcomer(&class, name, Role::Pupil).await;
            in_class(&stage, &class, &pupil).await;
        }
        let path = school_path(&class, "activation-sheets/csv");
        let body = json!({ "audience": "pupils", "class_id": class.id });
        let answer = node.signed_in(&admin).await.post(&path, &body).await.expect(201);
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let text = text.strip_prefix('\u{feff}').expect("Excel reads UTF-8 by its mark");
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(text.as_bytes());
        let mut rows = 0;
        for row in reader.records() {
            let row = row.unwrap();
            assert_eq!(row.len(), 6);
            assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{row:?}");
            ActivationCode::parse(&row[4]).expect("a code");
            rows += 1;
        }
        assert_eq!(rows, 3);
    });
}

#[test]
fn cards_are_for_the_pupils_of_a_primary_school() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let teacher = class.teacher("Claire Durand").await;
        let (old, new) =
            (class.pupil("Lina Martin").await, newcomer(&class, "Zoé Nouvelle", Role::Pupil).await);
        in_class(&stage, &class, &new).await;
        let session = node.sign_in(&old).await;
        let path = school_path(&class, &format!("classes/{}/cards", class.id));
        let me = node.signed_in(&teacher).await;
        me.post(&path, &json!({})).await.refused(422, "no-cards");
        stage.sql("UPDATE school SET kind = 'primary'").await;
        let cards = me.post(&path, &json!({})).await.expect(201).json();
        let cards = cards["items"].as_array().unwrap();
        assert_eq!(cards.len(), 2);
        for card in cards {
            sign_in(&node, card["login"].as_str().unwrap(), card["passphrase"].as_str().unwrap())
                .await
                .expect(201);
        }
        sign_in(&node, &old.login, PASSWORD).await.refused(401, "bad-credentials");
        node.bearer(&session.access).get(SESSIONS).await.refused(401, "unauthorized");
    });
}

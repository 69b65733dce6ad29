//! Lost logins and lost passwords.

use super::*;

#[test]
fn a_lost_login_is_mailed_to_its_address_and_nobody_else_learns_of_it() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (paul, anne) = (class.teacher("Paul Martin").await, class.teacher("Anne Martin").await);
        for one in [&paul, &anne] {
            give_email(&stage, one, "martin@example.org").await;
        }
        let mut answers = Vec::new();
        for email in ["Martin@example.org", "personne@example.org", "autre@example.org"] {
            let answer =
                node.stranger().post("/api/v1/login-reminders", &json!({ "email": email })).await.expect(202);
            answers.push((answer.body.clone(), answer.headers.clone()));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        node.app.accounts.work().await.unwrap();
        let sent = stage.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert!(sent[0].text.contains(&paul.login) && sent[0].text.contains(&anne.login), "{sent:?}");
        assert_eq!(stage.count("SELECT count(*) FROM recovery_request").await, 0);
    });
}

#[test]
fn a_lost_password_comes_back_by_a_link_that_works_once_and_for_an_hour() {
    play(async |stage| {
        let (node, other) = (stage.node().await, stage.node().await);
        let class = class(&stage).await;
        let (durand, petit) = (class.teacher("Claire Durand").await, class.teacher("Omar Petit").await);
        give_email(&stage, &durand, "claire@example.org").await;
        give_email(&stage, &petit, "omar@example.org").await;
        let session = node.sign_in(&durand).await;
        // Whoever guesses at her name does not keep her out afterwards.
        for _ in 0..6 {
            sign_in(&node, &durand.login, "ce n'est pas cela").await;
        }
        let known = ask_for_password(&node, &durand.login, "mail").await;
        let unknown = ask_for_password(&node, "personne.nulle-part", "mail").await;
        assert_eq!((known.body, known.headers), (unknown.body, unknown.headers));
        // Whatever a request says of hosts, the link is made of the configuration.
        let spoofed = node.stranger().with("host", "evil.example").with("x-forwarded-host", "evil.example");
        spoofed
            .post("/api/v1/password-resets", &json!({ "identifier": petit.login, "channel": "mail" }))
            .await
            .expect(202);
        node.app.accounts.work().await.unwrap();
        let all = stage.sent();
        assert!(
            all.len() == 2
                && all.iter().all(|sent| sent.text.contains("http://localhost:8080/reinitialisation/"))
        );
        assert!(all.iter().all(|sent| !sent.text.contains("evil")));
        let token = stage.sent_to("claire@example.org").pop().unwrap().token("reinitialisation");
        let with = |token: &str, password: &str| json!({ "token": token, "password": password });
        // A password that is refused does not cost the link.
        complete(&node, &with(&token, "azerty")).await.refused(422, "password-refused");
        complete(&node, &with(&token, NEW_PASSWORD)).await.expect(204);
        complete(&other, &with(&token, NEW_PASSWORD)).await.refused(401, "bad-reset");
        node.bearer(&session.access).get(SESSIONS).await.refused(401, "unauthorized");
        sign_in(&node, &durand.login, PASSWORD).await.refused(401, "bad-credentials");
        sign_in(&node, &durand.login, NEW_PASSWORD).await.expect(201);
        // Another person's link, cut, or an hour old, opens nothing.
        let theirs = stage.sent_to("omar@example.org").pop().unwrap().token("reinitialisation");
        let crossed =
            theirs.replace(&petit.id.uuid().simple().to_string(), &durand.id.uuid().simple().to_string());
        for bad in [crossed.as_str(), &theirs[..theirs.len() - 2], "v1..", ""] {
            complete(&node, &with(bad, NEW_PASSWORD)).await.refused(401, "bad-reset");
        }
        stage.advance(Duration::minutes(61));
        complete(&node, &with(&theirs, NEW_PASSWORD)).await.refused(401, "bad-reset");
    });
}

#[test]
fn people_who_share_an_address_are_mailed_a_link_each_in_one_mail() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        // More than the mails that an address is sent within the hour.
        let mut family = Vec::new();
        for first in ["Paul", "Anne", "Lou", "Jo"] {
            let one = class.teacher(&format!("{first} Martin")).await;
            give_email(&stage, &one, "martin@example.org").await;
            family.push(one);
        }
        let never = newcomer(&class, "Zoé Martin", Role::Guardian).await;
        give_email(&stage, &never, "martin@example.org").await;
        ask_for_password(&node, "martin@example.org", "mail").await;
        node.app.accounts.work().await.unwrap();
        let sent = stage.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        let text = sent[0].text.clone();
        assert!(!text.contains(&never.login), "whoever never came has the paper: {text}");
        for one in &family {
            let at = text.find(&one.login).unwrap();
            let rest = preau_tests::Sent { text: text[at..].to_owned(), ..sent[0].clone() };
            let body = json!({ "token": rest.token("reinitialisation"), "password": format!("{NEW_PASSWORD} {}", one.login) });
            complete(&node, &body).await.expect(204);
            sign_in(&node, &one.login, &format!("{NEW_PASSWORD} {}", one.login)).await.expect(201);
        }
    });
}

#[test]
fn a_thousand_requests_are_three_mails_and_void_no_link() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, stage.node().await];
        let durand = class(&stage).await.teacher("Claire Durand").await;
        give_email(&stage, &durand, "claire@example.org").await;
        for turn in 0..1000_usize {
            let identifier = if turn % 2 == 0 { &durand.login } else { "claire@example.org" };
            ask_for_password(&nodes[turn % 3], identifier, "mail").await;
            if turn % 50 == 0 {
                nodes[turn % 3].app.accounts.work().await.unwrap();
            }
        }
        nodes[0].app.accounts.work().await.unwrap();
        let sent = stage.sent_to("claire@example.org");
        assert!((1..=3).contains(&sent.len()), "{}", sent.len());
        let body = json!({ "token": sent[0].token("reinitialisation"), "password": NEW_PASSWORD });
        complete(&nodes[0], &body).await.expect(204);
        // The next hour, there may be another.
        stage.advance(Duration::minutes(61));
        ask_for_password(&nodes[0], &durand.login, "mail").await;
        nodes[0].app.accounts.work().await.unwrap();
        assert_eq!(stage.sent_to("claire@example.org").len(), sent.len() + 1);
    });
}

#[test]
fn a_password_comes_back_by_text_message_and_by_a_code_that_a_teacher_makes() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (teacher, pupil) = (class.teacher("Claire Durand").await, class.pupil("Lina Martin").await);
        stage
            .sql(&format!("UPDATE person SET mobile = '+33612345678' WHERE person_id = '{}'", pupil.id))
            .await;
        ask_for_password(&node, &pupil.login, "sms").await;
        node.app.accounts.work().await.unwrap();
        let code = stage.sent_to("+33612345678").pop().unwrap().code(8);
        let by_code =
            |login: &str, code: &str| json!({ "login": login, "code": code, "password": NEW_PASSWORD });
        let wrong = complete(&node, &by_code(&pupil.login, "12345678")).await.refused(401, "bad-reset");
        let nobody =
            complete(&node, &by_code("personne.nulle-part", "12345678")).await.refused(401, "bad-reset");
        assert_eq!((wrong.body, wrong.headers), (nobody.body, nobody.headers));
        complete(&node, &by_code(&pupil.login, &code)).await.expect(204);
        complete(&node, &by_code(&pupil.login, &code)).await.refused(401, "bad-reset");

        // Ten minutes before class.
        let path = school_path(&class, &format!("people/{}/reset-code", pupil.id));
        let me = node.signed_in(&teacher).await;
        for hours in [0, 25] {
            me.post(&path, &json!({ "hours": hours })).await.refused(422, "against-the-rules");
        }
        let first = me.post(&path, &json!({ "hours": 1 })).await.expect(201).json();
        let made = me.post(&path, &json!({ "hours": 1 })).await.expect(201).json();
        let code = made["code"].as_str().unwrap();
        complete(&node, &by_code(&pupil.login, first["code"].as_str().unwrap()))
            .await
            .refused(401, "bad-reset");
        complete(&node, &by_code(&pupil.login, &code.to_lowercase())).await.expect(204);
        sign_in(&node, &pupil.login, NEW_PASSWORD).await.expect(201);
        assert_eq!(
            stage.count("SELECT count(*) FROM journal WHERE act = 'identity.make-reset-code'").await,
            2
        );
        let late = me.post(&path, &json!({ "hours": 1 })).await.expect(201).json();
        stage.advance(Duration::minutes(61));
        complete(&node, &by_code(&pupil.login, late["code"].as_str().unwrap()))
            .await
            .refused(401, "bad-reset");
        // Paper is for who has not come yet; and nobody reaches above themselves.
        let waiting = newcomer(&class, "Zoé Nouvelle", Role::Pupil).await;
        in_class(&stage, &class, &waiting).await;
        let me = node.signed_in(&teacher).await;
        let of = |who: &Persona| school_path(&class, &format!("people/{}/reset-code", who.id));
        me.post(&of(&waiting), &json!({ "hours": 1 })).await.refused(409, "not-activated");
        let (admin, boss) = (class.school.admin().await, class.school.territory.admin().await);
        class.school.enrol(&boss, Role::Teacher).await;
        me.post(&of(&admin), &json!({ "hours": 1 })).await.refused(404, "not-found");
        node.signed_in(&admin).await.post(&of(&boss), &json!({ "hours": 1 })).await.refused(404, "not-found");
    });
}

#[test]
fn short_codes_are_tried_a_few_times_only() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, stage.node().await];
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        stage
            .sql(&format!("UPDATE person SET mobile = '+33612345678' WHERE person_id = '{}'", pupil.id))
            .await;
        ask_for_password(&nodes[0], &pupil.login, "sms").await;
        nodes[0].app.accounts.work().await.unwrap();
        let code = stage.sent_to("+33612345678").pop().unwrap().code(8);
        let tries = (0..60).map(|turn| {
            let guess = format!("{:08}", turn + 10_000_000);
            let body = json!({ "login": pupil.login, "code": guess, "password": NEW_PASSWORD });
            let node = &nodes[turn % 3];
            async move { complete(node, &body).await.status.as_u16() }
        });
        let answers = futures::future::join_all(tries).await;
        let checked = answers.iter().filter(|status| **status == 401).count();
        assert!((1..=20).contains(&checked), "{checked}");
        stage.advance(Duration::minutes(16));
        let body = json!({ "login": pupil.login, "code": code, "password": NEW_PASSWORD });
        complete(&nodes[0], &body).await.refused(401, "bad-reset");
    });
}

#[test]
fn a_young_pupil_s_lost_password_goes_to_the_teacher_where_the_school_says_so() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        stage.sql("UPDATE school SET kind = 'primary'").await;
        let (teacher, admin) = (class.teacher("Claire Durand").await, class.school.admin().await);
        let pupil = class.pupil("Lina Martin").await;
        give_email(&stage, &teacher, "maitresse@example.org").await;
        give_email(&stage, &pupil, "famille@example.org").await;
        let rights = school_path(&class, "class-rights");
        let mut rule = node.signed_in(&admin).await.get(&rights).await.expect(200).json();
        rule["young_resets_to_teacher"] = json!(true);
        node.signed_in(&admin).await.put(&rights, &rule).await.expect(204);
        ask_for_password(&node, &pupil.login, "mail").await;
        node.app.accounts.work().await.unwrap();
        assert_eq!(stage.sent_to("famille@example.org").len(), 0);
        let told = stage.sent_to("maitresse@example.org").pop().expect("the teacher is told");
        assert!(told.text.contains("Lina Martin") && !told.text.contains("reinitialisation"), "{told:?}");
        assert_eq!(stage.count("SELECT count(*) FROM recovery").await, 0);
    });
}

#[test]
fn nothing_is_promised_where_nothing_can_be_sent() {
    play(async |stage| {
        let node = stage.node_with(|config| config.post.transport = Transport::None).await;
        let durand = class(&stage).await.teacher("Claire Durand").await;
        let stranger = node.stranger();
        stranger
            .post("/api/v1/password-resets", &json!({ "identifier": durand.login, "channel": "mail" }))
            .await
            .refused(422, "post-unavailable");
        stranger
            .post("/api/v1/login-reminders", &json!({ "email": "claire@example.org" }))
            .await
            .refused(422, "post-unavailable");
    });
}

//! Blocks of accounts and of profiles.

use super::*;

#[test]
fn a_block_is_felt_on_every_node_and_ends_by_itself() {
    play(async |stage| {
        let (here, there) = (stage.node().await, stage.node().await);
        let class = class(&stage).await;
        let (teacher, pupil) = (class.teacher("Claire Durand").await, class.pupil("Lina Martin").await);
        let session = there.sign_in(&pupil).await;
        let block = school_path(&class, &format!("people/{}/block", pupil.id));
        let me = here.signed_in(&teacher).await;
        let own = school_path(&class, &format!("people/{}/block", teacher.id));
        me.put(&own, &json!({ "reason": "Essai" })).await.refused(404, "not-found");
        me.put(&block, &json!({ "reason": " " })).await.refused(422, "against-the-rules");
        let past = stage.clock().now() - Duration::hours(1);
        me.put(&block, &json!({ "reason": "Essai", "until": past })).await.refused(422, "against-the-rules");
        let until = stage.clock().now() + Duration::hours(2);
        me.put(&block, &json!({ "reason": "Insultes", "until": until })).await.expect(204);
        // Each second, every node reads what was revoked.
        there.app.revoked.refresh(&there.app.db).await.unwrap();
        there.bearer(&session.access).get(SESSIONS).await.refused(401, "unauthorized");
        there
            .stranger()
            .post("/api/v1/sessions/refresh", &json!({ "refresh_token": session.refresh }))
            .await
            .refused(401, "session-ended");
        sign_in(&there, &pupil.login, PASSWORD).await.refused(403, "account-blocked");
        sign_in(&there, &pupil.login, "ce n'est pas cela").await.refused(401, "bad-credentials");
        let territory = class.school.territory.id;
        assert_eq!(here.app.accounts.lift_ended(territory).await.unwrap(), 0);
        stage.advance(Duration::hours(2));
        assert_eq!(here.app.accounts.lift_ended(territory).await.unwrap(), 1);
        sign_in(&there, &pupil.login, PASSWORD).await.expect(201);
        let me = here.signed_in(&teacher).await;
        me.put(&block, &json!({ "reason": "Encore" })).await.expect(204);
        sign_in(&there, &pupil.login, PASSWORD).await.refused(403, "account-blocked");
        me.delete(&block).await.expect(204);
        sign_in(&there, &pupil.login, PASSWORD).await.expect(201);
        let acts = stage.count("SELECT count(*) FROM journal WHERE act LIKE 'identity.%block%'").await;
        assert_eq!(acts, 4, "two blocks, one lifted by hand and one by its end");
    });
}

#[test]
fn a_profile_is_shut_out_of_one_school_and_lives_on_elsewhere() {
    play(async |stage| {
        let (here, there) = (stage.node().await, stage.node().await);
        let class = class(&stage).await;
        let (admin, pupil) = (class.school.admin().await, class.pupil("Lina Martin").await);
        let teacher = class.teacher("Claire Durand").await;
        let elsewhere = class.school.territory.school("Lycée Jean-Moulin").await;
        elsewhere.enrol(&teacher, Role::Teacher).await;
        let (young, old) = (there.sign_in(&pupil).await, there.sign_in(&teacher).await);
        let me = here.proven(&admin).await;
        let path = |role: &str| school_path(&class, &format!("profile-blocks/{role}"));
        me.put(&path("school_admin"), &json!({ "reason": "Non" })).await.refused(422, "against-the-rules");
        let until = stage.clock().now() + Duration::hours(1);
        for role in ["pupil", "teacher"] {
            me.put(&path(role), &json!({ "reason": "Panne de bus", "until": until })).await.expect(204);
        }
        there.app.revoked.refresh(&there.app.db).await.unwrap();
        let refresh = async |session: &Session| {
            there
                .stranger()
                .post("/api/v1/sessions/refresh", &json!({ "refresh_token": session.refresh }))
                .await
        };
        there.bearer(&young.access).get(SESSIONS).await.refused(401, "unauthorized");
        refresh(&young).await.refused(401, "session-ended");
        sign_in(&there, &pupil.login, PASSWORD).await.refused(403, "account-blocked");
        there.bearer(&old.access).get(SESSIONS).await.refused(401, "unauthorized");
        let less = refresh(&old).await.expect(200).json();
        let still = there.bearer(less["access_token"].as_str().unwrap());
        still.get(&school_path(&class, "classes")).await.refused(404, "not-found");
        still.get(&format!("/api/v1/schools/{}/classes", elsewhere.id)).await.expect(200);
        let listed = me.get(&school_path(&class, "profile-blocks")).await.expect(200).json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 2);
        stage.advance(Duration::hours(1));
        assert_eq!(here.app.accounts.lift_ended(class.school.territory.id).await.unwrap(), 2);
        sign_in(&there, &pupil.login, PASSWORD).await.expect(201);
    });
}

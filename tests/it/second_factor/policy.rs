//! What schools and territories want of factors.

use chrono::Duration;
use preau_http::Who;
use preau_kernel::{Role, RoleSet};
use preau_tests::{School, play};
use serde_json::{Value, json};

use super::arm;

/// T05: where a school or its territory says so, a session that has shown no factor administers nothing, and sees nothing of it.
#[test]
fn administration_may_be_closed_to_whoever_has_shown_no_factor() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("ici").await;
        let (school, other) = (territory.school("Collège").await, territory.school("Lycée").await);
        let (head, above) = (school.admin().await, territory.admin().await);
        let there = other.admin().await;
        let teacher = school.class("6e B").await.teacher("Claire Durand").await;
        let people = |school: &School| school.url("administration/people");
        let policy = |on: bool| json!({ "teachers_must": false, "administrators_prove": on });
        node.signed_in(&head).await.get(&people(&school)).await.expect(200);
        node.proven(&head).await.put(&school.url("second-factor-policy"), &policy(true)).await.expect(204);

        // Another node, which has asked nothing yet. (A node asks once a minute.)
        let strict = stage.node().await;
        for (who, what, may) in [
            (&head, people(&school), false),
            (&above, people(&school), false),
            (&above, people(&other), true),
            (&there, people(&other), true),
            (&teacher, school.url("classes"), true),
        ] {
            let answer = strict.signed_in(who).await.get(&what).await;
            match may {
                true => answer.expect(200),
                false => answer.refused(403, "proof-required"),
            };
        }
        // Shown once in this session is shown, hours ago as well; dangerous acts still ask again.
        let hours_ago = stage.clock().now() - Duration::hours(3);
        let family = stage.family(&head).await;
        let shown = strict.token_proven(&head, family, Duration::zero(), Some(hours_ago)).await;
        let shown = strict.bearer(shown);
        shown.get(&people(&school)).await.expect(200);
        shown.put(&school.url("second-factor-policy"), &policy(false)).await.refused(403, "proof-required");
        // Who says nothing of it leaves it as it is.
        let teachers = json!({ "teachers_must": true });
        strict.proven(&head).await.put(&school.url("second-factor-policy"), &teachers).await.expect(204);
        let still = stage.node().await;
        still.signed_in(&head).await.get(&people(&school)).await.refused(403, "proof-required");

        // A territory's word holds everywhere, on every route that is an administrator's.
        let url = format!("/api/v1/territories/{}/second-factor-policy", territory.id);
        node.proven(&above).await.put(&url, &policy(true)).await.expect(204);
        let strict = stage.node().await;
        let (below, above) = (strict.signed_in(&there).await, strict.signed_in(&above).await);
        let of_admins = RoleSet::of(&[Role::SchoolAdmin]);
        let mut asked = 0;
        for row in strict.table.iter() {
            let client = match row.who() {
                Who::InSchool(roles) if roles == of_admins => &below,
                Who::TerritoryAdmin => &above,
                _ => continue,
            };
            let known = [("{school_id}", other.id.to_string()), ("{territory_id}", territory.id.to_string())];
            let path = known.iter().fold(row.path.clone(), |path, (hole, id)| path.replace(hole, id));
            let path: String = path
                .split('/')
                .map(
                    |part| {
                        if part.starts_with('{') { uuid::Uuid::nil().to_string() } else { part.to_owned() }
                    },
                )
                .collect::<Vec<_>>()
                .join("/");
            let method = http::Method::from_bytes(row.method.as_bytes()).unwrap();
            client.send(method, &path, None).await.refused(403, "proof-required");
            asked += 1;
        }
        assert!(asked > 40, "{asked} routes");
    });
}

#[test]
fn what_is_wanted_of_factors_is_read_with_whom_it_reaches() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("ici").await;
        let (school, other) = (territory.school("Collège").await, territory.school("Lycée").await);
        let (head, above) = (school.admin().await, territory.admin().await);
        other.class("2de 1").await.teacher("Hugo Blanc").await;
        let class = school.class("6e B").await;
        class.teacher("Claire Durand").await;
        let teacher = class.teacher("Nora Vidal").await;
        arm(&stage, &node, teacher).await;
        let path = school.url("second-factor-policy");
        let seen = async || node.signed_in(&head).await.get(&path).await.expect(200).json();
        let found = seen().await;
        assert_eq!(
            (&found["school"], &found["territory"]),
            (&Value::Null, &Value::Null),
            "nobody has said anything"
        );
        assert_eq!(found["administrators"], json!({ "people": 1, "without_factor": 1 }));
        assert_eq!(found["delegates"], json!({ "people": 0, "without_factor": 0 }));
        assert_eq!(found["teachers"], json!({ "people": 2, "without_factor": 1 }), "those of the school");
        // The direction reads the journal by its function.
        let direction = school.staff("Omar Petit").await;
        let function = format!("UPDATE membership SET function = 'DIR' WHERE person_id = '{}'", direction.id);
        stage.sql(&function).await;
        assert_eq!(seen().await["delegates"], json!({ "people": 1, "without_factor": 1 }));

        let up = format!("/api/v1/territories/{}/second-factor-policy", territory.id);
        let policy =
            |teachers: bool, prove: bool| json!({ "teachers_must": teachers, "administrators_prove": prove });
        node.proven(&above).await.put(&up, &policy(true, false)).await.expect(204);
        let found = seen().await;
        assert_eq!((&found["school"], &found["territory"]["teachers_must"]), (&Value::Null, &json!(true)));
        node.proven(&head).await.put(&path, &policy(false, false)).await.expect(204);
        assert_eq!(seen().await["school"]["teachers_must"], false);
        for (school, role, people) in
            [(&school, "teacher", 2), (&school, "school_admin", 1), (&other, "teacher", 1)]
        {
            stage
                .sql(&format!(
                    "INSERT INTO school_counter (school_id, role, territory_id, people, activated, blocked, counted_at)
                     VALUES ('{}', '{role}', '{}', {people}, 0, 0, now())
                     ON CONFLICT (school_id, role) DO UPDATE SET people = excluded.people",
                    school.id, territory.id
                ))
                .await;
        }
        let found = node.signed_in(&above).await.get(&up).await.expect(200).json();
        assert_eq!(found["territory"]["teachers_must"], true);
        assert_eq!((&found["schools"], &found["schools_with_own"]), (&json!(2), &json!(1)));
        assert_eq!(found["administrators"], 1);
        assert_eq!(found["teachers"], 1, "its word does not reach those of a school that says for itself");
        let acts = "SELECT count(*) FROM journal WHERE act = 'identity.second-factor-policy'";
        assert_eq!(stage.count(acts).await, 2);
    });
}

//! How much a program reads, and who agrees to more.

use preau_kernel::{Role, Scope};
use preau_tests::{Client, Node, Persona, School, Stage, play};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{access_of, change, deaf, keyed, school, token};

/// Pupils of a school, put in at once.
async fn crowd(stage: &Stage, school: &School, many: u32) {
    stage
        .sql(&format!(
            "INSERT INTO school_person (school_id, person_id, last_name, first_name, search, updated_at)
             SELECT '{0}', md5('{0}' || n)::uuid, 'Martin', 'Lina', 'martin lina ' || n, now() FROM generate_series(1, {many}) n;
             INSERT INTO membership (school_id, person_id, role, origin, started_at)
             SELECT '{0}', md5('{0}' || n)::uuid, 'pupil', 'feed', now() FROM generate_series(1, {many}) n",
            school.id
        ))
        .await;
}

fn wish(client: Uuid, records: i32) -> Value {
    json!({ "client_id": client, "records_per_day": records, "ends_on": "2026-11-23", "reason": "Reprise de la cantine" })
}

fn yes() -> Value {
    json!({ "grant": true, "reason": "Vu avec le gestionnaire" })
}

#[test]
fn a_school_keeps_to_itself_and_sees_who_touches_it() {
    play(async |stage| {
        let node = stage.node().await;
        let here = stage.territory("ici").await;
        let (ours, theirs) =
            (here.school("Collège Rosa-Parks").await, here.school("Lycée Jean-Moulin").await);
        let foreign = stage.territory("ailleurs").await.school("Collège Zola").await;
        let (admin, neighbour, boss) = (ours.admin().await, theirs.admin().await, here.admin().await);
        let (admin, neighbour) = (node.proven(&admin).await, node.proven(&neighbour).await);
        let boss = node.proven(&boss).await;
        let said = |scopes: &[&str], schools: Value| {
            json!({ "name": "Essai", "purpose": "Pour les essais", "contact": "essai@exemple.fr",
                    "scopes": scopes, "school_ids": schools, "expires_on": "2027-07-31" })
        };
        let path = ours.url("api-clients");
        for (what, body) in [
            ("another school", said(&["directory:read"], json!([theirs.id]))),
            ("two schools", said(&["directory:read"], json!([ours.id, theirs.id]))),
            ("the territory's scope", said(&["imports:write"], json!([ours.id]))),
            ("no scope", said(&[], json!([ours.id]))),
        ] {
            let refused = keyed(&admin, &path, &body).await.refused(422, "against-the-rules");
            assert!(refused.json()["errors"][0]["field"].is_string(), "{what}");
        }
        let of_territory = format!("/api/v1/territories/{}/api-clients", here.id);
        keyed(&boss, &of_territory, &said(&["directory:read"], json!([foreign.id])))
            .await
            .refused(422, "against-the-rules");
        let made =
            keyed(&boss, &of_territory, &said(&["directory:read", "imports:read"], json!([ours.id]))).await;
        let made = made.expect(201).json();
        let id = made["client"]["id"].as_str().unwrap();
        // The school that it touches sees it, and does not change it; the other does not know of it.
        let seen = admin.get(&format!("{path}/{id}")).await.expect(200).json();
        assert_eq!(seen["secrets"], json!([]), "another's secrets");
        admin.delete(&format!("{path}/{id}")).await.refused(403, "forbidden");
        keyed(&admin, &format!("{path}/{id}/secrets"), &json!({})).await.refused(403, "forbidden");
        neighbour.get(&format!("{}/{id}", theirs.url("api-clients"))).await.refused(404, "not-found");
        neighbour.get(&path).await.refused(404, "not-found");
        assert_eq!(neighbour.get(&theirs.url("api-clients")).await.expect(200).json()["items"], json!([]));
        let chains = "SELECT count(DISTINCT chain_id) FROM journal WHERE act = 'client.create'";
        assert_eq!(stage.count(chains).await, 2, "in the journal of the territory, and of the school");

        // A token opens the schools given, and the territory's routes of its scopes.
        let access = access_of(&token(&node, id, made["client_secret"].as_str().unwrap(), "").await);
        let client = node.bearer(access);
        client.get(&ours.url("people")).await.expect(200);
        client.get(&theirs.url("people")).await.refused(404, "not-found");
        client.get(&format!("/api/v1/territories/{}/jobs", here.id)).await.expect(200);
        client
            .get(&format!("/api/v1/territories/{}/jobs", foreign.territory.id))
            .await
            .refused(404, "not-found");

        // Two people change it: the second is told.
        let this = format!("{of_territory}/{id}");
        let read = boss.get(&this).await.expect(200);
        let tag = read.header("etag").unwrap().to_owned();
        let after = change(&boss, &this, &tag, &json!({ "contact": "autre@exemple.fr" })).await.expect(200);
        assert_ne!(after.header("etag"), Some(tag.as_str()));
        change(&boss, &this, &tag, &json!({ "contact": "tard@exemple.fr" }))
            .await
            .refused(412, "changed-meanwhile");
        change(&boss, &this, "*", &json!({ "name": null })).await.refused(400, "invalid-field");
        change(&boss, &this, "*", &json!({ "owner_school_id": ours.id })).await.refused(400, "unknown-field");
    });
}

/// Reads pages of people until it is told to stop; how many it was given.
async fn read_all(client: Client, path: String, limit: u32) -> usize {
    let mut read = 0;
    let mut next = format!("{path}?limit={limit}");
    loop {
        let answer = client.get(&next).await;
        match answer.status.as_u16() {
            200 => {
                let page = answer.json();
                read += page["items"].as_array().unwrap().len();
                match page["next_cursor"].as_str() {
                    Some(cursor) => next = format!("{path}?limit={limit}&cursor={cursor}"),
                    None => next = format!("{path}?limit={limit}"),
                }
            }
            // Another node holds the row of the day for too long: ask again.
            409 | 429 => {}
            _ => {
                answer.refused(403, "approval-required");
                return read;
            }
        }
    }
}

#[test]
fn three_nodes_and_a_hundred_readers_never_pass_the_budget() {
    play(async |stage| {
        let nodes = [stage.node().await, deaf(&stage).await, stage.node().await];
        let school = school(&stage).await;
        crowd(&stage, &school, 300).await;
        let program = school.program(&[Scope::DirectoryRead]).await;
        let mut readers = JoinSet::new();
        for reader in 0..100_u32 {
            let client = nodes[usize::try_from(reader % 3).unwrap()].program(&program);
            readers.spawn(read_all(client, school.url("people"), 1 + reader % 40));
        }
        let read: usize = readers.join_all().await.into_iter().sum();
        println!("{read} records read by 100 readers on 3 nodes");
        assert!(read <= 2_000, "{read}: past the bound");
        assert!(read >= 2_000 - 2 * 99, "{read}: more lies idle than is said");
        let leased = stage.count("SELECT leased::bigint FROM read_budget").await;
        assert!(leased <= 2_000, "{leased}");
        // Tomorrow is another day.
        stage.advance(chrono::Duration::days(1));
        nodes[0].program(&program).get(&school.url("people")).await.expect(200);
    });
}

#[test]
fn one_school_a_day_and_more_by_a_second_person_only() {
    play(async |stage| {
        let node = stage.node().await;
        let here = stage.territory("ici").await;
        let (first, second) =
            (here.school("Collège Rosa-Parks").await, here.school("Lycée Jean-Moulin").await);
        crowd(&stage, &first, 120).await;
        crowd(&stage, &second, 120).await;
        let (alix, boss) = (second.admin().await, here.admin().await);
        let program = here.program(&[&first, &second], &[Scope::DirectoryRead]).await;
        let client = node.program(&program);
        client.get(&first.url("people")).await.expect(200);
        let told = client.get(&second.url("people")).await.refused(403, "approval-required").json();
        let path = second.url("read-approvals");
        assert_eq!(told["ask"], format!("POST {path}"));

        let (alix, boss) = (node.proven(&alix).await, node.proven(&boss).await);
        let asked = keyed(&alix, &path, &wish(program.id.uuid(), 100)).await.expect(201).json();
        let this = format!("{path}/{}", asked["id"].as_str().unwrap());
        client.get(&second.url("people")).await.refused(403, "approval-required");
        keyed(&alix, &format!("{this}/decision"), &yes()).await.refused(403, "second-person-required");
        // The table refuses what the code would let through.
        let forced = format!(
            "UPDATE read_approval SET state = 'granted', decided_by = asked_by, decided_at = now() WHERE approval_id = '{}'",
            asked["id"].as_str().unwrap()
        );
        let forced = sqlx::query(sqlx::AssertSqlSafe(forced)).execute(stage.owner()).await;
        assert!(forced.unwrap_err().to_string().contains("read_approval_second_person"));
        let mut less = yes();
        less["records_per_day"] = json!(80);
        let granted = keyed(&boss, &format!("{this}/decision"), &less).await.expect(201).json();
        assert_eq!((&granted["state"], &granted["records_per_day"]), (&json!("granted"), &json!(80)));
        keyed(&boss, &format!("{this}/decision"), &yes()).await.refused(409, "already-decided");

        // 80 records of that school, and not one more; the free ones of the first school are its own.
        let read = read_all(client.clone(), second.url("people"), 20).await;
        assert_eq!(read, 80);
        client.get(&first.url("people")).await.expect(200);
        stage.advance(chrono::Duration::days(1));
        client.get(&first.url("people")).await.refused(401, "unauthorized");
        let client = node.program(&program);
        client.get(&first.url("people")).await.expect(200);
        client.get(&second.url("people")).await.refused(403, "approval-required");

        for act in ["reading.ask", "reading.grant"] {
            let of_school =
                format!("SELECT count(*) FROM journal WHERE act = '{act}' AND chain_id = '{}'", second.id);
            assert_eq!(stage.count(&of_school).await, 1, "{act}");
        }
        let listed = alix_again(&node, &second).await.get(&path).await.expect(200).json();
        assert_eq!(listed["items"][0]["state"], "granted");
    });
}

/// Somebody else who administers the school, and sees what was decided.
async fn alix_again(node: &Node, school: &School) -> Client {
    let other: Persona = school.territory.person("Sacha Adjoint").await;
    school.enrol(&other, Role::SchoolAdmin).await;
    node.signed_in(&other).await
}

#[test]
fn nobody_agrees_to_their_own_reading_and_an_end_is_an_end() {
    play(async |stage| {
        let node = stage.node().await;
        let school = school(&stage).await;
        crowd(&stage, &school, 60).await;
        let (asker, friend) = (school.admin().await, school.admin().await);
        let (asker, friend) = (node.proven(&asker).await, node.proven(&friend).await);
        let path = school.url("read-approvals");
        // For oneself: the reader is the asker.
        let mut own = wish(Uuid::nil(), 3_000);
        own.as_object_mut().unwrap().remove("client_id");
        let asked = keyed(&asker, &path, &own).await.expect(201).json();
        assert_eq!(asked["person_id"], asked["asked_by"]);
        let this = format!("{path}/{}", asked["id"].as_str().unwrap());
        keyed(&asker, &format!("{this}/decision"), &yes()).await.refused(403, "second-person-required");
        let no = json!({ "grant": false, "reason": "Pas cette semaine" });
        assert_eq!(
            keyed(&friend, &format!("{this}/decision"), &no).await.expect(201).json()["state"],
            "refused"
        );

        for (what, field, value) in [
            ("nothing", "records_per_day", json!(0)),
            ("everything", "records_per_day", json!(1_000_000)),
            ("yesterday", "ends_on", json!("2026-11-22")),
            ("for ever", "ends_on", json!("2027-11-22")),
            ("no reason", "reason", json!("parce que")),
        ] {
            let mut bad = own.clone();
            bad[field] = value;
            let told = keyed(&asker, &path, &bad).await.refused(422, "against-the-rules").json();
            assert_eq!(told["errors"][0]["field"], field, "{what}");
        }
        keyed(&asker, &path, &wish(Uuid::from_u128(9), 10)).await.refused(404, "not-found");

        let program = school.program(&[Scope::DirectoryRead]).await;
        stage
            .sql(&format!(
                "INSERT INTO read_budget (territory_id, credential_id, day, free_school, leased)
                 VALUES ('{}', '{}', '2026-11-23', '{}', 2000)",
                school.territory.id, program.id, school.id
            ))
            .await;
        let client = node.program(&program);
        client.get(&school.url("people?limit=20")).await.refused(403, "approval-required");
        let asked = keyed(&asker, &path, &wish(program.id.uuid(), 500)).await.expect(201).json();
        let this = format!("{path}/{}", asked["id"].as_str().unwrap());
        keyed(&friend, &format!("{this}/decision"), &yes()).await.expect(201);
        client.get(&school.url("people?limit=20")).await.expect(200);
        assert_eq!(asker.delete(&this).await.expect(200).json()["state"], "ended");
        // Another node holds nothing of it, and is given nothing.
        let other = stage.node().await;
        other.program(&program).get(&school.url("people?limit=20")).await.refused(403, "approval-required");
    });
}

#[test]
fn requests_a_minute_are_counted_over_all_nodes() {
    play(async |stage| {
        let nodes = [stage.node().await, deaf(&stage).await, stage.node().await];
        let school = school(&stage).await;
        let program = school.program(&[Scope::DirectoryRead]).await;
        let mut said = program.token(&stage);
        said.per_minute = 50;
        let access = nodes[0].app.client_tokens.sign(&said).unwrap();
        let mut asked = JoinSet::new();
        for turn in 0..150 {
            let (client, path) = (nodes[turn % 3].bearer(&access), school.url("subjects"));
            asked.spawn(async move { client.get(&path).await.status.as_u16() });
        }
        let answers = asked.join_all().await;
        let given = answers.iter().filter(|status| **status == 200).count();
        assert!(answers.iter().all(|status| [200, 429].contains(status)), "{answers:?}");
        assert!((40..=50).contains(&given), "{given} of 50, with nodes that hold a tenth each");
        nodes[0].bearer(&access).get(&school.url("subjects")).await.refused(429, "quota-exceeded");
        stage.advance(chrono::Duration::minutes(1));
        nodes[0].bearer(&access).get(&school.url("subjects")).await.expect(200);
    });
}

//! Administrators of a school and of a territory at work.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Method;
use preau_jobs::run_one;
use preau_kernel::{Power, Role};
use preau_tests::{Answer, Client, Node, Persona, School, Stage, play};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{home::counted, world::World};

async fn keyed(client: &Client, stage: &Stage, url: &str, body: &Value) -> Answer {
    client.clone().with("idempotency-key", &stage.clock().mint::<Uuid>().to_string()).post(url, body).await
}

async fn patch(client: &Client, url: &str, tag: &str, body: &Value) -> Answer {
    let body = Some(("application/json", Bytes::from(body.to_string())));
    client.clone().with("if-match", tag).send(Method::PATCH, url, body).await
}

async fn work(node: &Node, school: &School) {
    let (app, territory) = (&node.app, school.territory.id);
    let handlers = preau_directory::administration::handlers();
    assert!(run_one(&app.db, &app.clock, &app.tasks, &handlers, &app.stop, territory).await.expect("a job"));
}

/// Operations that a delegated power opens as well.
#[rustfmt::skip]
const DELEGABLE: &[(&str, Power)] = &[
    ("list_administered_people", Power::ManagePeople), ("create_person", Power::ManagePeople),
    ("get_administered_person", Power::ManagePeople), ("update_person", Power::ManagePeople),
    ("attach_person", Power::ManagePeople), ("set_membership", Power::ManagePeople),
    ("end_membership", Power::ManagePeople), ("set_guardian_link", Power::ManagePeople),
    ("delete_guardian_link", Power::ManagePeople), ("create_bulk_change", Power::ManagePeople),
    ("get_bulk_change", Power::ManagePeople), ("apply_bulk_change", Power::ManagePeople),
    ("create_class", Power::ManageGroups), ("get_administered_class", Power::ManageGroups),
    ("update_class", Power::ManageGroups), ("end_class", Power::ManageGroups),
    ("add_class_pupil", Power::ManageGroups), ("remove_class_pupil", Power::ManageGroups),
    ("set_class_teacher", Power::ManageGroups), ("remove_class_teacher", Power::ManageGroups),
    ("create_group", Power::ManageGroups), ("get_administered_group", Power::ManageGroups),
    ("update_group", Power::ManageGroups), ("end_group", Power::ManageGroups),
    ("add_group_pupil", Power::ManageGroups), ("remove_group_pupil", Power::ManageGroups),
    ("set_group_teacher", Power::ManageGroups), ("remove_group_teacher", Power::ManageGroups),
    ("export_list", Power::ReadExport),
    ("list_school_journal", Power::ReadJournal), ("verify_school_journal", Power::ReadJournal),
    ("list_suspensions", Power::ReadJournal),
    ("create_activation_code", Power::ResetPasswords), ("create_reset_code", Power::ResetPasswords),
];

#[test]
fn what_can_be_delegated_was_decided() {
    play(async |stage| {
        let node = stage.cold_node(|_| {});
        let found: BTreeSet<(String, &str)> = node
            .table
            .iter()
            .filter_map(|row| Some((row.operation_id.clone(), row.power?.as_str())))
            .collect();
        let decided = DELEGABLE.iter().map(|(operation, power)| ((*operation).to_owned(), power.as_str()));
        assert_eq!(found, decided.collect());
    });
}

#[test]
fn somebody_is_made_changed_attached_and_leaves() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège Rosa-Parks").await;
        let class = school.class("6e B").await;
        let admin = node.signed_in(&school.admin().await).await;
        let people = school.url("administration/people");
        let new = json!({
            "last_name": "Lœuillet", "first_name": "Éloïse", "role": "pupil", "class_id": class.id,
            "email": "eloise@exemple.fr",
        });
        let made = keyed(&admin, &stage, &people, &new).await.expect(201).json();
        assert_eq!((&made["login"], &made["state"]), (&json!("eloise.loeuillet"), &json!("imported")));
        assert_eq!(
            (&made["memberships"][0]["origin"], &made["email_origin"]),
            (&json!("hand"), &json!("hand"))
        );
        assert_eq!(made["pupil_of"][0]["name"], "6e B");
        let namesake = keyed(&admin, &stage, &people, &new).await.expect(201).json();
        assert_eq!(namesake["login"], "eloise.loeuillet2");
        let wrong = json!({ "last_name": " ", "first_name": "12", "role": "pupil", "email": "nulle part" });
        let refused = keyed(&admin, &stage, &people, &wrong).await.refused(422, "fields-refused").json();
        assert_eq!(refused["errors"].as_array().map(Vec::len), Some(3));
        let boss = json!({ "last_name": "A", "first_name": "B", "role": "school_admin" });
        keyed(&admin, &stage, &people, &boss).await.refused(422, "role-by-appointment");

        // Two people change one record: the second is told.
        let url = format!("{people}/{}", made["id"].as_str().expect("an id"));
        let tag = admin.get(&url).await.expect(200).header("etag").expect("a tag").to_owned();
        let changed =
            patch(&admin, &url, &tag, &json!({ "last_name": "Le Goff", "email": null })).await.expect(200);
        let changed = changed.json();
        assert_eq!((&changed["last_name"], &changed["email"]), (&json!("Le Goff"), &Value::Null));
        assert_eq!((&changed["names_origin"], &changed["email_origin"]), (&json!("hand"), &json!("hand")));
        patch(&admin, &url, &tag, &json!({ "last_name": "X" })).await.refused(412, "changed-meanwhile");
        assert_eq!(
            stage.count("SELECT count(*) FROM school_person WHERE search = 'le goff eloise'").await,
            1
        );

        // A teacher of another school comes over.
        let teacher = school.territory.school("Lycée").await.class("2nde").await.teacher("Omar Petit").await;
        let attach = school.url("administration/attachments");
        let body = json!({ "login": teacher.login, "last_name": "PETIT", "role": "teacher" });
        keyed(&admin, &stage, &attach, &body).await.expect(201);
        let stranger = json!({ "login": teacher.login, "last_name": "Durand", "role": "teacher" });
        keyed(&admin, &stage, &attach, &stranger).await.refused(404, "not-found");

        // And leaves: the token that said otherwise is refused at the next reading of revocations.
        let theirs = node.signed_in(&teacher).await;
        theirs.get(&school.url("people")).await.expect(200);
        let membership = format!("{people}/{}/memberships/teacher", teacher.id);
        admin.delete(&membership).await.expect(204);
        node.app.revoked.refresh(&node.app.db).await.expect("read");
        theirs.get(&school.url("people")).await.expect(401);
        node.signed_in(&teacher).await.get(&school.url("people")).await.refused(404, "not-found");
        let verified = admin.get(&school.url("administration/journal/verification")).await.expect(200).json();
        assert_eq!(verified["whole"], true);
        stage.sql("UPDATE journal SET act = 'a.b' WHERE seq = 2").await;
        let broken = admin.get(&school.url("administration/journal/verification")).await.expect(200).json();
        assert_eq!((&broken["whole"], &broken["broken_at"]), (&json!(false), &json!(2)));
    });
}

#[test]
fn a_list_filter_costs_two_statements() {
    play(async |stage| {
        let (node, relay) = counted(&stage).await;
        let school = stage.territory("test").await.school("Collège").await;
        let class = school.class("6e B").await;
        let pupil = class.pupil("Lina Martin").await;
        stage.sql(&format!("UPDATE account SET blocked_at = now() WHERE person_id = '{}'", pupil.id)).await;
        let admin = node.signed_in(&school.admin().await).await;
        let class_filter = format!("class_id={}", class.id);
        for (filter, found) in [
            ("role=pupil", 1),
            ("blocked=true", 1),
            ("activated=false", 0),
            ("state=active&q=mar", 1),
            (class_filter.as_str(), 1),
        ] {
            let url = school.url(&format!("administration/people?{filter}"));
            admin.get(&url).await.expect(200);
            let before = relay.statements();
            let page = admin.get(&url).await.expect(200).json();
            assert!(relay.statements() - before <= 2, "{filter}: {}", relay.statements() - before);
            assert_eq!(page["items"].as_array().map(Vec::len), Some(found), "{filter}");
        }
    });
}

#[test]
fn a_power_is_handed_until_a_date_and_taken_back() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let class = school.class("6e B").await;
        let teacher = class.teacher("Claire Durand").await;
        let admin = node.signed_in(&school.admin().await).await;
        let client = node.signed_in(&teacher).await;
        let export = school.url("administration/exports/classes");
        client.get(&export).await.refused(403, "forbidden");
        let url = school.url("administration/delegations");
        let body = |until: &str| json!({ "person_id": teacher.id, "power": "read-export", "until": until });
        keyed(&admin, &stage, &url, &body("2026-11-20T00:00:00Z")).await.refused(422, "delegation-until");
        keyed(&admin, &stage, &url, &body("2028-11-20T00:00:00Z")).await.refused(422, "delegation-until");
        let made = keyed(&admin, &stage, &url, &body("2026-11-24T00:00:00Z")).await.expect(201).json();
        let csv = client.get(&export).await.expect(200);
        assert!(String::from_utf8_lossy(&csv.body).contains("\"6e B\""));
        client.get(&school.url("administration/people")).await.refused(403, "forbidden");
        stage.advance(chrono::Duration::days(2));
        node.signed_in(&teacher).await.get(&export).await.refused(403, "forbidden");
        let again =
            keyed(&admin_again(&node, &school).await, &stage, &url, &body("2027-01-01T00:00:00Z")).await;
        let again = again.expect(201).json();
        node.signed_in(&teacher).await.get(&export).await.expect(200);
        let admin = admin_again(&node, &school).await;
        admin.delete(&format!("{url}/{}", again["id"].as_str().expect("an id"))).await.expect(204);
        node.signed_in(&teacher).await.get(&export).await.refused(403, "forbidden");
        let listed = admin.get(&url).await.expect(200).json();
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
        assert_eq!(listed["items"][1]["id"], made["id"]);
        // The head reads the journal by function alone.
        let head = school.staff("Irène Chef").await;
        let journal = school.url("administration/journal?act=directory.export");
        node.signed_in(&head).await.get(&journal).await.refused(403, "forbidden");
        stage.sql(&format!("UPDATE membership SET function = 'DIR' WHERE person_id = '{}'", head.id)).await;
        let read = node.signed_in(&head).await.get(&journal).await.expect(200).json();
        assert_eq!(read["items"].as_array().map(Vec::len), Some(2));
    });
}

async fn admin_again(node: &Node, school: &School) -> Client {
    node.signed_in(&school.admin().await).await
}

#[test]
fn rows_are_shown_what_they_would_do_and_then_do_it() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let class = school.class("6e B").await;
        let (lina, zoe) = (class.pupil("Lina Martin").await, class.pupil("Zoé Roux").await);
        let boss = school.admin().await;
        let admin = node.signed_in(&boss).await;
        let csv = format!(
            "action;identifiant;profil;nom;prenom;courriel;classe\n\
             créer;;élève;Blanc;Théo;;6e B\n\
             modifier;{};;;;lina@exemple.fr;\n\
             terminer;{};;;;;\n\
             créer;;élève;Gris;Ana;;9e Z\n\
             modifier;{};;;;x@exemple.fr;\n",
            lina.login, zoe.login, boss.login
        );
        let url = school.url("administration/bulk-changes");
        let send = async || {
            admin
                .send(Method::POST, &url, Some(("text/csv", Bytes::from(csv.clone()))))
                .await
                .expect(201)
                .json()
        };
        let before = stage.count("SELECT count(*) FROM person").await;
        let shown = send().await;
        let report = &shown["report"];
        let counts =
            ["lines", "created", "changed", "ended", "refused"].map(|key| report[key].as_u64().unwrap());
        assert_eq!(counts, [5, 1, 1, 1, 2], "{report}");
        let told: Vec<_> =
            report["faults"].as_array().expect("faults").iter().map(|fault| &fault["code"]).collect();
        assert_eq!(told, ["bulk-unknown-class", "bulk-administrator"]);
        assert_eq!(stage.count("SELECT count(*) FROM person").await, before, "nothing is done yet");
        assert_eq!(send().await["id"], shown["id"], "the same bytes are the same bulk change");
        let apply = format!("{url}/{}/application", shown["id"].as_str().expect("an id"));
        keyed(&admin, &stage, &apply, &json!({})).await.refused(422, "bulk-refusals");
        keyed(&admin, &stage, &apply, &json!({ "leave_refused": true })).await.expect(200);
        keyed(&admin, &stage, &apply, &json!({ "leave_refused": true }))
            .await
            .refused(409, "already-applied");
        assert_eq!(stage.count("SELECT count(*) FROM login WHERE login = 'theo.blanc'").await, 1);
        let lina_mail =
            format!("SELECT count(*) FROM person WHERE person_id = '{}' AND email_origin = 'hand'", lina.id);
        assert_eq!(stage.count(&lina_mail).await, 1);
        assert_eq!(stage.count("SELECT count(*) FROM class_pupil").await, 2, "Lina and Théo; Zoé has left");
        admin
            .send(Method::POST, &url, Some(("text/plain", Bytes::from_static(b"x"))))
            .await
            .refused(415, "upload-type");
        admin
            .send(Method::POST, &url, Some(("text/csv", Bytes::from_static(b"x;y"))))
            .await
            .refused(422, "bulk-header");
    });
}

#[test]
fn a_territory_counts_and_looks_for_people() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let pupil = school.class("6e B").await.pupil("Lina Martin").await;
        let admin = node.signed_in(&territory.admin().await).await;
        let base = format!("/api/v1/territories/{}", territory.id);
        preau_directory::administration::recount(&node.app.db, territory.id, school.id, stage.clock().now())
            .await
            .expect("counted");
        let schools = admin.get(&format!("{base}/schools?q=rosa&kind=college")).await.expect(200).json();
        let people = schools["items"][0]["people"].as_array().expect("counters").clone();
        let pupils = people.iter().find(|counter| counter["role"] == "pupil").expect("pupils");
        assert_eq!((&pupils["people"], &pupils["activated"]), (&json!(1), &json!(1)));
        let whole = admin.get(&format!("{base}/counters")).await.expect(200).json();
        assert_eq!((&whole["schools"], &whole["counted"]), (&json!(1), &json!(1)));
        let lookups = format!("{base}/people-lookups");
        let found = admin.post(&lookups, &json!({ "name_prefix": "mart" })).await.expect(200).json();
        assert_eq!(found["items"][0]["id"], json!(pupil.id));
        assert_eq!(found["items"][0]["memberships"][0]["school_id"], json!(school.id));
        admin.post(&lookups, &json!({})).await.refused(422, "one-key");
        admin.post(&lookups, &json!({ "name_prefix": "ma" })).await.refused(422, "name-too-short");
        stage.sql("UPDATE lookup_budget SET used = 100").await;
        admin.post(&lookups, &json!({ "login": pupil.login })).await.refused(429, "lookup-budget-spent");
        let acts = stage.count("SELECT count(*) FROM journal WHERE act = 'territory.look-up'").await;
        assert_eq!(acts, 1);
    });
}

#[test]
fn a_year_is_put_aside_and_given_back() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let class = school.class("6e B").await;
        let teacher = class.teacher("Claire Durand").await;
        let pupil = class.pupil("Lina Martin").await;
        let admin = node.proven(&school.territory.admin().await).await;
        let url = format!("/api/v1/territories/{}/year-transitions", school.territory.id);
        keyed(&admin, &stage, &url, &json!({ "year": "2026" })).await.refused(422, "not-a-year");
        let made = keyed(&admin, &stage, &url, &json!({ "year": "2025-2026" })).await.expect(201).json();
        assert_eq!(made["preview"]["places_of_pupils"], 1);
        let before = stage.count("SELECT count(*) FROM class_pupil").await;
        let steps = format!("{url}/{}/steps", made["id"].as_str().expect("an id"));
        keyed(&admin, &stage, &steps, &json!({ "step": "confirm" })).await.refused(409, "transition-state");
        keyed(&admin, &stage, &steps, &json!({ "step": "start" })).await.expect(202);
        work(&node, &school).await;
        assert_eq!(stage.count("SELECT count(*) FROM class_pupil").await, 0);
        let archived = "SELECT count(*) FROM class WHERE name = '6e B (2025-2026)' AND ended_at IS NOT NULL";
        assert_eq!(stage.count(archived).await, 1);
        let stays =
            format!("SELECT count(*) FROM membership WHERE person_id = '{}' AND ended_at IS NULL", pupil.id);
        assert_eq!(stage.count(&stays).await, 1, "people stay");
        keyed(&admin, &stage, &steps, &json!({ "step": "undo" })).await.expect(202);
        work(&node, &school).await;
        assert_eq!(stage.count("SELECT count(*) FROM class_pupil").await, before);
        let back = "SELECT count(*) FROM class WHERE name = '6e B' AND ended_at IS NULL";
        assert_eq!(stage.count(back).await, 1);
        let teaches = format!("SELECT count(*) FROM class_teacher WHERE person_id = '{}'", teacher.id);
        assert_eq!(stage.count(&teaches).await, 1);
    });
}

#[test]
fn two_records_of_one_person_become_one_and_two_again() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let (sixth, fifth) = (school.class("6e B").await, school.class("5e A").await);
        let (kept, merged) = (sixth.pupil("Lina Martin").await, fifth.pupil("Lina Martin").await);
        let other = sixth.pupil("Zoé Roux").await;
        school.guardian_of(&merged, "Anne Martin").await;
        let territory_admin = school.territory.admin().await;
        let above = node.proven(&territory_admin).await;
        let local = node.proven(&school.admin().await).await;
        let base = format!("/api/v1/territories/{}", school.territory.id);
        keyed(&above, &stage, &format!("{base}/duplicate-searches"), &json!({})).await.expect(202);
        work(&node, &school).await;
        let pairs = local.get(&school.url("administration/duplicates?state=open")).await.expect(200).json();
        assert_eq!(pairs["items"].as_array().map(Vec::len), Some(1), "{pairs}");
        let pair = pairs["items"][0]["id"].as_str().expect("an id").to_owned();
        let url = school.url(&format!("administration/duplicates/{pair}"));
        local.put(&format!("{url}/verdict"), &json!({ "verdict": "distinct" })).await.expect(200);
        let none = local.get(&school.url("administration/duplicates?state=open")).await.expect(200).json();
        assert_eq!(none["items"], json!([]));
        keyed(&local, &stage, &format!("{url}/merge"), &json!({ "kept_id": other.id }))
            .await
            .refused(422, "not-of-the-pair");
        let theirs = node.signed_in(&merged).await;
        let asked = keyed(&local, &stage, &format!("{url}/merge"), &json!({ "kept_id": kept.id }))
            .await
            .expect(202)
            .json();
        work(&node, &school).await;
        node.app.revoked.refresh(&node.app.db).await.expect("read");
        theirs.get(&school.url("people")).await.expect(401);
        let of = |table: &str, person: &Persona| {
            format!("SELECT count(*) FROM {table} WHERE person_id = '{}'", person.id)
        };
        assert_eq!(stage.count(&of("class_pupil", &kept)).await, 2);
        assert_eq!(stage.count(&of("class_pupil", &merged)).await, 0);
        assert_eq!(stage.count(&of("login", &kept)).await, 2, "the old name opens the kept account");
        let children = format!("SELECT count(*) FROM guardian_link WHERE pupil_id = '{}'", kept.id);
        assert_eq!(stage.count(&children).await, 1);
        let state =
            format!("SELECT count(*) FROM account WHERE person_id = '{}' AND state = 'merged'", merged.id);
        assert_eq!(stage.count(&state).await, 1);

        let undo = format!("{base}/merges/{}/undo", asked["id"].as_str().expect("an id"));
        keyed(&above, &stage, &undo, &json!({ "merged_id": merged.id })).await.expect(202);
        work(&node, &school).await;
        assert_eq!(stage.count(&of("class_pupil", &kept)).await, 1);
        assert_eq!(stage.count(&of("class_pupil", &merged)).await, 1);
        assert_eq!(
            (stage.count(&of("login", &kept)).await, stage.count(&of("login", &merged)).await),
            (1, 1)
        );
        assert_eq!((stage.count(&state).await, stage.count(&children).await), (0, 0));
        node.signed_in(&merged).await.get(&school.url("people")).await.expect(200);
    });
}

/// T11: each writable route of administration is sent the name of every column there is.
#[test]
fn no_column_is_written_by_its_name() {
    play(async |stage| {
        let world = World::new(stage.clone()).await;
        let mut columns: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT column_name::text FROM information_schema.columns WHERE table_schema = 'public'",
        )
        .fetch_all(stage.owner())
        .await
        .expect("columns");
        columns.extend(["is_admin", "roles", "sender_id"].map(str::to_owned));
        let client = world.node.proven(&world.admin).await;
        let mut tried = 0;
        for row in world.node.table.iter() {
            if !row.path.starts_with("/api/v1/schools/{school_id}/administration/")
                && row.operation_id != "set_communication_rules"
            {
                continue;
            }
            let target = world.own_target(Some(&world.admin)).await;
            let ask = world.ask(row, &target).await;
            let Some(("application/json", body)) = &ask.body else { continue };
            let known: Value = serde_json::from_slice(body).expect("JSON");
            let declared = declared_fields(&world.node, row);
            let before = stage.fingerprint().await;
            for column in columns.iter().filter(|column| !declared.contains(*column)) {
                let mut body = known.clone();
                body[column] = json!("1");
                let mut asking = client.clone();
                for (name, value) in &ask.headers {
                    asking = asking.with(name, value);
                }
                let sent = Some(("application/json", Bytes::from(body.to_string())));
                asking.send(ask.method.clone(), &ask.path, sent).await.refused(400, "unknown-field");
                tried += 1;
            }
            assert_eq!(stage.fingerprint().await, before, "{}", row.operation_id);
        }
        assert!(tried > 1_000, "{tried}");
    });
}

/// What the document says that the operation takes.
fn declared_fields(node: &Node, row: &preau_http::RouteRow) -> BTreeSet<String> {
    let document = serde_json::to_value(preau_server::openapi(&node.app)).expect("the document");
    let method = row.method.to_lowercase();
    let body = &document["paths"][&row.path][&method]["requestBody"]["content"]["application/json"]["schema"];
    let name = body["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let properties = document["components"]["schemas"][name]["properties"].as_object();
    properties.map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn who_administers_above_is_not_changed_from_below() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège").await;
        let boss = school.territory.admin().await;
        school.enrol(&boss, Role::Teacher).await;
        let admin = node.signed_in(&school.admin().await).await;
        let url = school.url(&format!("administration/people/{}", boss.id));
        patch(&admin, &url, "*", &json!({ "email": "voleur@exemple.fr" })).await.refused(403, "forbidden");
        admin.delete(&format!("{url}/memberships/teacher")).await.refused(403, "forbidden");
        let above = node.signed_in(&boss).await;
        patch(&above, &url, "*", &json!({ "email": "moi@exemple.fr" })).await.expect(200);
        // Appointing asks for a proof.
        let staff = school.staff("Nora Vidal").await;
        let appoint = school.url(&format!("administration/administrators/{}", staff.id));
        admin.put(&appoint, &json!({})).await.refused(403, "proof-required");
    });
}

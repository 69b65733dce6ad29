//! Guests of French tables, from the file to their own day and no further.

use std::path::{Path, PathBuf};

use preau_feeds::{
    import::{Import, import_directory},
    intake::Intake,
    limits::Limits,
    report::Report,
};
use preau_identity::TERMS_VERSION;
use preau_tests::{Client, Node, School, Stage, play};
use serde_json::{Value, json};

const SECRET: &str = "trois petits chats bleus";

/// The French tables of the samples; absent, the test says so and is skipped, but for CI, where a skip is a failure.
fn tables() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples");
    let folder = std::env::var_os("PREAU_SAMPLES").map_or(root, PathBuf::from).join("csv-entcore");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has the samples: set PREAU_SAMPLES");
    println!("skipped: no samples at {}", folder.display());
    None
}

async fn import(stage: &Stage, node: &Node, school: &School, path: &Path) -> Report {
    stage.advance(chrono::Duration::hours(1));
    let import = Import {
        db: node.app.db.clone(),
        clock: stage.clock().clone(),
        territory: school.territory.id,
        job: stage.clock().mint(),
        limits: Limits::default(),
        dry_run: false,
    };
    stage
        .sql(&format!(
            "INSERT INTO job (territory_id, job_id, kind, state, params, created_at)
             VALUES ('{}', '{}', 'import-aaf', 'running', '{{}}', now())",
            import.territory, import.job
        ))
        .await;
    let intake = Intake { school: Some(school.uai.clone()), ..Intake::of(path) };
    let report = import_directory(&import, &intake, &mut |_| true).await;
    stage.sql(&format!("UPDATE job SET state = 'succeeded' WHERE job_id = '{}'", import.job)).await;
    let report = report.unwrap_or_else(|err| panic!("{err}: {}", err.code()));
    assert!(report.schools.held.is_empty() && report.schools.failed.is_empty(), "{report:?}");
    report
}

async fn active(stage: &Stage, role: &str) -> i64 {
    stage.count(&format!("SELECT count(*) FROM membership WHERE role = '{role}' AND ended_at IS NULL")).await
}

async fn places(stage: &Stage) -> i64 {
    stage.count("SELECT count(*) FROM class_guest").await
}

/// The code of the sheet, and what it opens.
async fn activate(node: &Node, school: &School, last_name: &str) -> (String, Client) {
    let admin = node.signed_in(&school.admin().await).await;
    let made = admin
        .post(&school.url("activation-sheets"), &json!({ "audience": "guests" }))
        .await
        .expect(201)
        .json();
    let sheets = made["items"].as_array().expect("sheets");
    assert_eq!(sheets.len(), 3, "{made}");
    let sheet = sheets.iter().find(|sheet| sheet["last_name"] == last_name).expect("a sheet");
    assert_eq!(sheet["class"], "CSV 1");
    let login = sheet["login"].as_str().expect("a login").to_owned();
    let body = |password: &str| {
        json!({ "login": login, "code": sheet["code"], "password": password, "accept_terms": true,
                "terms_version": TERMS_VERSION, "tokens": true })
    };
    let url = "/api/v1/activations";
    node.stranger().post(url, &body("gruyère 7")).await.refused(422, "password-refused");
    let opened = node.stranger().post(url, &body(SECRET)).await.expect(201).json();
    let token = opened["access_token"].as_str().expect("a token").to_owned();
    (login.clone(), node.bearer(token))
}

#[test]
fn guests_of_a_table_come_in_by_their_code_and_see_nobody() {
    let Some(tables) = tables() else { return };
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("t").await.school("Collège Rosa-Parks").await;
        let class = school.class("CSV 1").await;
        let teacher = class.teacher("Claire Durand").await;
        let pupil = class.pupil("Lina Martin").await;
        class.lesson(&teacher, "Histoire", "2026-11-23T09:00:00Z", 55).await;
        let folder = tempfile::tempdir().expect("a folder");
        let offices = folder.path().join("personnels.csv");
        std::fs::write(&offices, "Nom;Prénom;Fonction\nA;Ana;CPE\nB;Bob;AED\nC;Cid;AED\n").expect("a table");
        import(&stage, &node, &school, &offices).await;
        let staff = active(&stage, "staff").await;
        assert_eq!(staff, 3);

        let guests = tables.join("directory-CSV_Invites.csv");
        let report = import(&stage, &node, &school, &guests).await;
        assert_eq!(
            report.warnings.keys().collect::<Vec<_>>(),
            ["aaf-outside-division"],
            "two classes to come"
        );
        assert_eq!((active(&stage, "guest").await, places(&stage).await), (3, 1));
        assert_eq!(active(&stage, "staff").await, staff, "a table of guests says nothing of the staff");
        assert_eq!(stage.count("SELECT count(*) FROM class_teacher").await, 1, "and guests teach nothing");

        // The class comes with its pupils, and whoever waited for it is in it.
        let pupils = folder.path().join("eleves.csv");
        let rows = "Nom;Prénom;Date de naissance;Classe\nA;Zoé;01/02/2014;CSV 1\nB;Noé;02/02/2014;CSV 2\n";
        std::fs::write(&pupils, rows).expect("a table");
        import(&stage, &node, &school, &pupils).await;
        assert_eq!((active(&stage, "guest").await, places(&stage).await), (3, 2));
        let again = import(&stage, &node, &school, &guests).await;
        assert_eq!(again.rows_written_total(), 0, "{again:?}");

        let (login, me) = activate(&node, &school, "FORNARI").await;
        let home = me.get("/api/v1/home").await.expect(200).json();
        let here = &home["schools"][0];
        assert_eq!((&home["user"]["last_name"], &here["roles"]), (&json!("FORNARI"), &json!(["guest"])));
        assert_eq!(here["classes"][0]["name"], "CSV 1");
        assert_eq!(
            (here["classes"].as_array().map(Vec::len), &here["views"][0]["today"]),
            (Some(1), &json!([]))
        );
        let classes = me.get(&school.url("classes")).await.expect(200).json();
        assert_eq!(classes["items"].as_array().map(Vec::len), Some(1), "{classes}");
        let week = me.get(&school.url("timetable?from=2026-11-23&days=5")).await.expect(200).json();
        let days: Vec<&Value> = week["days"].as_array().expect("days").iter().collect();
        assert!(days.iter().all(|day| day["lessons"] == json!([])), "their own, not the class's: {week}");
        let nobody = me.get(&school.url("writable-people")).await.expect(200).json();
        assert_eq!(nobody["items"], json!([]));
        for closed in [
            "people".to_owned(),
            format!("people?class_id={}", class.id),
            format!("people/{}", pupil.id),
            format!("classes/{}", class.id),
            "groups".to_owned(),
            format!("groups/auto:class:{}:pupils/members", class.id),
            "communication-rules".to_owned(),
        ] {
            me.get(&school.url(&closed)).await.refused(403, "forbidden");
        }
        me.get(&school.url(&format!("timetable?person_id={}", pupil.id))).await.refused(404, "not-found");
        me.get("/api/v1/sessions").await.expect(200);
        me.delete("/api/v1/sessions/current").await.expect(204);
        let body = json!({ "login": login, "password": SECRET });
        node.stranger().post("/api/v1/sessions", &body).await.expect(201);

        // Whoever is in the table no more leaves, and comes back with it.
        let fewer = folder.path().join("invites.csv");
        let rows = "externalid;Prénom*;Nom*;Classes;date de naissance;telephone;telephonetravail\n\
                    CSV_Numero-RNE_G00003;David;FORNARI;CSV 1;13/08/1980;;\n\
                    CSV_Numero-RNE_G00002;Thibaut;PEREZ;CSV 2;13/08/1980;;\n";
        std::fs::write(&fewer, rows).expect("a table");
        import(&stage, &node, &school, &fewer).await;
        assert_eq!(active(&stage, "guest").await, 2);
        let gone = "SELECT count(*) FROM account WHERE state = 'pre-deleted'";
        assert_eq!((stage.count(gone).await, active(&stage, "staff").await), (1, staff));
        import(&stage, &node, &school, &guests).await;
        assert_eq!((active(&stage, "guest").await, stage.count(gone).await), (3, 0));
    });
}

/// What hands do with guests: made with a class, put into another by rows, found by class, gone with their place.
#[test]
fn an_administrator_makes_and_ends_guests() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("t").await.school("Collège Rosa-Parks").await;
        let class = school.class("6e B").await;
        school.class("5e A").await;
        let admin = node.signed_in(&school.admin().await).await;
        let url = school.url("administration/people");
        let new =
            json!({ "last_name": "Passage", "first_name": "Iris", "role": "guest", "class_id": class.id });
        let keyed = admin.clone().with("idempotency-key", &stage.clock().mint::<uuid::Uuid>().to_string());
        let made = keyed.post(&url, &new).await.expect(201).json();
        let login = made["login"].as_str().expect("a login");
        assert_eq!(made["guest_of"][0]["name"], "6e B", "{made}");
        let id = made["id"].as_str().expect("an id");

        let rows = format!("action;identifiant;classe\nmodifier;{login};5e A\n");
        let changes = school.url("administration/bulk-changes");
        let send = admin.clone().with("idempotency-key", &stage.clock().mint::<uuid::Uuid>().to_string());
        let body = Some(("text/csv", bytes::Bytes::from(rows)));
        let planned = send.send(http::Method::POST, &changes, body).await.expect(201).json();
        let change = planned["id"].as_str().expect("a change");
        let apply = admin.clone().with("idempotency-key", &stage.clock().mint::<uuid::Uuid>().to_string());
        apply.post(&format!("{changes}/{change}/application"), &json!({})).await.expect(200);
        assert_eq!(places(&stage).await, 2);

        let found = admin.get(&format!("{url}?role=guest&class_id={}", class.id)).await.expect(200).json();
        assert_eq!(found["items"][0]["id"], id, "{found}");
        assert_eq!(found["items"][0]["classes"].as_array().map(Vec::len), Some(2));
        let group = school.url(&format!("groups/auto:class:{}:guests/members", class.id));
        assert_eq!(admin.get(&group).await.expect(200).json()["items"][0]["id"], id);
        let whole = admin.get(&school.url("groups/auto:school:guests/members")).await.expect(200).json();
        assert_eq!(whole["items"].as_array().map(Vec::len), Some(1));
        let seen = admin.get(&school.url(&format!("administration/classes/{}", class.id))).await.expect(200);
        assert_eq!(seen.json()["guests"][0]["id"], id);

        admin.delete(&format!("{url}/{id}/memberships/guest")).await.expect(204);
        assert_eq!((active(&stage, "guest").await, places(&stage).await), (0, 0));
    });
}

//! Imports: what comes in, what a second time changes, what a kill leaves, what missing and foreign things do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use axum::http::Method;
use preau_db::{Db, PoolConfig};
use preau_feeds::demo::{Demo, DemoPlan, DemoTimetable, generate};
use preau_feeds::import::{Import, Progress, TimetableFile, TimetableFiles, import_aaf, import_timetable};
use preau_feeds::report::Report;
use preau_jobs::run_one;
use preau_kernel::{SchoolId, TerritoryId};
use preau_tests::{Node, Stage, play};
use serde_json::json;
use sqlx::Row;

const COUNTED: &[&str] = &[
    "membership",
    "school_person",
    "class",
    "teaching_group",
    "class_pupil",
    "class_teacher",
    "class_guest",
    "group_pupil",
    "group_teacher",
    "guardian_link",
    "pupil",
    "subject",
];

pub(crate) async fn import_of(stage: &Stage, node: &Node, territory: TerritoryId) -> Import {
    let import = Import {
        db: node.app.db.clone(),
        clock: stage.clock().clone(),
        territory,
        job: stage.clock().mint(),
        limits: preau_feeds::limits::Limits::default(),
        dry_run: false,
    };
    stage
        .sql(&format!(
            "INSERT INTO job (territory_id, job_id, kind, state, params, created_at)
             VALUES ('{territory}', '{}', 'import-aaf', 'running', '{{}}', now())",
            import.job
        ))
        .await;
    import
}

pub(crate) async fn run(stage: &Stage, node: &Node, territory: TerritoryId, folder: &Path) -> Report {
    let import = import_of(stage, node, territory).await;
    import_aaf(&import, folder, &mut |_| true).await.unwrap_or_else(|err| panic!("{err}: {}", err.code()))
}

/// The database as a process of its own sees it.
pub(crate) fn process(stage: &Stage) -> Db {
    let config = PoolConfig {
        max_connections: 2,
        door_connections: 2,
        acquire_timeout_ms: 10_000,
        statement_timeout_ms: 20_000,
        lock_timeout_ms: 10_000,
    };
    Db::connect(&stage.database().app_url(), &config).unwrap()
}

pub(crate) fn invented(out: &Path, schools: u32, pupils: u32) -> Demo {
    let plan = DemoPlan { schools, pupils, ..DemoPlan::small("2026-11-25".parse().unwrap()) };
    generate(&plan, out, &mut |_| {}).unwrap()
}

/// Rows of each school, by UAI and table.
pub(crate) async fn rows_by_school(stage: &Stage) -> BTreeMap<(String, &'static str), i64> {
    let mut counts = BTreeMap::new();
    for table in COUNTED {
        let sql = format!(
            "SELECT s.uai, (SELECT count(*) FROM {table} t WHERE t.school_id = s.school_id) FROM school s"
        );
        for row in sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(stage.owner()).await.unwrap() {
            counts.insert((row.get(0), *table), row.get(1));
        }
    }
    counts
}

async fn import_timetables(
    stage: &Stage,
    node: &Node,
    territory: TerritoryId,
    out: &Path,
    demo: &Demo,
) -> u64 {
    let mut written = 0;
    for school in &demo.schools {
        let id: uuid::Uuid = sqlx::query_scalar("SELECT school_id FROM school WHERE uai = $1")
            .bind(&school.uai)
            .fetch_one(stage.owner())
            .await
            .unwrap();
        let file = |path: &Path| TimetableFile { path: out.join(path), name: path.display().to_string() };
        let files = match &school.timetable {
            DemoTimetable::Sts { down, up } => TimetableFiles::Sts { down: file(down), up: file(up) },
            DemoTimetable::Ics { file: path } => TimetableFiles::Ics(file(path)),
        };
        let (db, clock) = (&node.app.db, stage.clock());
        let report =
            import_timetable((db, clock), territory, SchoolId::from(id), files, preau_server::write_lessons)
                .await
                .unwrap();
        assert!(report.warnings.is_empty(), "{report:?}");
        written += report.rows_written_total();
    }
    written
}

#[test]
fn an_academy_comes_in_and_a_second_time_writes_no_row() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("demo").await.id;
        let out = tempfile::tempdir().unwrap();
        let demo = invented(out.path(), 4, 400);
        let first = run(&stage, &node, territory, &out.path().join(&demo.aaf)).await;
        assert_eq!((first.schools.merged, first.counts["pupil"]), (4, 400));
        assert!(first.warnings.is_empty() && first.schools.failed.is_empty(), "{first:?}");
        assert_eq!(stage.count("SELECT count(*) FROM membership WHERE role = 'pupil'").await, 400);
        let people = "SELECT count(*) FROM account a JOIN login l USING (login, person_id)";
        assert_eq!(
            stage.count(people).await,
            stage.count("SELECT count(DISTINCT person_id) FROM membership").await
        );
        assert!(import_timetables(&stage, &node, territory, out.path(), &demo).await > 1_500);
        let nobody =
            "SELECT count(*) FROM lesson WHERE teacher_ids = '{}' OR (class_ids = '{}' AND group_ids = '{}')";
        assert_eq!(stage.count(nobody).await, 0);
        assert_eq!(stage.count("SELECT count(*) FROM stage_person").await, 0, "staging is forgotten");

        let events = stage.count("SELECT count(*) FROM outbox").await;
        stage.advance(chrono::Duration::days(1));
        let again = run(&stage, &node, territory, &out.path().join(&demo.aaf)).await;
        assert_eq!(again.rows_written_total(), 0, "{:?}", again.rows_written);
        assert_eq!(import_timetables(&stage, &node, territory, out.path(), &demo).await, 0);
        assert_eq!(
            stage.count("SELECT count(*) FROM outbox").await,
            events,
            "nothing changed, nobody is told"
        );
    });
}

#[test]
fn killed_at_any_moment_each_school_is_whole_or_untouched() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("demo").await.id;
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().join(invented(out.path(), 8, 400).aaf);
        let import = import_of(&stage, &node, territory).await;
        let mut seen = Vec::new();
        let mut kills = 0_u32;
        let report = loop {
            // The future is dropped wherever it is and its connections are closed, as a killed process would leave it; each
            // time a little later.
            let import = Import { db: process(&stage), ..import.clone() };
            let patience = Duration::from_millis(u64::from(20 + 35 * kills));
            let outcome = tokio::time::timeout(patience, import_aaf(&import, &folder, &mut |_| true)).await;
            import.db.close().await;
            match outcome {
                Ok(done) => break done.unwrap(),
                Err(_) => kills += 1,
            }
            seen.push(rows_by_school(&stage).await);
        };
        let whole = rows_by_school(&stage).await;
        assert_eq!(report.schools.merged + report.schools.resumed, 8);
        assert!(kills > 2, "{kills}");
        for state in seen {
            for (key, count) in state {
                assert_eq!(count, whole[&key], "{key:?}: a school with some of its rows");
            }
        }
        // Stopped on request between two schools, it goes on there.
        let other = import_of(&stage, &node, territory).await;
        let mut stop = |progress: Progress| progress.phase != "merging" || progress.done < 3;
        assert_eq!(import_aaf(&other, &folder, &mut stop).await.unwrap_err().code(), "feed-cancelled");
        let resumed = import_aaf(&other, &folder, &mut |_| true).await.unwrap();
        // Two are merged at a time: the other may have been committed just then.
        assert!((3..=4).contains(&resumed.schools.resumed), "{:?}", resumed.schools);
        assert_eq!(resumed.schools.resumed + resumed.schools.merged, 8);
        assert_eq!(resumed.rows_written_total(), 0);
    });
}

/// A delivery of one school with these pupils (key, last name) and their mothers (key + 500), and one teacher.
fn delivery(folder: &Path, pupils: &[(u32, &str)], with_staff: bool) {
    let write = |kind: &str, category: &str, objects: &[(u32, String)]| {
        let mut xml = String::from("<ficAlimMENESR>\n<!-- codeAcademieExport=\"13\" -->\n");
        for (id, attributes) in objects {
            let name = if category == "EtabEducNat" { "categorieStructure" } else { "categoriePersonne" };
            writeln!(
                xml,
                "<addRequest><operationalAttributes><attr name=\"{name}\"><value>{category}</value></attr>\
                 </operationalAttributes><identifier><id>{id}</id></identifier><attributes>{attributes}</attributes></addRequest>"
            )
            .unwrap();
        }
        xml.push_str("</ficAlimMENESR>");
        std::fs::write(folder.join(format!("x_Complet_{kind}_0000.xml")), xml).unwrap();
    };
    let attr = |name: &str, value: &str| format!("<attr name=\"{name}\"><value>{value}</value></attr>");
    let school = attr("ENTStructureJointure", "10")
        + &attr("ENTStructureUAI", "0771991W")
        + &attr("ENTStructureNomCourant", "COLLEGE$ARAGON$TORCY");
    write("EtabEducNat", "EtabEducNat", &[(10, school)]);
    let named = |key: u32, last: &str| {
        attr("ENTPersonJointure", &key.to_string()) + &attr("sn", last) + &attr("givenName", "Lou")
    };
    let pupil = |(key, last): &(u32, &str)| {
        let mother = key + 500;
        let relations = format!(
            "<attr name=\"ENTElevePersRelEleve\"><value>{mother}$20$1$1$1$1</value><value>99$10$0$1$2$0</value></attr>"
        );
        let more = attr("ENTPersonStructRattach", "10")
            + &attr("ENTEleveClasses", "10$3e B")
            + &attr("ENTEleveGroupes", "77$AILLEURS");
        (*key, named(*key, last) + &more + &relations)
    };
    write("Eleve", "Eleve", &pupils.iter().map(pupil).collect::<Vec<_>>());
    let relative = |(key, last): &(u32, &str)| (key + 500, named(key + 500, last));
    write("PersRelEleve", "PersRelEleve", &pupils.iter().map(relative).collect::<Vec<_>>());
    let staff = folder.join("x_Complet_PersEducNat_0000.xml");
    if with_staff {
        let teacher = named(9_000, "Prof")
            + &attr("ENTPersonFonctions", "10$ENS$-$-$-")
            + &attr("ENTAuxEnsClassesMatieres", "10$3e B$020700");
        write("PersEducNat", "PersEducNat", &[(9_000, teacher)]);
    } else if staff.exists() {
        std::fs::remove_file(staff).unwrap();
    }
}

#[test]
fn namesakes_leavers_strangers_and_those_who_come_back() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("t").await.id;
        let folder = tempfile::tempdir().unwrap();
        let logins = async || -> Vec<String> {
            sqlx::query_scalar("SELECT login FROM login WHERE login LIKE 'lou.petit%' ORDER BY 1")
                .fetch_all(stage.owner())
                .await
                .unwrap()
        };
        delivery(folder.path(), &[(1, "Petit"), (2, "Petit"), (3, "Grand")], true);
        let report = run(&stage, &node, territory, folder.path()).await;
        // Two pupils and two mothers of one name; a father and a group that the delivery does not hold.
        assert_eq!(logins().await, ["lou.petit", "lou.petit2", "lou.petit3", "lou.petit4"]);
        for code in ["aaf-outside-school", "aaf-outside-person", "aaf-outside-guardian"] {
            assert!(report.warned(code) > 0, "{code}: {report:?}");
        }
        let active = "SELECT count(*) FROM membership WHERE ended_at IS NULL";
        assert_eq!(stage.count(active).await, 7);

        // One pupil leaves, and the part with the staff is not delivered at all: only the pupil and the mother go.
        stage.advance(chrono::Duration::days(1));
        delivery(folder.path(), &[(1, "Petit"), (3, "Grand")], false);
        let report = run(&stage, &node, territory, folder.path()).await;
        assert_eq!(report.counts["membership_ended"], 2);
        assert_eq!(stage.count(active).await, 5);
        assert_eq!(stage.count("SELECT count(*) FROM person_membership WHERE ended_at IS NOT NULL").await, 2);
        assert_eq!(
            stage.count("SELECT count(*) FROM revocation WHERE permission_version = 2").await,
            2,
            "their tokens die"
        );
        assert_eq!(stage.count("SELECT count(*) FROM class_pupil").await, 2);
        assert_eq!(
            stage.count("SELECT count(*) FROM class_teacher").await,
            1,
            "nobody said anything about teachers"
        );

        // A namesake arrives and never gets a login that somebody had; who comes back is who they were.
        stage.advance(chrono::Duration::days(1));
        delivery(folder.path(), &[(1, "Petit"), (2, "Petit"), (3, "Grand"), (4, "Petit")], true);
        let before: i64 = stage.count("SELECT count(*) FROM person").await;
        run(&stage, &node, territory, folder.path()).await;
        assert_eq!(stage.count("SELECT count(*) FROM person").await, before + 2);
        assert_eq!(logins().await.len(), 6);
        assert_eq!(stage.count(active).await, 9);
        assert_eq!(stage.count("SELECT count(*) FROM person_membership WHERE ended_at IS NOT NULL").await, 0);
    });
}

#[test]
fn a_halved_delivery_is_held_and_the_school_untouched() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("t").await.id;
        let folder = tempfile::tempdir().unwrap();
        let pupils: Vec<(u32, &str)> = (1..=60).map(|key| (key, "Petit")).collect();
        delivery(folder.path(), &pupils, true);
        run(&stage, &node, territory, folder.path()).await;
        delivery(folder.path(), &pupils[..30], true);
        let report = run(&stage, &node, territory, folder.path()).await;
        assert_eq!(report.schools.held["10"], ["feed-too-many-pupils-gone", "feed-too-many-departures"]);
        assert_eq!(report.rows_written_total(), 0, "{:?}", report.rows_written);
        assert_eq!(stage.count("SELECT count(*) FROM membership WHERE ended_at IS NOT NULL").await, 0);
        // The same school is not another territory's.
        let other = stage.territory("other").await.id;
        let report = run(&stage, &node, other, folder.path()).await;
        assert_eq!(report.schools.failed["10"], "feed-school-of-another-territory");
        assert_eq!(
            stage.count(&format!("SELECT count(*) FROM person WHERE territory_id = '{other}'")).await,
            0
        );
    });
}

#[test]
fn a_refused_file_merges_nothing() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("t").await.id;
        let folder = tempfile::tempdir().unwrap();
        delivery(folder.path(), &[(1, "Petit")], true);
        let cut = folder.path().join("x_Complet_Eleve_0001.xml");
        std::fs::write(&cut, "<!DOCTYPE x [<!ENTITY a \"b\">]><ficAlimMENESR>&a;</ficAlimMENESR>").unwrap();
        let import = import_of(&stage, &node, territory).await;
        let err = import_aaf(&import, folder.path(), &mut |_| true).await.unwrap_err();
        assert_eq!(err.code(), "feed-doctype-internal-subset");
        std::fs::write(&cut, "<ficAlimMENESR>\n<!-- codeAcademieExport=\"14\" --></ficAlimMENESR>").unwrap();
        let err = import_aaf(&import, folder.path(), &mut |_| true).await.unwrap_err();
        assert_eq!(err.code(), "feed-mixed-academies");
        for table in ["school", "person", "stage_person", "feed_delivery", "login"] {
            assert_eq!(stage.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
    });
}

fn zipped(folder: &Path) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &std::fs::read(path).unwrap()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn an_administrator_sends_files_and_watches_the_jobs() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("t").await;
        let admin = node.signed_in(&territory.admin().await).await;
        let url = |rest: &str| format!("/api/v1/territories/{}/{rest}", territory.id);
        let upload = async |media: &str, bytes: Vec<u8>| -> String {
            let answer =
                admin.send(Method::POST, &url("uploads"), Some((media, bytes.into()))).await.expect(201);
            answer.json()["id"].as_str().unwrap().to_owned()
        };
        let work = async |job: &str| {
            let handlers = preau_feeds::import::handlers(preau_server::write_lessons);
            let app = &node.app;
            assert!(
                run_one(&app.db, &app.clock, &app.tasks, &handlers, &app.stop, territory.id).await.unwrap()
            );
            admin.get(&url(&format!("jobs/{job}"))).await.expect(200).json()
        };
        let out = tempfile::tempdir().unwrap();
        let demo = invented(out.path(), 1, 30);
        let id = upload("application/zip", zipped(&out.path().join(&demo.aaf))).await;
        let keyed = admin.clone().with("idempotency-key", "delivery-of-monday");
        let body = json!({ "upload_id": id });
        let job = keyed.post(&url("directory-imports"), &body).await.expect(202).json();
        let again = keyed.post(&url("directory-imports"), &body).await.expect(202).json();
        assert_eq!(job["id"], again["id"], "one job for one key");
        let done = work(job["id"].as_str().unwrap()).await;
        assert_eq!(
            (done["state"].as_str(), &done["report"]["counts"]["pupil"]),
            (Some("succeeded"), &json!(30))
        );

        let DemoTimetable::Ics { file } = &demo.schools[0].timetable else {
            panic!("the first school has a calendar")
        };
        let id = upload("text/calendar", std::fs::read(out.path().join(file)).unwrap()).await;
        let school: uuid::Uuid =
            sqlx::query_scalar("SELECT school_id FROM school").fetch_one(stage.owner()).await.unwrap();
        let body = json!({ "school_id": school, "format": "ical", "upload_ids": [id] });
        let keyed = admin.clone().with("idempotency-key", "timetable-of-monday");
        let job = keyed.post(&url("timetable-imports"), &body).await.expect(202).json();
        let done = work(job["id"].as_str().unwrap()).await;
        assert_eq!(done["state"], "succeeded", "{done}");
        assert!(stage.count("SELECT count(*) FROM lesson").await > 50);

        let bomb = b"<!DOCTYPE x [<!ENTITY a 'b'>]><ficAlimMENESR/>";
        std::fs::write(out.path().join("aaf/x_Eleve_0001.xml"), bomb).unwrap();
        let id = upload("application/zip", zipped(&out.path().join(&demo.aaf))).await;
        let keyed = admin.clone().with("idempotency-key", "delivery-of-tuesday");
        let job = keyed.post(&url("directory-imports"), &json!({ "upload_id": id })).await.expect(202).json();
        let done = work(job["id"].as_str().unwrap()).await;
        assert_eq!(done["state"], "failed");
        assert_eq!(done["report"]["code"], "feed-doctype-internal-subset");
        assert_eq!(done["report"]["place"], json!({ "file": "x_Eleve_0001.xml", "line": 1 }));
    });
}

//! Feeds and hands that write one school, and a delta that is killed: nothing is lost, nothing is half done.

use std::collections::BTreeSet;
use std::path::Path;

use preau_feeds::demo::changes;
use preau_feeds::import::{Import, Progress, import_aaf};
use preau_kernel::{Role, SchoolId};
use preau_tests::{Client, Node, School, Stage, Territory, play, run};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::feeds::{import_of, invented, process, rows_by_school, run as feed};

/// Returns once somebody waits for a lock in the stage's database.
async fn until_somebody_waits(stage: &Stage) {
    // What another role's session waits for is hidden from the owner; that its lock was not granted is not.
    let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                    WHERE NOT l.granted AND a.datname = current_database()";
    while stage.count(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}

/// A school that a feed has filled, whose head has come by hand, and the delta of the day after.
struct Fed {
    school: School,
    /// Somebody whom the delta names otherwise.
    renamed: Uuid,
    head: Client,
}

async fn fed(stage: &Stage, node: &Node, territory: &Territory, out: &Path) -> Fed {
    let folder = out.join(invented(out, 1, 60).aaf);
    feed(stage, node, territory.id, &folder).await;
    changes(&folder, &out.join("delta"), 3).unwrap();
    let part = std::fs::read_dir(out.join("delta")).unwrap().next().unwrap().unwrap().path();
    let xml = std::fs::read_to_string(part).unwrap();
    let key = xml.split("<id>").nth(1).unwrap().split('<').next().unwrap();
    let (renamed, id, uai): (Uuid, Uuid, String) = sqlx::query_as(
        "SELECT j.person_id, s.school_id, s.uai FROM join_key j JOIN membership m USING (person_id)
           JOIN school s USING (school_id) WHERE j.join_key = $1 AND m.role = 'pupil'",
    )
    .bind(key)
    .fetch_one(stage.owner())
    .await
    .unwrap();
    let school = School { id: SchoolId::from(id), uai, territory: territory.clone() };
    let head = territory.person("Alix Principal").await;
    school.enrol(&head, Role::SchoolAdmin).await;
    Fed { school, renamed, head: node.signed_in(&head).await }
}

async fn name_of(stage: &Stage, person: Uuid) -> String {
    sqlx::query_scalar("SELECT last_name FROM person WHERE person_id = $1")
        .bind(person)
        .fetch_one(stage.owner())
        .await
        .unwrap()
}

#[test]
fn an_edit_during_a_merge_is_asked_to_come_back_and_neither_is_lost() {
    play(async |stage| {
        let node = stage.node_with(|config| config.database.lock_timeout_ms = 300).await;
        let territory = stage.territory("demo").await;
        let out = tempfile::tempdir().unwrap();
        let Fed { school, renamed, head } = fed(&stage, &node, &territory, out.path()).await;
        let class: Uuid = sqlx::query_scalar("SELECT class_id FROM class_pupil WHERE person_id = $1")
            .bind(renamed)
            .fetch_one(stage.owner())
            .await
            .unwrap();
        let edit = school.url(&format!("administration/classes/{class}/pupils/{renamed}"));
        // The merge has read the school and cannot write its first row; the edit touches nothing that is held here.
        let mut holder = stage.database().owner().await;
        run(&mut holder, "BEGIN; LOCK TABLE person IN SHARE MODE").await;
        let import = import_of(&stage, &node, territory.id).await;
        let hands = async {
            until_somebody_waits(&stage).await;
            let refused = head.delete(&edit).await.refused(409, "busy");
            assert!(refused.header("retry-after").is_some());
            let card = school.url(&format!("administration/people/{renamed}"));
            head.get(&card).await.expect(200);
            run(&mut holder, "ROLLBACK").await;
        };
        let delta = out.path().join("delta");
        let mut step = |_| true;
        let (report, ()) = futures::join!(import_aaf(&import, &delta, &mut step), hands);
        assert_eq!(report.unwrap().schools.merged, 1);
        head.delete(&edit).await.expect(204);
        assert!(name_of(&stage, renamed).await.ends_with("-Neuf"));
        let still = format!("SELECT count(*) FROM class_pupil WHERE person_id = '{renamed}'");
        assert_eq!(stage.count(&still).await, 0);
    });
}

#[test]
fn a_merge_waits_for_a_hand_and_reads_what_it_has_written() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("demo").await;
        let out = tempfile::tempdir().unwrap();
        let Fed { school, renamed, .. } = fed(&stage, &node, &territory, out.path()).await;
        // As an office of the school does, up to its commit.
        let mut hand = stage.database().owner().await;
        let (territory_id, school_id) = (territory.id, school.id);
        let office = format!(
            "BEGIN; SET LOCAL app.territory_id = '{territory_id}';
             SELECT 1 FROM school WHERE school_id = '{school_id}' FOR SHARE;
             UPDATE person SET last_name = 'De Sa Main', names_origin = 'hand' WHERE person_id = '{renamed}'"
        );
        run(&mut hand, &office).await;
        let import = import_of(&stage, &node, territory.id).await;
        let hands = async {
            until_somebody_waits(&stage).await;
            run(&mut hand, "COMMIT").await;
        };
        let delta = out.path().join("delta");
        let mut step = |_| true;
        let (report, ()) = futures::join!(import_aaf(&import, &delta, &mut step), hands);
        let report = report.unwrap();
        assert_eq!(report.schools.merged, 1);
        assert_eq!(report.counts.get("names_kept"), Some(&1), "read after the hand's commit");
        assert_eq!(name_of(&stage, renamed).await, "De Sa Main");
    });
}

#[test]
fn a_delta_killed_after_each_school_goes_on_at_the_next() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("demo").await.id;
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().join(invented(out.path(), 5, 400).aaf);
        feed(&stage, &node, territory, &folder).await;
        let delta = out.path().join("delta");
        changes(&folder, &delta, 3).unwrap();
        let before = rows_by_school(&stage).await;
        let import = import_of(&stage, &node, territory).await;
        let mut seen = Vec::new();
        let mut resumed = BTreeSet::new();
        let report = loop {
            // Killed as soon as it waits for anything after one more school: its future is dropped, its connections close.
            let import = Import { db: process(&stage), ..import.clone() };
            let merged = Notify::new();
            let mut begun = None;
            let mut step = |progress: Progress| {
                if progress.phase == "merging" && progress.done > *begun.get_or_insert(progress.done) {
                    merged.notify_one();
                }
                true
            };
            let outcome = tokio::select! {
                biased;
                () = merged.notified() => None,
                done = import_aaf(&import, &delta, &mut step) => Some(done.unwrap()),
            };
            import.db.close().await;
            resumed.insert(begun.expect("some school is merged, or was"));
            if let Some(report) = outcome {
                break report;
            }
            seen.push(rows_by_school(&stage).await);
        };
        assert!(resumed.len() > 2 && resumed.contains(&0), "{resumed:?}: it goes on where it was");
        assert_eq!(report.schools.resumed + report.schools.merged, 5);
        let whole = rows_by_school(&stage).await;
        assert_ne!(before, whole);
        for state in seen {
            for uai in state.keys().map(|(uai, _)| uai) {
                let of = |rows: &std::collections::BTreeMap<(String, &'static str), i64>| {
                    rows.iter().filter(|((of, _), _)| of == uai).map(|(_, count)| *count).collect::<Vec<_>>()
                };
                assert!([of(&before), of(&whole)].contains(&of(&state)), "{uai}: half of a school's changes");
            }
        }
        assert_eq!(stage.count("SELECT count(*) FROM stage_pack").await, 0, "staging is forgotten");
        let again = import_of(&stage, &node, territory).await;
        let again = import_aaf(&again, &delta, &mut |_| true).await.unwrap();
        assert_eq!(again.rows_written_total(), 0, "{:?}", again.rows_written);
    });
}

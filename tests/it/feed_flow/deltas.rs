//! What a delta comes to.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use preau_feeds::import::{Import, import_aaf};
use preau_kernel::TerritoryId;
use preau_tests::{Stage, play};

use super::Desk;
use super::academy::{Academy, Dice, a_day_later, academy, complet, delta, one, pupil, relative};
use crate::feeds::process;

#[test]
fn a_delta_comes_to_what_the_next_complet_says() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut now = academy(2);
        desk.import(&now).await;
        let mut dice = Dice(1);
        for day in 0..6 {
            let next = a_day_later(&now, &mut dice);
            let changes = delta(desk.folder(), &now, &next);
            desk.stage.advance(chrono::Duration::hours(1));
            let report = desk.run(false).await;
            assert!(
                report.schools.failed.is_empty() && report.schools.held.is_empty(),
                "day {day}: {report:?}"
            );
            let written = report.rows_written_total();
            assert!(
                written > 0 && written < 60 * u64::try_from(changes).unwrap(),
                "day {day}: {written} of {changes}"
            );
            // What the complet of the day says is there already.
            let report = desk.import(&next).await;
            let mut rows = report.rows_written.clone();
            rows.retain(|_, count| *count > 0);
            assert_eq!(rows, BTreeMap::new(), "day {day}: {report:?}");
            now = next;
        }
    });
}

#[test]
fn a_delta_alone_creates_and_one_of_strangers_is_told() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let academy = academy(1);
        delta(desk.folder(), &Academy::new(), &academy);
        let report = desk.run(false).await;
        assert_eq!(report.schools.merged, 1, "{report:?}");
        assert_eq!(
            (desk.active("pupil").await, desk.active("guardian").await, desk.active("teacher").await),
            (40, 20, 2)
        );
        let mut later = academy.clone();
        pupil(&mut later, 1_950, 0, "6e A", &[]);
        let mut never = later.clone();
        never
            .get_mut(&("Eleve", 1_950))
            .unwrap()
            .attributes
            .insert("ENTEleveNivFormation", one("5EME").to_vec());
        delta(desk.folder(), &later, &never);
        let report = desk.run(false).await;
        assert_eq!(report.warned("feed-change-of-unknown"), 1, "{report:?}");
    });
}

/// Imports as a process that ends, and answers how many rows and entries of indexes PostgreSQL has looked at for it, by table.
async fn looked_at(stage: &Stage, territory: TerritoryId, folder: &Path) -> BTreeMap<String, i64> {
    let before = counted(stage).await;
    let import = Import {
        db: process(stage),
        clock: stage.clock().clone(),
        territory,
        job: stage.clock().mint(),
        limits: preau_feeds::limits::Limits::default(),
        dry_run: false,
    };
    let report = import_aaf(&import, folder, &mut |_| true).await.unwrap();
    assert!(report.schools.failed.is_empty() && report.schools.held.is_empty(), "{report:?}");
    import.db.close().await;
    // What a backend has counted is whole once it is gone.
    let begun = Instant::now();
    let there =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'preau_app'";
    while stage.count(there).await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "a backend stays");
    }
    let mut after = counted(stage).await;
    after.iter_mut().for_each(|(table, count)| *count -= before.get(table).copied().unwrap_or_default());
    after.retain(|_, count| *count > 0);
    after
}

async fn counted(stage: &Stage) -> BTreeMap<String, i64> {
    let sql = "SELECT t.relname::text, (t.seq_tup_read + coalesce(t.idx_tup_fetch, 0)
                   + coalesce((SELECT sum(i.idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid), 0))::bigint
                 FROM pg_stat_user_tables t";
    let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(stage.owner()).await.unwrap();
    rows.into_iter().collect()
}

/// What the same delta of two schools looks at when a third one has so many pupils, each with a guardian.
fn a_day_of_two_schools(elsewhere: u32) -> BTreeMap<String, i64> {
    let looked = Mutex::new(BTreeMap::new());
    play(async |stage| {
        let territory = stage.territory("t").await.id;
        let folder = tempfile::tempdir().unwrap();
        let mut now = academy(3);
        for number in 0..elsewhere {
            pupil(&mut now, 20_000 + number, 2, "6e A", &[30_000 + number]);
            relative(&mut now, 30_000 + number);
        }
        complet(folder.path(), &now);
        looked_at(&stage, territory, folder.path()).await;
        let mut next = now.clone();
        let mut change = |kind: &'static str, key: u32, attributes: &[(&'static str, &str)]| {
            for (name, value) in attributes {
                let object = next.get_mut(&(kind, key)).unwrap();
                object.attributes.insert(name, one(value).to_vec());
            }
        };
        change("Eleve", 1_000, &[("sn", "Autrement")]);
        change("Eleve", 1_002, &[("ENTEleveClasses", "10$6e B"), ("ENTEleveNivFormation", "6EME")]);
        change("Eleve", 1_003, &[("ENTPersonStructRattach", "11"), ("ENTEleveClasses", "11$6e A")]);
        change("PersRelEleve", 5_004, &[("mobile", "+33 6 39 98 99 99")]);
        change("PersEducNat", 9_000, &[("ENTAuxEnsClassesMatieres", "10$6e B$030201")]);
        next.remove(&("Eleve", 1_010));
        delta(folder.path(), &now, &next);
        stage.advance(chrono::Duration::hours(1));
        let tables = looked_at(&stage, territory, folder.path()).await;
        *looked.lock() = tables;
    });
    looked.into_inner()
}

#[test]
fn a_delta_looks_at_its_schools_and_not_at_the_academy() {
    let (few, many) = (a_day_of_two_schools(0), a_day_of_two_schools(400));
    // The 400 pupils more, and as many guardians, are looked at in no table. Plans differ a little with the size of a table,
    // but for the rows of two small schools.
    for (table, count) in &many {
        let known = few.get(table).copied().unwrap_or_default();
        assert!(
            *count < known + 300,
            "{table}: {known}, and {count} where another school has 400 pupils more"
        );
    }
    assert!(few.contains_key("person") && few.contains_key("guardian_link"), "{few:?}");
}

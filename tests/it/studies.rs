//! What a family studies, and what it costs to know.

use preau_directory::studies::studies_of;
use preau_kernel::{PersonId, Role, RoleSet};
use preau_tests::{Node, School, Stage, play};

/// Pupils of a school, put in at once.
async fn crowd(stage: &Stage, school: &School, many: u32) {
    let numbers = format!(
        "SELECT '{}'::uuid AS school, md5('{} ' || n)::uuid AS person, n FROM generate_series(1, {many}) n",
        school.id, school.id
    );
    stage
        .sql(&format!(
            "INSERT INTO school_person (school_id, person_id, last_name, first_name, search, updated_at)
             SELECT school, person, 'Martin', 'Lina', 'martin lina ' || n, now() FROM ({numbers}) AS all_of_them;
             INSERT INTO membership (school_id, person_id, role, origin, started_at)
             SELECT school, person, 'pupil', 'feed', now() FROM ({numbers}) AS all_of_them;
             INSERT INTO pupil (school_id, person_id) SELECT school, person FROM ({numbers}) AS all_of_them;
             ANALYZE pupil, membership, guardian_link"
        ))
        .await;
}

/// Rows of pupils and memberships that PostgreSQL has read, by index or without.
async fn rows_read(stage: &Stage, node: &Node) -> i64 {
    // The node's one connection tells what it did; so does the owner's, or what the test itself has read would be told later.
    let told = "SELECT pg_stat_force_next_flush()";
    let mut tx = node.app.db.lookup().await.unwrap();
    sqlx::raw_sql(told).execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    stage.sql(told).await;
    stage
        .count(
            "SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ('pupil', 'membership'))::bigint
                  + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ('pupil', 'membership'))::bigint",
        )
        .await
}

/// It is asked at the door, while everybody comes: a family's own rows, however many go to the school.
#[test]
fn a_family_is_found_without_reading_its_school() {
    play(async |stage| {
        let node = stage.node_with(|config| config.database.max_connections = 1).await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let class = school.class("6e B").await;
        let (lina, omar) = (class.pupil("Lina Martin").await, class.pupil("Omar Martin").await);
        let guardian = school.guardian_of(&lina, "Claire Martin").await;
        school.link(&guardian, &omar, 1).await;
        crowd(&stage, &school, 3_000).await;
        for (pupil, mef) in [(&lina, "10010012110"), (&omar, "10310019110")] {
            let of_school = format!("school_id = '{}' AND person_id = '{}'", school.id, pupil.id);
            stage.sql(&format!("UPDATE pupil SET mef_code = '{mef}' WHERE {of_school}")).await;
        }
        let family = async |person: PersonId, role: Role| {
            let here = (territory.id, school.id);
            studies_of(&node.app.db, here, (person, RoleSet::of(&[role])), true).await.unwrap()
        };
        for (person, role) in [(lina.id, Role::Pupil), (guardian.id, Role::Guardian)] {
            let before = rows_read(&stage, &node).await;
            // More than five times: by then the plan that serves anybody has been made.
            for _ in 0..8 {
                let found = family(person, role).await;
                assert_eq!(found.mef.as_deref(), Some("10010012110"));
                assert_eq!(found.siblings, ["10310019110"]);
            }
            let read = rows_read(&stage, &node).await - before;
            assert!(
                (16..=400).contains(&read),
                "{role:?}: {read} rows in eight looks, of a school of three thousand"
            );
        }
    });
}

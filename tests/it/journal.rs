//! The journal of administrative acts: what is changed afterwards shows, and where.

use preau_db::journal::{Act, append, verify};
use preau_kernel::PersonId;
use preau_tests::{School, Stage, play};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use uuid::Uuid;

const ACTS: i64 = 20;
const TAMPERINGS: usize = 1_000;
const SEED: u64 = 20_261_121;

async fn written(stage: &Stage) -> School {
    let node = stage.node().await;
    let school = stage.territory("test").await.school("Collège Rosa-Parks").await;
    for number in 0..ACTS {
        let mut tx = node.app.db.in_school_for_work(school.id).await.unwrap();
        let actor: PersonId = stage.clock().mint();
        let subject: Uuid = stage.clock().mint();
        let act = Act {
            actor: (number % 3 != 0).then_some(actor),
            act: "identity.make-activation-code",
            subject: (number % 4 != 0).then_some(subject),
            detail: json!({ "number": number, "codes": ["b", "a"], "z": null, "a": { "b": 1.5 } }),
        };
        append(&mut tx, stage.clock().now(), act).await.unwrap();
        tx.commit().await.unwrap();
        stage.advance(chrono::Duration::milliseconds(1_234_567));
    }
    school
}

/// What somebody with the owner's rights may do to one row, in words of SQL; `$` is the row.
const ACTS_OF_TAMPERING: [&str; 13] = [
    "UPDATE journal SET at = at + interval '1 microsecond' WHERE seq = $",
    "UPDATE journal SET at = at - interval '3 days' WHERE seq = $",
    "UPDATE journal SET actor_id = gen_random_uuid() WHERE seq = $",
    "UPDATE journal SET act = 'identity.make-nothing' WHERE seq = $",
    "UPDATE journal SET subject_id = gen_random_uuid() WHERE seq = $",
    "UPDATE journal SET detail = detail || '{\"number\": 99}' WHERE seq = $",
    "UPDATE journal SET detail = detail - 'z' WHERE seq = $",
    "UPDATE journal SET detail = jsonb_set(detail, '{codes}', '[\"a\", \"b\"]') WHERE seq = $",
    "UPDATE journal SET hash = sha256(hash) WHERE seq = $",
    "UPDATE journal SET prev_hash = sha256(prev_hash) WHERE seq = $",
    "DELETE FROM journal WHERE seq = $",
    "UPDATE journal SET detail = '{}', hash = sha256('x') WHERE seq = $",
    "UPDATE journal SET prev_hash = decode(repeat('00', 32), 'hex') WHERE seq = $ AND seq > 1",
];

#[test]
fn a_thousand_tamperings_are_each_found_where_they_are() {
    play(async |stage| {
        let school = written(&stage).await;
        let node = stage.node().await;
        let check = async || {
            let mut tx = node.app.db.in_school_for_work(school.id).await.unwrap();
            let found = verify(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            found.map_err(|broken| broken.seq)
        };
        assert_eq!(check().await, Ok(ACTS));
        stage.sql("CREATE TABLE kept AS SELECT * FROM journal; CREATE TABLE kept_head AS SELECT * FROM journal_head").await;
        let mut dice = ChaCha8Rng::seed_from_u64(SEED);
        for number in 0..TAMPERINGS {
            let row = dice.random_range(2..=ACTS);
            let act =
                ACTS_OF_TAMPERING.choose(&mut dice).expect("there are some").replace('$', &row.to_string());
            stage.sql(&act).await;
            assert_eq!(check().await, Err(row), "tampering {number} (seed {SEED}): {act}");
            stage.sql("DELETE FROM journal; INSERT INTO journal SELECT * FROM kept").await;
        }
        assert_eq!(check().await, Ok(ACTS));
    });
}

#[test]
fn a_tail_that_is_cut_off_is_missed() {
    play(async |stage| {
        let school = written(&stage).await;
        let node = stage.node().await;
        let check = async || {
            let mut tx = node.app.db.in_school_for_work(school.id).await.unwrap();
            let found = verify(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            found.map_err(|broken| broken.seq)
        };
        stage.sql(&format!("DELETE FROM journal WHERE seq > {}", ACTS - 3)).await;
        assert_eq!(check().await, Err(ACTS - 2));
        stage.sql("DELETE FROM journal").await;
        assert_eq!(check().await, Err(1));
    });
}

#[test]
fn the_application_can_neither_change_nor_take_back_an_act() {
    play(async |stage| {
        let school = written(&stage).await;
        let node = stage.node().await;
        for attempt in [
            "UPDATE journal SET act = 'x.y'",
            "DELETE FROM journal",
            "TRUNCATE journal",
            "DELETE FROM journal_head",
        ] {
            let mut tx = node.app.db.in_school_for_work(school.id).await.unwrap();
            let refused = sqlx::raw_sql(attempt).execute(tx.conn()).await.expect_err(attempt);
            assert_eq!(
                refused.as_database_error().and_then(|err| err.code()).as_deref(),
                Some("42501"),
                "{attempt}"
            );
        }
    });
}

//! What a dry run says, and what waits for a decision.

use preau_tests::play;
use serde_json::json;

use super::Desk;
use super::academy::{academy, complet, one, pupil, staff};

/// Rows of what is believed, not of the paperwork.
const BELIEVED: [&str; 8] =
    ["school", "person", "join_key", "account", "membership", "school_person", "class", "guardian_link"];

#[test]
fn a_dry_run_says_everything_and_writes_nothing() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(2);
        complet(desk.folder(), &academy);
        let report = desk.run(true).await;
        assert!(report.dry_run);
        assert_eq!((report.schools.merged, report.counts["created"]), (2, 2 * (40 + 20 + 3) + 2));
        assert_eq!(report.rows_written_total(), 0, "{:?}", report.rows_written);
        for table in BELIEVED {
            assert_eq!(desk.stage.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
        desk.import(&academy).await;
        let before = desk.stage.fingerprint().await;
        // One leaves, one changes schools, one is new, one changes names.
        academy.remove(&("Eleve", 1_000));
        pupil(&mut academy, 1_002, 1, "6e A", &[5_001]);
        pupil(&mut academy, 1_900, 0, "6e A", &[5_001]);
        academy.get_mut(&("Eleve", 1_003)).unwrap().attributes.insert("sn", one("Autre").to_vec());
        complet(desk.folder(), &academy);
        let report = desk.run(true).await;
        let count = |kind: &str| report.counts.get(kind).copied().unwrap_or(0);
        assert_eq!((count("created"), count("left"), count("moved")), (1, 1, 1), "{:?}", report.counts);
        assert!(count("updated") >= 1 && count("arrived") >= 1, "{:?}", report.counts);
        let paperwork = ["job", "feed_school", "feed_delivery"];
        let rest = |rows: &[(String, i64, String)]| -> Vec<(String, i64, String)> {
            rows.iter().filter(|(table, ..)| !paperwork.contains(&table.as_str())).cloned().collect()
        };
        assert_eq!(rest(&desk.stage.fingerprint().await), rest(&before));
    });
}

#[test]
fn a_halved_school_waits_and_an_approval_merges_it() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(2);
        desk.import(&academy).await;
        let accounts = "SELECT count(*) FROM account WHERE state = 'imported'";
        let all = desk.stage.count(accounts).await;
        academy.retain(|(category, key), _| *category != "Eleve" || !(1_020..1_040).contains(key));
        academy.get_mut(&("Eleve", 1_100)).unwrap().attributes.insert("sn", one("Autre").to_vec());
        complet(desk.folder(), &academy);
        let job = desk.job().await;
        assert!(desk.work().await);
        let admin = desk.admin().await;
        let told = admin.get(&desk.url(&format!("jobs/{job}"))).await.expect(200).json();
        assert_eq!((&told["state"], &told["report"]["schools"]["merged"]), (&json!("waiting"), &json!(1)));
        assert_eq!(told["report"]["schools"]["held"]["10"][0], "feed-too-many-pupils-gone");
        assert_eq!(desk.stage.count(accounts).await, all, "nobody has lost an account");
        assert_eq!(desk.active("pupil").await, 80);
        assert_eq!(
            desk.stage.count("SELECT count(*) FROM person WHERE last_name = 'Autre'").await,
            1,
            "the other goes on"
        );
        assert!(!desk.work().await, "nobody works on what waits");

        let holds = desk.holds(&admin, "waiting").await;
        assert_eq!(
            (holds.len(), &holds[0]["uai"], &holds[0]["counts"]["pupils_left"]),
            (1, &json!("0771991W"), &json!(20))
        );
        let sheet = admin.get(&desk.url(&format!("jobs/{job}/report.csv"))).await.expect(200);
        let sheet = String::from_utf8(sheet.body.to_vec()).unwrap();
        assert!(sheet.contains("\"personnes parties\";\"30\"") && sheet.contains("en attente"), "{sheet}");

        let url = desk.url(&format!("feed-holds/{}/decisions", holds[0]["id"].as_str().unwrap()));
        let keyed = admin.clone().with("idempotency-key", "halved-school");
        let other = json!({ "approve": true, "delivery": "another" });
        keyed.post(&url, &other).await.refused(422, "feed-other-files");
        let keyed = admin.clone().with("idempotency-key", "halved-school-again");
        let body = json!({ "approve": true, "delivery": holds[0]["delivery"] });
        keyed.post(&url, &body).await.expect(201);
        keyed.post(&url, &body).await.expect(201);
        let keyed = admin.clone().with("idempotency-key", "halved-school-twice");
        keyed.post(&url, &body).await.refused(409, "already-decided");
        assert_eq!(desk.stage.count("SELECT count(*) FROM journal WHERE act = 'feeds.decide'").await, 1);
        assert!(desk.work().await);
        let told = admin.get(&desk.url(&format!("jobs/{job}"))).await.expect(200).json();
        assert_eq!(told["state"], "succeeded", "{told}");
        assert_eq!(desk.active("pupil").await, 60);
        assert_eq!(desk.holds(&admin, "merged").await.len(), 1);
        assert_eq!(desk.stage.count("SELECT count(*) FROM stage_person").await, 0, "staging is forgotten");
    });
}

#[test]
fn an_empty_delivery_takes_nobody() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(2);
        desk.import(&academy).await;
        let (pupils, accounts) =
            (desk.active("pupil").await, desk.stage.count("SELECT count(*) FROM account").await);
        academy.retain(|(category, _), _| *category == "EtabEducNat" || *category == "PersEducNat");
        let report = desk.import(&academy).await;
        assert_eq!(report.schools.held.len(), 2, "{report:?}");
        assert!(report.schools.held["10"].contains(&"feed-no-pupils".to_owned()), "{:?}", report.schools);
        assert_eq!(
            (desk.active("pupil").await, desk.stage.count("SELECT count(*) FROM account").await),
            (pupils, accounts)
        );
        assert_eq!(desk.stage.count("SELECT count(*) FROM account WHERE state = 'pre-deleted'").await, 0);
    });
}

#[test]
fn a_new_administrator_waits_and_a_refusal_leaves_everything() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(1);
        let first = desk.import(&academy).await;
        assert!(first.schools.held.is_empty(), "a new school has its head: {first:?}");
        staff(&mut academy, 9_300, &[(0, "DIR")], &[]);
        complet(desk.folder(), &academy);
        desk.job().await;
        assert!(desk.work().await);
        assert_eq!(desk.active("school_admin").await, 1);
        let admin = desk.admin().await;
        let holds = desk.holds(&admin, "waiting").await;
        assert_eq!(holds[0]["reasons"], json!(["feed-new-administrator"]));
        assert_eq!(holds[0]["samples"][0]["kind"], "new_administrator");
        assert!(holds[0]["samples"][0]["line"].as_u64().is_some(), "{:?}", holds[0]["samples"]);
        let url = desk.url(&format!("feed-holds/{}/decisions", holds[0]["id"].as_str().unwrap()));
        let body = json!({ "approve": false, "delivery": holds[0]["delivery"] });
        admin.clone().with("idempotency-key", "new-administrator").post(&url, &body).await.expect(201);
        assert!(desk.work().await);
        assert_eq!(desk.active("school_admin").await, 1);
        assert_eq!(desk.stage.count("SELECT count(*) FROM person WHERE last_name = 'Prof0'").await, 1);
        // Without a recent proof nobody decides.
        let plain = desk.node.signed_in(&desk.territory.admin().await).await;
        plain.with("idempotency-key", "without-proof").post(&url, &body).await.refused(403, "proof-required");
    });
}

//! What hands have written, who leaves and comes back, and who waits for whom.

use std::collections::BTreeMap;

use preau_feeds::import::{KeepDays, delete_leavers};
use preau_tests::play;

use super::Desk;
use super::academy::{Object, academy, add, complet, delta, one};

#[test]
fn what_hands_have_written_survives() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(1);
        desk.import(&academy).await;
        let of = "person_id = (SELECT person_id FROM join_key WHERE join_key = '5000')";
        desk.stage
            .sql(&format!(
                "UPDATE person SET email = 'moi@example.org', email_origin = 'hand', mobile = '+33 6 00', mobile_origin = 'hand'
                  WHERE {of}"
            ))
            .await;
        // Somebody whom no academy knows, attached by hand.
        let school: uuid::Uuid =
            sqlx::query_scalar("SELECT school_id FROM school").fetch_one(desk.stage.owner()).await.unwrap();
        let guest = desk.territory.person("Ana Lopez").await;
        for sql in [
            format!(
                "INSERT INTO school_person VALUES ('{school}', '{}', 'Lopez', 'Ana', '', 'lopez ana', now())",
                guest.id
            ),
            format!(
                "INSERT INTO membership (school_id, person_id, role, origin, started_at) VALUES ('{school}', '{}', 'teacher', 'hand', now())",
                guest.id
            ),
            format!(
                "INSERT INTO class_teacher (school_id, class_id, person_id) SELECT school_id, class_id, '{}' FROM class WHERE name = '6e A'",
                guest.id
            ),
        ] {
            desk.stage.sql(&sql).await;
        }
        let guardian = academy.get_mut(&("PersRelEleve", 5_000)).unwrap();
        guardian.attributes.insert("mail", Vec::new());
        guardian.attributes.insert("mobile", one("+33 6 39 98 11 11").to_vec());
        let report = desk.import(&academy).await;
        assert_eq!((report.counts["emails_kept"], report.counts["mobiles_kept"]), (1, 1));
        assert_eq!(
            desk.stage.count(&format!("SELECT count(*) FROM person WHERE email = 'moi@example.org' AND mobile = '+33 6 00' AND {of}")).await,
            1
        );
        let theirs = format!("person_id = '{}'", guest.id);
        for (table, more) in [("membership", "AND ended_at IS NULL"), ("class_teacher", "")] {
            let sql = format!("SELECT count(*) FROM {table} WHERE {theirs} {more}");
            assert_eq!(desk.stage.count(&sql).await, 1, "{table}");
        }
    });
}

#[test]
fn who_leaves_is_deleted_after_a_while_and_who_comes_back_before_is_not() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let all = academy(1);
        desk.import(&all).await;
        let mut fewer = all.clone();
        fewer.remove(&("Eleve", 1_000));
        fewer.remove(&("Eleve", 1_001));
        fewer.remove(&("PersRelEleve", 5_000));
        let report = desk.import(&fewer).await;
        assert_eq!((report.schools.held.len(), report.counts["account_pre_deleted"]), (0, 3), "{report:?}");
        assert_eq!(desk.state_of(1_000).await, "pre-deleted");
        let keep = KeepDays { pupil: 30, guardian: 60, teacher: 90, staff: 90, guest: 60 };
        let sweep = async || {
            delete_leavers(&desk.node.app.db, desk.stage.clock(), desk.territory.id, keep).await.unwrap()
        };
        assert_eq!(sweep().await, 0);
        // One comes back.
        let mut back = fewer.clone();
        back.insert(("Eleve", 1_001), all[&("Eleve", 1_001)].clone());
        desk.import(&back).await;
        assert_eq!(desk.state_of(1_001).await, "imported");
        desk.stage.advance(chrono::Duration::days(31));
        assert_eq!(sweep().await, 1, "the pupil, and not yet the guardian");
        assert_eq!(
            (desk.state_of(1_000).await, desk.state_of(5_000).await),
            ("deleted".into(), "pre-deleted".into())
        );
        let erased = "SELECT count(*) FROM person p JOIN join_key j USING (person_id)
                       WHERE j.join_key = '1000' AND p.ine IS NULL AND p.birth_on IS NULL";
        assert_eq!(desk.stage.count(erased).await, 1);
        let login =
            "SELECT count(*) FROM login l JOIN join_key j USING (person_id) WHERE j.join_key = '1000'";
        assert_eq!(desk.stage.count(login).await, 1, "the name stays taken");
        assert_eq!(sweep().await, 0);
        // Even a deleted one begins anew under the old name.
        let before = desk.stage.count("SELECT count(*) FROM person").await;
        desk.import(&all).await;
        assert_eq!(desk.state_of(1_000).await, "imported");
        assert_eq!(desk.stage.count("SELECT count(*) FROM person").await, before);
        let code = "SELECT count(*) FROM activation_code c JOIN join_key j USING (person_id) WHERE j.join_key = '1000'";
        assert_eq!(desk.stage.count(code).await, 1);
    });
}

#[test]
fn a_reference_waits_for_what_it_refers_to() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let whole = academy(1);
        let mut without = whole.clone();
        without.remove(&("PersRelEleve", 5_000));
        let report = desk.import(&without).await;
        assert_eq!(report.warned("aaf-outside-guardian"), 2);
        assert_eq!(desk.stage.count("SELECT count(*) FROM feed_parked WHERE kind = 'link'").await, 2);
        assert_eq!(desk.stage.count("SELECT count(*) FROM guardian_link").await, 38);
        // The guardian comes alone; the pupils' records are not said again.
        let changes = delta(desk.folder(), &without, &whole);
        assert_eq!(changes, 1);
        let report = desk.run(false).await;
        assert!(report.schools.failed.is_empty(), "{report:?}");
        // A relative's record names no school: the next feed of the school brings them together.
        let report = desk.import(&whole).await;
        assert!(report.schools.failed.is_empty(), "{report:?}");
        assert_eq!(desk.stage.count("SELECT count(*) FROM guardian_link").await, 40);
        assert_eq!(desk.stage.count("SELECT count(*) FROM feed_parked").await, 0);
        assert_eq!(desk.active("guardian").await, 20);
    });
}

#[test]
fn one_key_of_two_people_and_a_doubled_ine_are_lines_of_the_report() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let mut academy = academy(1);
        let ine = academy[&("Eleve", 1_000)].attributes["ENTEleveINE"].clone();
        academy.get_mut(&("Eleve", 1_001)).unwrap().attributes.insert("ENTEleveINE", ine);
        complet(desk.folder(), &academy);
        let twin = Object {
            attributes: BTreeMap::from([
                ("ENTPersonJointure", one(1_002).to_vec()),
                ("sn", one("Tout-Autre").to_vec()),
                ("givenName", one("Zoé").to_vec()),
                ("ENTPersonStructRattach", one(10).to_vec()),
            ]),
            category: "Eleve",
        };
        let xml = format!(
            "<ficAlimMENESR>\n<!-- codeAcademieExport=\"13\" -->\n{}</ficAlimMENESR>",
            add(&twin, 1_002)
        );
        std::fs::write(desk.folder().join("ENT_Complet_20261125_Eleve_0001.xml"), xml).unwrap();
        let report = desk.run(false).await;
        assert_eq!(report.warned("feed-ine-twice"), 1, "{report:?}");
        assert_eq!(report.warned("feed-key-of-two-people"), 1, "{report:?}");
        assert!(report.warnings["feed-ine-twice"].samples[0].place.line.is_some());
        assert_eq!(desk.active("pupil").await, 40);
    });
}

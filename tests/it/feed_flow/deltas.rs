//! What a delta comes to.

use std::collections::BTreeMap;

use preau_tests::play;

use super::Desk;
use super::academy::{Academy, Dice, a_day_later, academy, delta, one, pupil};

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

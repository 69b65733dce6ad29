use chrono::TimeZone;
use chrono_tz::Tz;
use preau_admission::{
    Person, Profile,
    slots::{self, Standing, Table},
};
use proptest::{collection::vec, option, prelude::*, sample};
use uuid::Uuid;

use super::*;
use crate::{
    rules::tests::{plan, window},
    watch::rules_of,
};

fn roster() -> Roster {
    let pupils =
        [(Level::Sixieme, 120), (Level::Cinquieme, 110), (Level::Quatrieme, 100), (Level::Troisieme, 90)];
    let mut pupils: Vec<_> = pupils.into_iter().map(|(level, n)| alike(Some(level), &[], n)).collect();
    pupils.push(alike(None, &[], 5));
    Roster { pupils, guardians: 700 }
}

fn alike(level: Option<Level>, siblings: &[Level], pupils: i64) -> Alike {
    Alike { level, siblings: siblings.to_vec(), pupils }
}

fn paris() -> PlanContent {
    plan(vec![
        window(&[Level::Sixieme, Level::Cinquieme], "08:00", "12:00"),
        window(&[Level::Quatrieme, Level::Troisieme], "13:00", "17:00"),
    ])
    .content()
}

#[test]
fn a_preview_says_who_would_be_in_at_what_hour() {
    let seen = preview(&paris(), None, &roster());
    assert_eq!((seen.pupils, seen.days.len()), (425, 5));
    let told: Vec<_> = seen.days[0]
        .segments
        .iter()
        .map(|one| (one.from.to_string(), one.to.to_string(), one.everybody, one.pupils, one.guardians))
        .collect();
    let line = |from: &str, to: &str, all, pupils| (from.to_owned(), to.to_owned(), all, pupils, 700);
    assert_eq!(
        told,
        [
            line("00:00", "08:00", true, 425),
            line("08:00", "12:00", false, 235),
            line("12:00", "13:00", true, 425),
            line("13:00", "17:00", false, 195),
            line("17:00", "00:00", true, 425),
        ]
    );
    let fullest = seen.fullest.unwrap();
    assert_eq!((fullest.day, fullest.from.to_string(), fullest.pupils), (Day::Mon, "08:00".to_owned(), 235));
    assert_eq!(seen.flaws, []);
    // Four hours of five days are closed to each level that is named.
    assert_eq!((seen.moved, seen.moves.len()), (420, 4));
    assert!(seen.moves.iter().all(|one| one.minutes_before - one.minutes_after == 5 * 240));
}

#[test]
fn what_changes_is_told_against_what_holds() {
    let mut later = paris();
    later.windows[1] = window(&[Level::Quatrieme, Level::Troisieme], "14:00", "17:00");
    let seen = preview(&later, Some(&paris()), &roster());
    // From 13:00 to 14:00 nobody has a window any more: everybody comes, the 6e and 5e for the first time.
    let moved: Vec<_> = seen.moves.iter().map(|one| (one.level.unwrap(), one.minutes_moved)).collect();
    assert_eq!(moved, [(Level::Sixieme, 300), (Level::Cinquieme, 300)]);
    assert_eq!(preview(&paris(), Some(&paris()), &roster()).moved, 0);
}

#[test]
fn brothers_and_sisters_are_counted_in_each_others_hours() {
    let mut roster = roster();
    roster.pupils.extend([
        alike(Some(Level::Sixieme), &[Level::Troisieme], 7),
        alike(Some(Level::Troisieme), &[Level::Sixieme], 6),
        // No window is a lycée's: it is kept out of none, and a younger brother changes nothing.
        alike(Some(Level::Seconde), &[Level::Sixieme], 3),
    ]);
    let at = |seen: &SlotPreview, from: &str| {
        let found = seen.days[0].segments.iter().find(|one| one.from.to_string() == from).unwrap();
        let of = |level| found.levels.iter().find(|one| one.level == Some(level)).map_or(0, |one| one.pupils);
        (found.pupils, of(Level::Sixieme), of(Level::Troisieme), of(Level::Seconde))
    };
    let seen = preview(&paris(), None, &roster);
    assert_eq!(at(&seen, "08:00"), (235 + 7 + 6 + 3, 127, 6, 3));
    assert_eq!(at(&seen, "13:00"), (195 + 6 + 7 + 3, 7, 96, 3));
    assert_eq!(
        (seen.pupils, seen.moved),
        (425 + 16, 420),
        "families come at both hours: nothing moves for them"
    );
    let alone = preview(&PlanContent { siblings: false, ..paris() }, None, &roster);
    assert_eq!(at(&alone, "08:00"), (235 + 7 + 3, 127, 0, 3));
    assert_eq!(alone.moved, 420 + 13);
    // Against each other the two plans differ for the families alone.
    let both = preview(&paris(), Some(&PlanContent { siblings: false, ..paris() }), &roster);
    let moved: Vec<_> =
        both.moves.iter().map(|one| (one.level.unwrap(), one.pupils, one.minutes_moved)).collect();
    assert_eq!(moved, [(Level::Sixieme, 7, 1200), (Level::Troisieme, 6, 1200)]);
}

#[test]
fn holes_and_overlaps_are_told_and_keep_nobody_out() {
    let mut odd = paris();
    odd.windows[0].days = vec![Day::Mon];
    odd.windows.push(window(&[Level::Troisieme], "16:00", "18:00"));
    odd.windows.push(window(&[Level::Bts], "18:00", "19:00"));
    let seen = preview(&odd, None, &roster());
    let of = |kind: &str, level| {
        seen.flaws.iter().filter(|flaw| flaw.kind == kind && flaw.level == Some(level)).count()
    };
    assert_eq!(of("hole", Level::Sixieme), 4);
    assert_eq!(of("overlap", Level::Troisieme), 5);
    assert_eq!(of("unknown-level", Level::Bts), 1);
    let tuesday = &seen.days[1].segments;
    assert!(tuesday.iter().all(|one| one.levels.iter().any(|count| count.level == Some(Level::Sixieme))));
}

#[test]
fn guardians_have_their_hours() {
    let mut plan = paris();
    let mut evening = window(&[], "17:00", "00:00");
    evening.profile = SlotProfile::Guardian;
    plan.windows.push(evening);
    let seen = preview(&plan, None, &roster());
    let at = |from: &str| {
        let found = seen.days[0].segments.iter().find(|one| one.from.to_string() == from).unwrap();
        (found.everybody, found.pupils, found.guardians)
    };
    assert_eq!(at("08:00"), (false, 235, 0));
    assert_eq!(at("12:00"), (true, 425, 700));
    assert_eq!(at("17:00"), (true, 425, 700), "hours of guardians keep no pupil out");
    plan.windows.retain(|window| window.profile == SlotProfile::Guardian);
    let alone = preview(&plan, None, &roster());
    let told: Vec<_> =
        alone.days[0].segments.iter().map(|one| (one.everybody, one.pupils, one.guardians)).collect();
    assert_eq!(told, [(false, 425, 0), (true, 425, 700)], "a plan for them alone has their hours");
}

const LEVELS: [Level; 4] = [Level::Sixieme, Level::Cinquieme, Level::Troisieme, Level::Seconde];

fn some_window() -> impl Strategy<Value = SlotWindow> {
    let days = sample::subsequence(Day::ALL.to_vec(), 1..=7);
    let levels = sample::subsequence(LEVELS.to_vec(), 0..=2);
    (any::<bool>(), levels, days, 0_u16..23, 1_u16..6).prop_map(|(pupils, levels, days, from, hours)| {
        let (profile, levels) =
            if pupils { (SlotProfile::Pupil, levels) } else { (SlotProfile::Guardian, Vec::new()) };
        let to = (from + hours).min(24);
        let hour = |hour: u16| HourMinute::of_minutes(hour * 60);
        SlotWindow { profile, levels, days, from: hour(from), to: hour(to) }
    })
}

fn at_the_door(plan: &PlanContent) -> Table {
    let plan = slots::Plan {
        id: Uuid::from_u128(1),
        version: 1,
        scope: slots::Scope::Territory(Uuid::from_u128(2).into()),
        ceiling: slots::Posture::Hard,
        forced: None,
        from: plan.starts_on,
        until: None,
        siblings: plan.siblings,
        rules: rules_of(plan),
    };
    Table::new([plan], [], [])
}

proptest! {
    /// Whatever the plan, at every hour of a week: whom the preview counts, the door does not keep out, and no other.
    #[test]
    fn a_preview_says_what_the_door_does(
        windows in vec(some_window(), 1..7),
        siblings in any::<bool>(),
        level in option::of(sample::select(LEVELS.to_vec())),
        family in sample::subsequence(LEVELS.to_vec(), 0..=2),
    ) {
        let plan = PlanContent { siblings, windows, ..paris() };
        let table = at_the_door(&plan);
        let code = |level: Level| level.plain_code().parse().unwrap();
        let pupil = Person {
            profile: Some(Profile::Pupil),
            territory: Uuid::from_u128(2).into(),
            school: Some(Uuid::from_u128(3).into()),
            mef: level.map(code),
            siblings: family.iter().copied().map(code).collect(),
            class: None,
            primary: false,
            tz: Tz::Europe__Paris,
        };
        let guardian = Person {
            profile: Some(Profile::Guardian), mef: None, siblings: Vec::new(), ..pupil.clone()
        };
        let who = alike(level, &family, 1);
        for (day, date) in Day::ALL.into_iter().zip(plan.starts_on.iter_days().skip(11)) {
            prop_assert_eq!(chrono::Datelike::weekday(&date), day.weekday());
            for hour in 0..24_u16 {
                let minute = hour * 60 + 30;
                let local = date.and_time(HourMinute::of_minutes(minute).time());
                let now = Tz::Europe__Paris.from_local_datetime(&local).unwrap().to_utc();
                let is_in = |who| !matches!(table.standing(who, now), Standing::Outside { .. });
                prop_assert_eq!(pupil_in(&plan, (day, minute), &who), is_in(&pupil), "{} {}", day.weekday(), hour);
                prop_assert_eq!(guardian_in(&plan, (day, minute)), is_in(&guardian), "{} {}", day.weekday(), hour);
            }
        }
    }
}

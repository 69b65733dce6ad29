use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use preau_kernel::{SchoolId, TerritoryId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{mef::Mef, person::Person};

const TERRITORY: u128 = 1;
const SCHOOL: u128 = 2;

fn time(text: &str) -> NaiveTime {
    NaiveTime::parse_from_str(text, "%H:%M").unwrap()
}

fn rule(mef: &[&str], days: Days, from: &str, to: &str) -> Rule {
    Rule {
        profiles: vec![Profile::Pupil],
        mef: mef.iter().map(|&code| code.to_owned()).collect(),
        primary: None,
        days,
        from: time(from),
        to: time(to),
    }
}

fn plan(rules: Vec<Rule>) -> Plan {
    Plan {
        id: Uuid::from_u128(9),
        version: 1,
        scope: Scope::Territory(Uuid::from_u128(TERRITORY).into()),
        ceiling: Posture::Hard,
        forced: None,
        from: "2020-01-01".parse().unwrap(),
        until: None,
        siblings: true,
        rules,
    }
}

fn pupil(mef: &str, tz: Tz) -> Person {
    Person {
        profile: Some(Profile::Pupil),
        territory: TerritoryId::from(Uuid::from_u128(TERRITORY)),
        school: Some(SchoolId::from(Uuid::from_u128(SCHOOL))),
        mef: Some(mef.parse().unwrap()),
        siblings: Vec::new(),
        class: None,
        primary: false,
        tz,
    }
}

const SIXTH: &str = "10010012110";
const THIRD: &str = "10310019110";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn only(plan: Plan) -> Table {
    Table::new([plan], [], [])
}

fn morning_and_afternoon(days: Days) -> Table {
    only(plan(vec![rule(&["100"], days, "08:00", "12:00"), rule(&["103"], days, "13:00", "17:00")]))
}

#[test]
fn overlapping_windows_are_united() {
    let table = only(plan(vec![
        rule(&["100"], Days::WORKDAYS, "08:00", "10:30"),
        rule(&["100"], Days::WORKDAYS, "10:00", "12:00"),
        rule(&["103"], Days::WORKDAYS, "08:00", "17:00"),
    ]));
    let sixth = pupil(SIXTH, Tz::Europe__Paris);
    let inside = table.standing(&sixth, at("2020-03-19T07:00:00Z"));
    assert_eq!(inside, Standing::Inside { until: at("2020-03-19T11:00:00Z") });
    assert_eq!(table.windows(&sixth, "2020-03-19".parse().unwrap()).len(), 1);
    let after = table.standing(&sixth, at("2020-03-19T11:00:00Z"));
    assert_eq!(
        after,
        Standing::Outside { opens_at: Some(at("2020-03-19T16:00:00Z")) },
        "17:00 is everybody's"
    );
}

#[test]
fn a_hole_keeps_nobody_out() {
    let table = morning_and_afternoon(Days::WORKDAYS);
    let (sixth, third) = (pupil(SIXTH, Tz::Europe__Paris), pupil(THIRD, Tz::Europe__Paris));
    for (instant, name) in [
        ("2020-03-19T06:59:59Z", "before school"),
        ("2020-03-19T11:30:00Z", "noon"),
        ("2020-03-19T16:00:00Z", "the evening"),
        ("2020-03-21T09:00:00Z", "Saturday"),
    ] {
        for who in [&sixth, &third] {
            assert_eq!(table.standing(who, at(instant)), Standing::Free, "{name}");
        }
    }
    // A level that no window names, and one that is named on other days only.
    assert_eq!(
        table.standing(&pupil("10110001110", Tz::Europe__Paris), at("2020-03-19T09:00:00Z")),
        Standing::Free
    );
    let forgotten = only(plan(vec![
        rule(&["100"], Days::of([chrono::Weekday::Mon]), "08:00", "12:00"),
        rule(&["103"], Days::WORKDAYS, "08:00", "12:00"),
    ]));
    assert_eq!(forgotten.standing(&sixth, at("2020-03-19T09:00:00Z")), Standing::Free, "a Thursday");
}

#[test]
fn hours_are_those_of_the_school_overseas_too() {
    let table = morning_and_afternoon(Days::WORKDAYS);
    // 07:00 UTC on a Thursday: 8:00 in Paris, 11:00 at La Réunion, 3:00 in Guadeloupe, 18:00 in Nouméa.
    let now = at("2020-03-19T07:00:00Z");
    let inside = |tz| matches!(table.standing(&pupil(SIXTH, tz), now), Standing::Inside { .. });
    assert!(inside(Tz::Europe__Paris) && inside(Tz::Indian__Reunion));
    for tz in [Tz::America__Guadeloupe, Tz::Pacific__Noumea] {
        assert_eq!(table.standing(&pupil(SIXTH, tz), now), Standing::Free, "{tz}");
    }
    let third = table.standing(&pupil(THIRD, Tz::Indian__Reunion), now);
    assert_eq!(third, Standing::Outside { opens_at: Some(at("2020-03-19T08:00:00Z")) }, "noon at La Réunion");
    // A plan begins and ends on the days of the school.
    let mut short =
        plan(vec![rule(&[], Days::ALL, "00:00", "00:00"), rule(&["103"], Days::ALL, "00:00", "00:00")]);
    short.from = "2020-03-20".parse().unwrap();
    short.until = Some("2020-03-20".parse().unwrap());
    let short = only(short);
    let eve = at("2020-03-19T22:00:00Z");
    assert_eq!(short.standing(&pupil(SIXTH, Tz::Europe__Paris), eve), Standing::Free);
    assert!(matches!(short.standing(&pupil(SIXTH, Tz::Indian__Reunion), eve), Standing::Inside { .. }));
}

#[test]
fn the_night_with_two_hours_of_two_oclock() {
    let table = only(plan(vec![
        rule(&["100"], Days::ALL, "02:00", "03:00"),
        rule(&["103"], Days::ALL, "01:00", "05:00"),
    ]));
    let sixth = pupil(SIXTH, Tz::Europe__Paris);
    // 02:00 to 03:00 on 25 October 2026 lasts from 00:00 to 02:00 UTC: nobody's window is shorter than was promised.
    for (instant, name) in [("2026-10-25T00:00:00Z", "the first"), ("2026-10-25T01:59:00Z", "the second")] {
        let told = table.standing(&sixth, at(instant));
        assert_eq!(told, Standing::Inside { until: at("2026-10-25T02:00:00Z") }, "{name}");
    }
    assert!(matches!(table.standing(&sixth, at("2026-10-24T23:59:00Z")), Standing::Outside { .. }));
    assert!(matches!(table.standing(&sixth, at("2026-10-25T02:00:00Z")), Standing::Outside { .. }));
}

#[test]
fn the_night_without_two_oclock() {
    let table = only(plan(vec![
        rule(&["100"], Days::ALL, "02:00", "03:00"),
        rule(&["101"], Days::ALL, "02:30", "04:00"),
        rule(&["103"], Days::ALL, "01:00", "05:00"),
    ]));
    // On 28 March 2027 the clock goes from 02:00 to 03:00 at 01:00 UTC: the 6e have no window, the 5e begin at 03:00.
    let fifth = pupil("10110001110", Tz::Europe__Paris);
    assert_eq!(
        table.standing(&fifth, at("2027-03-28T01:00:00Z")),
        Standing::Inside { until: at("2027-03-28T02:00:00Z") }
    );
    let sixth = table.standing(&pupil(SIXTH, Tz::Europe__Paris), at("2027-03-28T00:30:00Z"));
    assert_eq!(
        sixth,
        Standing::Outside { opens_at: Some(at("2027-03-28T03:00:00Z")) },
        "5:00, when nobody has a window"
    );
}

#[test]
fn windows_may_pass_midnight() {
    let table = only(plan(vec![
        rule(&["100"], Days::of([chrono::Weekday::Thu]), "22:00", "02:00"),
        rule(&["103"], Days::ALL, "00:00", "06:00"),
    ]));
    let sixth = pupil(SIXTH, Tz::Europe__Paris);
    let inside = table.standing(&sixth, at("2020-03-20T00:30:00Z"));
    assert_eq!(inside, Standing::Inside { until: at("2020-03-20T01:00:00Z") });
}

#[test]
fn guardians_come_when_pupils_do_not() {
    let parents = |from, to| Rule {
        profiles: vec![Profile::Guardian],
        primary: Some(false),
        ..rule(&[], Days::WORKDAYS, from, to)
    };
    let guardian = Person { profile: Some(Profile::Guardian), mef: None, ..pupil(SIXTH, Tz::Europe__Paris) };
    let both = only(plan(vec![rule(&[], Days::WORKDAYS, "08:30", "17:00"), parents("17:00", "00:00")]));
    assert!(matches!(both.standing(&guardian, at("2020-03-19T09:00:00Z")), Standing::Outside { .. }));
    assert!(matches!(both.standing(&guardian, at("2020-03-19T16:00:00Z")), Standing::Inside { .. }));
    assert_eq!(both.standing(&guardian, at("2020-03-19T06:00:00Z")), Standing::Free);
    // A plan that is about guardians alone holds for them.
    let alone = only(plan(vec![parents("17:00", "00:00")]));
    let told = alone.standing(&guardian, at("2020-03-19T09:00:00Z"));
    assert_eq!(told, Standing::Outside { opens_at: Some(at("2020-03-19T16:00:00Z")) });
    let primary = Person { primary: true, ..guardian };
    assert_eq!(alone.standing(&primary, at("2020-03-19T09:00:00Z")), Standing::Free);
}

#[test]
fn a_family_has_common_hours() {
    let table = morning_and_afternoon(Days::WORKDAYS);
    let siblings = |own: &str, other: &str| Person {
        siblings: vec![other.parse::<Mef>().unwrap()],
        ..pupil(own, Tz::Europe__Paris)
    };
    for now in ["2020-03-19T08:00:00Z", "2020-03-19T13:00:00Z"] {
        for who in [siblings(SIXTH, THIRD), siblings(THIRD, SIXTH)] {
            assert!(matches!(table.standing(&who, at(now)), Standing::Inside { .. }), "{now}");
        }
    }
}

#[test]
fn a_brother_takes_nothing_away() {
    let table = morning_and_afternoon(Days::WORKDAYS);
    // No rule names a lycée: it comes when it likes, at the hours of a younger brother and at others.
    let lycee = Person { siblings: vec![SIXTH.parse().unwrap()], ..pupil("20010014110", Tz::Europe__Paris) };
    for now in ["2020-03-19T08:00:00Z", "2020-03-19T13:00:00Z"] {
        assert!(!matches!(table.standing(&lycee, at(now)), Standing::Outside { .. }), "{now}");
    }
}

#[test]
fn the_schools_own_plan_comes_first_and_of_several_the_last_begun() {
    let territory =
        plan(vec![rule(&["100"], Days::ALL, "08:00", "09:00"), rule(&["103"], Days::ALL, "08:00", "20:00")]);
    let school = Plan {
        scope: Scope::School(Uuid::from_u128(SCHOOL).into()),
        id: Uuid::from_u128(10),
        ..plan(vec![rule(&["100"], Days::ALL, "10:00", "11:00"), rule(&["103"], Days::ALL, "08:00", "20:00")])
    };
    let newer = Plan {
        id: Uuid::from_u128(11),
        from: "2020-03-01".parse().unwrap(),
        rules: vec![rule(&["100"], Days::ALL, "14:00", "15:00"), rule(&["103"], Days::ALL, "08:00", "20:00")],
        ..territory.clone()
    };
    let hours = |plans: Vec<Plan>, person: &Person| {
        let table = Table::new(plans, [], []);
        let date: NaiveDate = "2020-03-19".parse().unwrap();
        table
            .windows(person, date)
            .iter()
            .map(|(from, _)| from.with_timezone(&person.tz).format("%H").to_string())
            .collect::<Vec<_>>()
    };
    let here = pupil(SIXTH, Tz::Europe__Paris);
    let elsewhere = Person { school: Some(Uuid::from_u128(77).into()), ..here.clone() };
    assert_eq!(hours(vec![territory.clone(), school.clone(), newer.clone()], &here), ["10"]);
    assert_eq!(hours(vec![newer.clone(), school, territory.clone()], &elsewhere), ["14"]);
    assert_eq!(hours(vec![territory, newer], &here), ["14"]);
}

#[test]
fn what_is_forced_replaces_what_pressure_asks() {
    let who = pupil(SIXTH, Tz::Europe__Paris);
    let now = at("2020-03-19T09:00:00Z");
    let forced = |posture| {
        only(Plan {
            ceiling: Posture::Soft,
            forced: Some((posture, at("2020-03-19T10:00:00Z"))),
            ..plan(Vec::new())
        })
    };
    assert_eq!(forced(Posture::Hard).bites(&who, Posture::Open, now), Posture::Hard);
    assert_eq!(forced(Posture::Open).bites(&who, Posture::Hard, now), Posture::Open);
    // Until its end, and then the load decides again, up to the ceiling.
    assert_eq!(forced(Posture::Open).bites(&who, Posture::Hard, at("2020-03-19T10:00:00Z")), Posture::Soft);
    assert_eq!(Table::default().bites(&who, Posture::Hard, now), Posture::Open);
}

#[test]
fn exceptions_and_suspensions_come_before_plans() {
    let (now, later) = (at("2020-03-19T14:00:00Z"), at("2020-03-19T16:00:00Z"));
    let plan = || {
        plan(vec![rule(&["100"], Days::ALL, "08:00", "09:00"), rule(&["103"], Days::ALL, "08:00", "20:00")])
    };
    let exception = |scope, mef: &[&str]| Exception {
        scope,
        mef: mef.iter().map(|&code| code.to_owned()).collect(),
        profile: None,
        from: now,
        until: later,
        inside: true,
    };
    let class = Uuid::from_u128(5).into();
    let who = Person { class: Some(class), ..pupil(SIXTH, Tz::Europe__Paris) };
    let with = |one: Exception| Table::new([plan()], [], [one]).standing(&who, now);
    let inside = Standing::Inside { until: later };
    let everywhere = ExceptionScope::Territory(Uuid::from_u128(TERRITORY).into());
    assert_eq!(with(exception(ExceptionScope::Class(class), &[])), inside);
    assert_eq!(with(exception(ExceptionScope::School(Uuid::from_u128(SCHOOL).into()), &["100"])), inside);
    assert_eq!(with(exception(everywhere, &[])), inside);
    assert!(matches!(with(exception(everywhere, &["103"])), Standing::Outside { .. }));

    let suspension = |profile| Suspension {
        id: Uuid::from_u128(6),
        scope: Scope::Territory(Uuid::from_u128(TERRITORY).into()),
        profile,
        services: Vec::new(),
        from: now,
        until: later,
        reason: "Priorité aux élèves".to_owned(),
        author: "x".to_owned(),
        kept: vec![Kept::ChildDay],
    };
    let guardian = Person { profile: Some(Profile::Guardian), ..who.clone() };
    let table = Table::new([plan()], [suspension(Profile::Guardian)], []);
    assert_eq!(table.standing(&guardian, now), Standing::Suspended { until: later });
    assert_eq!(table.standing(&guardian, later), Standing::Free, "it lifts itself");
    assert!(matches!(table.standing(&who, now), Standing::Outside { .. }), "pupils are not guardians");
    let of_a_primary_school = Person { primary: true, ..guardian };
    assert!(!matches!(table.standing(&of_a_primary_school, now), Standing::Suspended { .. }));
}

#[test]
fn codes_may_hold_letters_and_years_are_told_apart() {
    let second: Mef = "24722002320".parse().unwrap();
    assert!(
        second.starts_with("247") && second.starts_with("247??????2") && !second.starts_with("247??????1")
    );
    assert!("1001000G11A".parse::<Mef>().unwrap().starts_with("100"));
    for odd in ["", "10", "100100121101", "100é", "100 1"] {
        assert!(odd.parse::<Mef>().is_err(), "{odd}");
    }
}

#[test]
fn a_window_that_passes_midnight_does_not_hide_the_midnight_that_frees() {
    let sunday = Days::of([chrono::Weekday::Sun]);
    let table =
        only(plan(vec![rule(&["100"], sunday, "00:00", "00:15"), rule(&["101"], sunday, "01:45", "00:15")]));
    // The Sunday on which the clock goes back: kept out all day by the others' window, named by no rule on Monday.
    let standing = table.standing(&pupil(SIXTH, Tz::Europe__Paris), at("2026-10-25T15:00:00Z"));
    assert_eq!(standing, Standing::Outside { opens_at: Some(at("2026-10-25T23:00:00Z")) });
}

prop_compose! {
    fn some_rule()(level in 0_usize..3, bits in 1_u8..128, from in 0_u32..96, length in 1_u32..96) -> Rule {
        let quarter = |n: u32| NaiveTime::from_num_seconds_from_midnight_opt(n % 96 * 900, 0).unwrap();
        let days = [0, 1, 2, 3, 4, 5, 6].into_iter().filter(|day| bits & (1 << day) != 0);
        Rule {
            profiles: vec![Profile::Pupil],
            mef: vec![["100", "101", "103"][level].to_owned()],
            primary: None,
            days: Days::of(days.map(|day| chrono::Weekday::try_from(day).unwrap())),
            from: quarter(from),
            to: quarter(from + length),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the plan, around both nights on which clocks change: what is told holds until the instant that is told, and
    /// whoever is outside is not any more at the hour given.
    #[test]
    fn what_is_told_holds(
        rules in proptest::collection::vec(some_rule(), 1..6),
        night in 0_usize..2,
        minutes in 0_i64..4320,
        zone in 0_usize..4,
        level in 0_usize..3,
    ) {
        let table = only(plan(rules));
        let tz = [Tz::Europe__Paris, Tz::Indian__Reunion, Tz::America__Guadeloupe, Tz::Pacific__Noumea][zone];
        let who = pupil([SIXTH, "10110001110", THIRD][level], tz);
        let start = at(["2026-10-24T00:00:00Z", "2027-03-27T00:00:00Z"][night]);
        let now = start + Duration::minutes(minutes);
        match table.standing(&who, now) {
            Standing::Inside { until } => {
                prop_assert!(until > now);
                let last = table.standing(&who, until - Duration::seconds(1));
                prop_assert!(matches!(last, Standing::Inside { .. }), "{:?}", last);
            }
            Standing::Outside { opens_at } => {
                // Every plan leaves somebody's window or a hole within a fortnight, unless somebody's never ends.
                if let Some(opens_at) = opens_at {
                    prop_assert!(opens_at > now);
                    let then = table.standing(&who, opens_at);
                    prop_assert!(!matches!(then, Standing::Outside { .. }), "{:?} at {}", then, opens_at);
                    let before = table.standing(&who, opens_at - Duration::seconds(1));
                    prop_assert!(matches!(before, Standing::Outside { .. }), "{:?} before {}", before, opens_at);
                }
            }
            Standing::Free => {}
            Standing::Suspended { .. } => prop_assert!(false, "nobody is suspended"),
        }
    }
}

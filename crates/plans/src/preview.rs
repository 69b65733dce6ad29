//! Who would be in, at what hour, and what a plan would move. Pure; hours are those of the wall clock.

use std::collections::BTreeMap;

use preau_kernel::Level;
use serde::Serialize;
use utoipa::ToSchema;

use crate::rules::{Day, HourMinute, PlanContent, SlotProfile, SlotWindow};

/// Who there is: pupils by what they and their brothers and sisters study, and guardians.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Pupils, those of a level together.
    pub pupils: Vec<Alike>,
    /// Guardians.
    pub guardians: i64,
}

/// Pupils to whom a plan gives the same hours, whatever it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    /// Their level; none for those of whom it is not known.
    pub level: Option<Level>,
    /// The other levels of their families, the youngest first.
    pub siblings: Vec<Level>,
    /// How many they are.
    pub pupils: i64,
}

/// Pupils of a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LevelCount {
    /// The level; none for those of whom it is not known.
    pub level: Option<Level>,
    /// How many.
    pub pupils: i64,
}

/// From one hour to another, the same people may come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviewSegment {
    /// From.
    pub from: HourMinute,
    /// To; `00:00` is the end of the day.
    pub to: HourMinute,
    /// No window is open: everybody may come.
    pub everybody: bool,
    /// Pupils who may.
    pub pupils: i64,
    /// Of which levels.
    pub levels: Vec<LevelCount>,
    /// Guardians who may.
    pub guardians: i64,
}

/// A day of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviewDay {
    /// The day.
    pub day: Day,
    /// Its hours, in order, the whole day.
    pub segments: Vec<PreviewSegment>,
}

/// Something that whoever wrote the plan may not have meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviewFlaw {
    /// `hole`: the level has hours on other days and none on this one, so it comes when it likes; `overlap`: two of its
    /// windows meet; `unknown-level`: nobody here studies at this level.
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// On which day; on all when none is said.
    pub day: Option<Day>,
    /// Which level; guardians when none is said.
    pub level: Option<Level>,
}

/// An hour of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviewMoment {
    /// The day.
    pub day: Day,
    /// From.
    pub from: HourMinute,
    /// To.
    pub to: HourMinute,
    /// Pupils who may come.
    pub pupils: i64,
}

/// What a plan would change for a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LevelMove {
    /// The level; none for those of whom it is not known.
    pub level: Option<Level>,
    /// Pupils of it.
    pub pupils: i64,
    /// Minutes a week in which they may come, as things are.
    pub minutes_before: i64,
    /// Minutes a week in which they could.
    pub minutes_after: i64,
    /// Minutes a week that would open or close to them.
    pub minutes_moved: i64,
}

/// Who would be in, at what hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SlotPreview {
    /// All pupils.
    pub pupils: i64,
    /// All guardians.
    pub guardians: i64,
    /// The days on which the plan has windows.
    pub days: Vec<PreviewDay>,
    /// The fullest hour among those in which somebody is kept out.
    pub fullest: Option<PreviewMoment>,
    /// What may not have been meant.
    pub flaws: Vec<PreviewFlaw>,
    /// Pupils whose hours would change.
    pub moved: i64,
    /// By level, what would change, where something does.
    pub moves: Vec<LevelMove>,
}

const DAY: u16 = 24 * 60;

fn on(plan: &PlanContent, day: Day) -> impl Iterator<Item = &SlotWindow> {
    plan.windows.iter().filter(move |window| window.is_on(day))
}

/// Whether the minute is shared out among pupils. While it is not, no pupil is kept out.
fn is_shared((day, minute): (Day, u16), plan: &PlanContent) -> bool {
    on(plan, day).any(|window| window.profile == SlotProfile::Pupil && window.holds(minute))
}

/// A pupil whom no window of the day names is never kept out, whatever a brother's windows say.
fn pupil_in(plan: &PlanContent, at @ (day, minute): (Day, u16), who: &Alike) -> bool {
    let own = |window: &SlotWindow| window.is_for_pupil(who.level);
    let lent = |window: &SlotWindow| {
        plan.siblings && who.siblings.iter().any(|level| window.is_for_pupil(Some(*level)))
    };
    !is_shared(at, plan)
        || !on(plan, day).any(own)
        || on(plan, day).any(|window| window.holds(minute) && (own(window) || lent(window)))
}

/// Guardians are kept out by a day that is theirs alone, too.
fn guardian_in(plan: &PlanContent, at @ (day, minute): (Day, u16)) -> bool {
    let own = |window: &SlotWindow| window.profile == SlotProfile::Guardian;
    let free = !is_shared(at, plan) && on(plan, day).any(|window| !own(window));
    free || !on(plan, day).any(own) || on(plan, day).any(|window| own(window) && window.holds(minute))
}

/// The minutes of a day at which something may change.
fn edges<'a>(plans: impl IntoIterator<Item = &'a PlanContent>, day: Day) -> Vec<u16> {
    let mut edges = vec![0, DAY];
    for window in plans.into_iter().flat_map(|plan| &plan.windows).filter(|window| window.is_on(day)) {
        edges.extend([window.from.minutes(), window.to.as_end()]);
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn spans(edges: &[u16]) -> impl Iterator<Item = (u16, u16)> {
    edges.iter().copied().zip(edges.iter().copied().skip(1))
}

fn day_of(plan: &PlanContent, roster: &Roster, day: Day) -> PreviewDay {
    let mut segments: Vec<PreviewSegment> = Vec::new();
    for (from, to) in spans(&edges([plan], day)) {
        let guardian = guardian_in(plan, (day, from));
        let mut by_level: BTreeMap<Option<Level>, i64> = BTreeMap::new();
        for who in roster.pupils.iter().filter(|who| pupil_in(plan, (day, from), who)) {
            *by_level.entry(who.level).or_default() += who.pupils;
        }
        let levels: Vec<LevelCount> =
            by_level.into_iter().map(|(level, pupils)| LevelCount { level, pupils }).collect();
        let segment = PreviewSegment {
            from: HourMinute::of_minutes(from),
            to: HourMinute::of_minutes(to),
            everybody: guardian && !is_shared((day, from), plan),
            pupils: levels.iter().map(|one| one.pupils).sum(),
            levels,
            guardians: if guardian { roster.guardians } else { 0 },
        };
        match segments.last_mut() {
            Some(last)
                if last.everybody == segment.everybody
                    && last.levels == segment.levels
                    && last.guardians == segment.guardians =>
            {
                last.to = segment.to;
            }
            _ => segments.push(segment),
        }
    }
    PreviewDay { day, segments }
}

fn flaws(plan: &PlanContent, roster: &Roster, days: &[Day]) -> Vec<PreviewFlaw> {
    let mut flaws = Vec::new();
    let mut named: Vec<Level> =
        plan.windows.iter().flat_map(|window| window.levels.iter().copied()).collect();
    named.sort_unstable();
    named.dedup();
    for level in &named {
        let mine = |window: &&SlotWindow| window.is_for_pupil(Some(*level));
        for day in days {
            let mut today: Vec<_> =
                plan.windows.iter().filter(mine).filter(|window| window.is_on(*day)).collect();
            if today.is_empty() {
                flaws.push(PreviewFlaw { kind: "hole", day: Some(*day), level: Some(*level) });
            }
            today.sort_by_key(|window| window.from);
            if today.iter().zip(today.iter().skip(1)).any(|(one, next)| next.from.minutes() < one.to.as_end())
            {
                flaws.push(PreviewFlaw { kind: "overlap", day: Some(*day), level: Some(*level) });
            }
        }
        if !roster.pupils.iter().any(|who| who.level == Some(*level) && who.pupils > 0) {
            flaws.push(PreviewFlaw { kind: "unknown-level", day: None, level: Some(*level) });
        }
    }
    flaws
}

/// A row for all pupils of a level to whom the same happens; a family's common hours may make several of one level.
fn moves(plan: &PlanContent, before: Option<&PlanContent>, roster: &Roster) -> Vec<LevelMove> {
    let nothing = PlanContent { windows: Vec::new(), ..plan.clone() };
    let before = before.unwrap_or(&nothing);
    let mut rows: BTreeMap<(Option<Level>, [i64; 3]), i64> = BTreeMap::new();
    for who in &roster.pupils {
        let (mut was_in, mut is_in, mut moved) = (0, 0, 0);
        for day in Day::ALL {
            for (from, to) in spans(&edges([plan, before], day)) {
                let length = i64::from(to - from);
                let (was, is) = (pupil_in(before, (day, from), who), pupil_in(plan, (day, from), who));
                was_in += if was { length } else { 0 };
                is_in += if is { length } else { 0 };
                moved += if was != is { length } else { 0 };
            }
        }
        if moved > 0 {
            *rows.entry((who.level, [was_in, is_in, moved])).or_default() += who.pupils;
        }
    }
    rows.into_iter()
        .map(|((level, [minutes_before, minutes_after, minutes_moved]), pupils)| LevelMove {
            level,
            pupils,
            minutes_before,
            minutes_after,
            minutes_moved,
        })
        .collect()
}

/// What `plan` would do among the people of `roster`, against the plan that holds `before` it.
pub fn preview(plan: &PlanContent, before: Option<&PlanContent>, roster: &Roster) -> SlotPreview {
    let named: Vec<Day> =
        Day::ALL.into_iter().filter(|day| plan.windows.iter().any(|window| window.is_on(*day))).collect();
    let days: Vec<PreviewDay> = named.iter().map(|day| day_of(plan, roster, *day)).collect();
    let fullest = days
        .iter()
        .flat_map(|day| {
            day.segments.iter().filter(|segment| !segment.everybody).map(|segment| (day.day, segment))
        })
        // The first of the fullest.
        .rev()
        .max_by_key(|(_, segment)| segment.pupils)
        .map(|(day, segment)| PreviewMoment {
            day,
            from: segment.from,
            to: segment.to,
            pupils: segment.pupils,
        });
    let moves = moves(plan, before, roster);
    SlotPreview {
        pupils: roster.pupils.iter().map(|who| who.pupils).sum(),
        guardians: roster.guardians,
        fullest,
        flaws: flaws(plan, roster, &named),
        moved: moves.iter().map(|moved| moved.pupils).sum(),
        moves,
        days,
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            (fullest.day, fullest.from.to_string(), fullest.pupils),
            (Day::Mon, "08:00".to_owned(), 235)
        );
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
            let of =
                |level| found.levels.iter().find(|one| one.level == Some(level)).map_or(0, |one| one.pupils);
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
}

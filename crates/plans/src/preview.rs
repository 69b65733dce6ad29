//! Who would be in, at what hour, and what a plan would move. Pure; hours are those of the wall clock.

use preau_kernel::Level;
use serde::Serialize;
use utoipa::ToSchema;

use crate::rules::{Day, HourMinute, PlanContent, SlotProfile, SlotWindow};

/// Who there is: pupils by level, and guardians.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Pupils of each level; `None`: of a level that nobody knows.
    pub pupils: Vec<(Option<Level>, i64)>,
    /// Guardians.
    pub guardians: i64,
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

/// Whether windows let somebody in at a minute of a day: whose windows these are is told by `mine`. Nobody is kept out
/// while no window of the plan is open, nor on a day on which the plan does not name them.
fn is_in(windows: &[SlotWindow], day: Day, minute: u16, mine: impl Fn(&SlotWindow) -> bool) -> bool {
    let today = || windows.iter().filter(|window| window.is_on(day));
    let named = today().any(&mine);
    let open = today().any(|window| window.holds(minute));
    !named || !open || today().any(|window| mine(window) && window.holds(minute))
}

fn pupil_in(plan: &PlanContent, day: Day, minute: u16, level: Option<Level>) -> bool {
    is_in(&plan.windows, day, minute, |window| window.is_for_pupil(level))
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
        let open = plan.windows.iter().any(|window| window.is_on(day) && window.holds(from));
        let levels: Vec<LevelCount> = roster
            .pupils
            .iter()
            .filter(|(level, _)| pupil_in(plan, day, from, *level))
            .map(|(level, pupils)| LevelCount { level: *level, pupils: *pupils })
            .collect();
        let guardian = is_in(&plan.windows, day, from, |window| window.profile == SlotProfile::Guardian);
        let segment = PreviewSegment {
            from: HourMinute::of_minutes(from),
            to: HourMinute::of_minutes(to),
            everybody: !open,
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
        if !roster.pupils.iter().any(|(known, pupils)| *known == Some(*level) && *pupils > 0) {
            flaws.push(PreviewFlaw { kind: "unknown-level", day: None, level: Some(*level) });
        }
    }
    flaws
}

fn moves(plan: &PlanContent, before: Option<&PlanContent>, roster: &Roster) -> Vec<LevelMove> {
    let nothing = PlanContent { windows: Vec::new(), ..plan.clone() };
    let before = before.unwrap_or(&nothing);
    let of_level = |(level, pupils): &(Option<Level>, i64)| {
        let mut moved = LevelMove {
            level: *level,
            pupils: *pupils,
            minutes_before: 0,
            minutes_after: 0,
            minutes_moved: 0,
        };
        for day in Day::ALL {
            for (from, to) in spans(&edges([plan, before], day)) {
                let length = i64::from(to - from);
                let (was, is) = (pupil_in(before, day, from, *level), pupil_in(plan, day, from, *level));
                moved.minutes_before += if was { length } else { 0 };
                moved.minutes_after += if is { length } else { 0 };
                moved.minutes_moved += if was != is { length } else { 0 };
            }
        }
        moved
    };
    roster.pupils.iter().map(of_level).filter(|moved| moved.minutes_moved > 0).collect()
}

/// What `plan` would do among the people of `roster`, against the plan that holds `before` it.
///
/// The rule for brothers and sisters is left out of the counts: it lets some families in twice.
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
        pupils: roster.pupils.iter().map(|(_, pupils)| pupils).sum(),
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
    use super::*;
    use crate::rules::tests::{plan, window};

    fn roster() -> Roster {
        let pupils =
            [(Level::Sixieme, 120), (Level::Cinquieme, 110), (Level::Quatrieme, 100), (Level::Troisieme, 90)];
        let mut pupils: Vec<_> = pupils.into_iter().map(|(level, pupils)| (Some(level), pupils)).collect();
        pupils.push((None, 5));
        Roster { pupils, guardians: 700 }
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
        assert_eq!(at("17:00"), (false, 5, 700), "only those whom the plan does not name come with them");
    }
}

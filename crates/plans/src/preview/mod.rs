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
mod tests;

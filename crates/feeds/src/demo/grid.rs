//! The week: lessons without anybody in two places at once.

use super::codes::{Kind, Level, SECOND_LANGUAGE, subject_of};
use super::dice::Dice;
use super::model::{Division, Lesson, Neighbourhood};

/// Starts of the hours of a collège or lycée, in minutes after midnight: 8:00 to 17:30 with breaks and lunch.
const HOURS: [u32; 8] = [480, 540, 610, 670, 810, 870, 940, 995];
const HOUR: u32 = 55;
/// Half-days of a primary school: starts and lengths.
const BLOCKS: [(u32, u32); 4] = [(510, 90), (615, 90), (810, 90), (915, 75)];
const WEDNESDAY: u32 = 3;

/// Plans the week of every school, then repeats Monday on the days beyond Friday.
pub(super) fn plan(hood: &mut Neighbourhood, days: u32, dice: &mut Dice) {
    for school in 0..hood.schools.len() {
        match hood.schools.get(school).map(|about| about.kind) {
            Some(Kind::Primary) => primary(hood, school, dice),
            Some(_) => secondary(hood, school, dice),
            None => {}
        }
    }
    let monday = |lesson: &&Lesson| lesson.day == 1;
    for day in 6..=days.min(7) {
        let again: Vec<Lesson> = hood.lessons.iter().filter(monday).map(|lesson| on(lesson, day)).collect();
        hood.lessons.extend(again);
    }
}

fn on(lesson: &Lesson, day: u32) -> Lesson {
    Lesson {
        day,
        room: lesson.room.clone(),
        school: lesson.school,
        division: lesson.division,
        subject: lesson.subject,
        teacher: lesson.teacher,
        start: lesson.start,
        minutes: lesson.minutes,
        at_distance: lesson.at_distance,
        cancelled: false,
    }
}

/// One teacher, one class, mornings and afternoons but Wednesdays.
fn primary(hood: &mut Neighbourhood, school: usize, dice: &mut Dice) {
    let Some(about) = hood.schools.get(school) else { return };
    let classes: Vec<(&'static Level, String)> =
        about.classes.iter().map(|class| (class.level, class.room.clone())).collect();
    for (class, (level, room)) in classes.into_iter().enumerate() {
        let Some(teacher) = hood.staff.iter().position(|staff| staff.head_of.contains(&(school, class)))
        else {
            continue;
        };
        let mut subjects: Vec<&'static str> = level
            .programme
            .iter()
            .flat_map(|(code, hours)| std::iter::repeat_n(*code, usize::try_from(*hours).unwrap_or(0)))
            .collect();
        dice.shuffle(&mut subjects);
        let slots =
            [1, 2, 4, 5].into_iter().flat_map(|day| BLOCKS.map(|(start, minutes)| (day, start, minutes)));
        for ((day, start, minutes), subject) in slots.zip(subjects) {
            let division = Division::Class(class);
            teaches(hood, teacher, (school, division, subject));
            hood.lessons.push(Lesson {
                school,
                division,
                subject,
                teacher,
                day,
                start,
                minutes,
                room: subject_of(subject)
                    .and_then(|about| about.room)
                    .filter(|room| *room == "Gymnase")
                    .unwrap_or(&room)
                    .to_owned(),
                at_distance: false,
                cancelled: false,
            });
        }
    }
}

/// Second languages first, for all classes of a level at once; then class by class, on the emptiest day.
fn secondary(hood: &mut Neighbourhood, school: usize, dice: &mut Dice) {
    let Some(about) = hood.schools.get(school) else { return };
    let classes: Vec<(&'static Level, String)> =
        about.classes.iter().map(|class| (class.level, class.room.clone())).collect();
    let groups: Vec<(&'static str, &'static str)> =
        about.groups.iter().map(|group| (group.subject, group.level)).collect();
    let mut taken: Vec<Vec<(u32, u32)>> = vec![Vec::new(); classes.len()];
    let mut levels: Vec<&'static Level> = Vec::new();
    for (level, _) in &classes {
        if !levels.iter().any(|known| known.name == level.name) {
            levels.push(level);
        }
    }
    for level in levels {
        let members: Vec<usize> = (0..classes.len())
            .filter(|at| classes.get(*at).is_some_and(|class| class.0.name == level.name))
            .collect();
        let teams: Vec<(usize, &'static str, usize)> = groups
            .iter()
            .enumerate()
            .filter(|(_, (_, of))| *of == level.name)
            .filter_map(|(group, (subject, _))| {
                Some((group, *subject, teacher_for(hood, school, subject, group)?))
            })
            .collect();
        let hours =
            level.programme.iter().find(|(code, _)| *code == SECOND_LANGUAGE).map_or(0, |(_, hours)| *hours);
        for _ in 0..hours {
            let teachers: Vec<usize> = teams.iter().map(|(_, _, teacher)| *teacher).collect();
            let Some(slot) = free_slot(hood, &taken, &members, &teachers, &[], dice) else { break };
            for member in &members {
                taken.get_mut(*member).into_iter().for_each(|taken| taken.push(slot));
            }
            for (rank, (group, subject, teacher)) in teams.iter().enumerate() {
                place(
                    hood,
                    school,
                    Division::Group(*group),
                    subject,
                    *teacher,
                    slot,
                    &format!("C2{:02}", rank + 1),
                    dice,
                );
            }
        }
    }
    for (class, (level, room)) in classes.iter().enumerate() {
        for (rank, (subject, hours)) in
            level.programme.iter().filter(|(code, _)| *code != SECOND_LANGUAGE).enumerate()
        {
            let Some(teacher) = teacher_for(hood, school, subject, class + rank) else { continue };
            if rank == 0 {
                hood.staff.get_mut(teacher).into_iter().for_each(|staff| staff.head_of.push((school, class)));
            }
            let mut days = Vec::new();
            for _ in 0..*hours {
                let Some(slot) = free_slot(hood, &taken, &[class], &[teacher], &days, dice) else { break };
                days.push(slot.0);
                taken.get_mut(class).into_iter().for_each(|taken| taken.push(slot));
                let room = subject_of(subject).and_then(|about| about.room).unwrap_or(room);
                place(hood, school, Division::Class(class), subject, teacher, slot, room, dice);
            }
        }
    }
}

/// The teacher of the discipline with the fewest hours given in this school so far.
fn teacher_for(hood: &Neighbourhood, school: usize, subject: &str, turn: usize) -> Option<usize> {
    let discipline = subject_of(subject)?.discipline;
    let fits = |staff: &&(usize, &super::model::Staff)| {
        staff.1.discipline == discipline
            && staff.1.posts.iter().any(|post| post.school == school && post.code == "ENS")
    };
    let team: Vec<(usize, &super::model::Staff)> = hood.staff.iter().enumerate().collect();
    let mut team: Vec<(usize, usize)> =
        team.iter().filter(fits).map(|(at, staff)| (staff.busy.len(), *at)).collect();
    team.sort_by_key(|(busy, at)| (*busy, at.wrapping_add(turn) % 7, *at));
    team.first().map(|(_, at)| *at)
}

/// A slot free for all of these, earliest on the day when they have least, and not on a day that has the subject already
/// unless there is no other.
fn free_slot(
    hood: &Neighbourhood,
    taken: &[Vec<(u32, u32)>],
    classes: &[usize],
    teachers: &[usize],
    avoid: &[u32],
    dice: &mut Dice,
) -> Option<(u32, u32)> {
    let turn = dice.below(5);
    let mut free = Vec::new();
    for day in 1..=5 {
        let load = classes
            .iter()
            .filter_map(|class| taken.get(*class))
            .flatten()
            .filter(|slot| slot.0 == day)
            .count();
        for (slot, _) in (0_u32..).zip(HOURS).take(if day == WEDNESDAY { 4 } else { 8 }) {
            let classes_free = classes
                .iter()
                .filter_map(|class| taken.get(*class))
                .all(|taken| !taken.contains(&(day, slot)));
            let teachers_free = teachers
                .iter()
                .filter_map(|at| hood.staff.get(*at))
                .all(|staff| !staff.busy.contains(&(day, slot)));
            if classes_free && teachers_free {
                free.push(((avoid.contains(&day), load, slot, (day + turn) % 5), (day, slot)));
            }
        }
    }
    free.into_iter().min().map(|(_, slot)| slot)
}

fn teaches(hood: &mut Neighbourhood, teacher: usize, what: (usize, Division, &'static str)) {
    if let Some(staff) = hood.staff.get_mut(teacher).filter(|staff| !staff.teaches.contains(&what)) {
        staff.teaches.push(what);
    }
}

#[expect(clippy::too_many_arguments, reason = "a lesson is made of all of these, once")]
fn place(
    hood: &mut Neighbourhood,
    school: usize,
    division: Division,
    subject: &'static str,
    teacher: usize,
    slot: (u32, u32),
    room: &str,
    dice: &mut Dice,
) {
    let (day, hour) = slot;
    let start = usize::try_from(hour).ok().and_then(|hour| HOURS.get(hour)).copied().unwrap_or(480);
    teaches(hood, teacher, (school, division, subject));
    hood.staff.get_mut(teacher).into_iter().for_each(|staff| staff.busy.push(slot));
    let (at_distance, cancelled) = (dice.chance(5), dice.chance(5));
    let room = if at_distance { "À distance" } else { room }.to_owned();
    hood.lessons.push(Lesson {
        school,
        division,
        subject,
        teacher,
        day,
        start,
        minutes: HOUR,
        room,
        at_distance,
        cancelled,
    });
}

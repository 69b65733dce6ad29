//! Pure decisions about lessons, the twins of `app/src/lessons.ts`.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::{
    time::minute_of_day,
    view::{Lesson, Subject},
};

/// A lesson beside the clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    Past,
    Live,
    Later,
}

pub(crate) fn phase(lesson: &Lesson, now: DateTime<Utc>) -> Phase {
    if lesson.ends_at <= now {
        Phase::Past
    } else if lesson.starts_at <= now {
        Phase::Live
    } else {
        Phase::Later
    }
}

/// One of eight quiet hues for a subject: a small hash of its code (most end in zeros), or of its name.
pub(crate) fn hue(subject: &Subject) -> u32 {
    let code = if subject.code.is_empty() { &subject.label } else { &subject.code };
    code.bytes().fold(7, |hash, byte| (hash * 31 + u32::from(byte)) % 65_521) % 8
}

/// A cell of the week: the lessons that start in its row, over `span` rows.
#[derive(Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) lessons: Vec<&'a Lesson>,
    pub(crate) span: usize,
}

/// A row of the week, opened by an hour at which some lesson starts. `None` where a cell above reaches down.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) minute: u32,
    pub(crate) cells: Vec<Option<Cell<'a>>>,
}

/// The week as a table, one column a day. Lessons of one day that overlap (half-groups) share a cell.
pub(crate) fn grid<'a>(days: &[(NaiveDate, Vec<&'a Lesson>)], tz: Tz) -> Vec<Row<'a>> {
    let starts_of = |lesson: &Lesson| minute_of_day(lesson.starts_at, tz);
    let mut starts: Vec<u32> =
        days.iter().flat_map(|(_, lessons)| lessons.iter().map(|l| starts_of(l))).collect();
    starts.sort_unstable();
    starts.dedup();
    let mut rows: Vec<Row<'a>> = starts.iter().map(|&minute| Row { minute, cells: Vec::new() }).collect();

    for (_, lessons) in days {
        let mut sorted = lessons.clone();
        sorted.sort_by_key(|l| l.starts_at);
        let mut left = sorted.into_iter().peekable();
        let mut row = 0;
        while row < rows.len() {
            let mut end = row + 1;
            let mut held = Vec::new();
            while let Some(lesson) = left.next_if(|l| starts.partition_point(|&m| m < starts_of(l)) < end) {
                let stop = minute_of_day(lesson.ends_at, tz).max(starts_of(lesson) + 1);
                end = end.max(starts.partition_point(|&m| m < stop));
                held.push(lesson);
            }
            let mut cell = Some(Cell { lessons: held, span: end - row });
            for covered in rows.iter_mut().take(end).skip(row) {
                covered.cells.push(cell.take());
            }
            row = end;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(from: &str, to: &str) -> Lesson {
        Lesson {
            id: format!("{from}-{to}"),
            subject: Subject { code: "AGL1".into(), label: "Anglais".into() },
            teachers: vec![],
            audience: vec![],
            room: None,
            starts_at: format!("2026-11-23T{from}:00Z").parse().unwrap(),
            ends_at: format!("2026-11-23T{to}:00Z").parse().unwrap(),
            at_distance: false,
            cancelled: false,
        }
    }

    #[test]
    fn a_lesson_is_on_from_its_first_instant_to_just_before_its_last() {
        let lesson = lesson("07:55", "08:50");
        assert_eq!(phase(&lesson, lesson.starts_at), Phase::Live);
        assert_eq!(phase(&lesson, lesson.ends_at), Phase::Past);
    }

    #[test]
    fn every_row_is_as_wide_as_the_head_and_no_lesson_is_lost() {
        let monday = [lesson("07:00", "08:55"), lesson("08:00", "09:55"), lesson("09:00", "09:55")];
        let tuesday = [lesson("10:00", "10:55"), lesson("07:30", "07:55")];
        let day = |d: &str| d.parse::<NaiveDate>().unwrap();
        let days = [
            (day("2026-11-23"), monday.iter().collect()),
            (day("2026-11-24"), tuesday.iter().collect()),
            (day("2026-11-25"), vec![]),
        ];
        let rows = grid(&days, Tz::UTC);
        for column in 0..days.len() {
            let spans: usize = rows.iter().filter_map(|r| r.cells[column].as_ref()).map(|c| c.span).sum();
            assert_eq!(spans, rows.len());
        }
        let shown: usize = rows.iter().flat_map(|r| r.cells.iter().flatten()).map(|c| c.lessons.len()).sum();
        assert_eq!(shown, 5);
    }

    #[test]
    fn hues_match_the_ones_that_the_program_computes() {
        let of = |code: &str| hue(&Subject { code: code.into(), label: "é".into() });
        assert_eq!((of("030001"), of("070300"), of("é"), of("")), (7, 5, 5, 5));
    }
}

//! « Semaine »: one day at a time on a phone, a table on a wide screen, A4 landscape on paper.

use askama::Template;
use chrono::{Datelike as _, NaiveDate};

use super::{
    Carried, Frame, Page, Screen, Site,
    lesson::{Drawing, LessonText, Reader},
};
use crate::{
    lessons::grid,
    time,
    view::{Home, Lesson, Relation, School, Timetable, View},
    words::{fill, zone_name},
};

#[derive(Template)]
#[template(path = "week.html")]
struct WeekPage<'a> {
    frame: Frame<'a>,
    who: Vec<Whose>,
    heading: String,
    previous: String,
    following: String,
    days: Vec<DayText>,
    chosen: ChosenDay,
    rows: Vec<RowText>,
    empty: Option<&'static str>,
    age: String,
    zone: String,
    data: String,
}

struct Whose {
    href: String,
    name: String,
    school: String,
    current: bool,
}

struct DayText {
    href: String,
    long: String,
    head: String,
    name: String,
    number: String,
    current: bool,
    today: bool,
}

struct ChosenDay {
    long: String,
    lessons: Vec<LessonText>,
}

struct RowText {
    label: String,
    cells: Vec<CellText>,
}

struct CellText {
    span: usize,
    lessons: Vec<LessonText>,
}

/// Whose week, and from which day on.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The school.
    pub school: &'a School,
    /// The person, in that school.
    pub view: &'a View,
    /// The day asked for.
    pub date: NaiveDate,
}

impl<'a> Chosen<'a> {
    /// The person and school asked for, or the first one that the account shows.
    pub fn of(home: &'a Home, date: NaiveDate, school: Option<&str>, person: Option<&str>) -> Option<Self> {
        let all = || home.schools.iter().flat_map(|s| s.views.iter().map(move |v| (s, v)));
        let named =
            all().find(|(s, v)| Some(s.id.as_str()) == school && Some(v.person.id.as_str()) == person);
        named.or_else(|| all().next()).map(|(school, view)| Self { school, view, date })
    }

    /// The Monday from which the timetable is read.
    pub fn monday(&self) -> NaiveDate {
        time::monday_of(self.date)
    }
}

/// A week of one person. `table` starts on the chosen day's Monday; `carried` is what `home` and `table` were read from.
pub fn week(
    site: &Site<'_>,
    home: &Home,
    chosen: Chosen<'_>,
    table: &Timetable,
    carried: (Carried<'_>, Carried<'_>),
) -> Page {
    let w = site.lang.words();
    let Chosen { school, view, .. } = chosen;
    let tz = time::zone(&school.tz);
    let monday = chosen.monday();
    let drawing = Drawing { w, tz, now: site.now, reader: Reader::of(school, view) };
    let choice = home.schools.iter().map(|s| s.views.len()).sum::<usize>() > 1;
    let address = |date: NaiveDate, school: &School, view: &View| {
        let query =
            if choice { format!("?ecole={}&personne={}", school.id, view.person.id) } else { String::new() };
        format!("/semaine/{date}{query}")
    };

    // Monday to Friday, and the week-end days on which there is a lesson.
    let days: Vec<(NaiveDate, Vec<&Lesson>)> = (0..7)
        .map(|n| {
            let date = time::plus(monday, n);
            let day = table.days.iter().find(|day| day.date == date);
            (date, day.map(|day| day.lessons.iter().collect()).unwrap_or_default())
        })
        .filter(|(date, lessons): &(NaiveDate, Vec<&Lesson>)| {
            date.weekday().num_days_from_monday() < 5 || !lessons.is_empty()
        })
        .collect();
    let date = if days.iter().any(|(day, _)| *day == chosen.date) { chosen.date } else { monday };
    let shown =
        days.iter().find(|(day, _)| *day == date).map(|(_, lessons)| lessons.as_slice()).unwrap_or_default();
    let last = days.last().map_or(monday, |(day, _)| *day);
    let today = time::day_of(site.now, tz);

    let page = WeekPage {
        who: people(home, school, view, |s, v| address(chosen.date, s, v)),
        heading: time::week_title(w, monday, last),
        previous: address(time::plus(monday, -7), school, view),
        following: address(time::plus(monday, 7), school, view),
        days: days
            .iter()
            .map(|(day, _)| {
                let (name, number) = time::short_day(w, *day);
                DayText {
                    href: address(*day, school, view),
                    long: time::capital(&time::long_day(w, *day)),
                    head: time::day_head(w, *day),
                    name,
                    number,
                    current: *day == date,
                    today: *day == today,
                }
            })
            .collect(),
        chosen: ChosenDay {
            long: time::capital(&time::long_day(w, date)),
            lessons: shown.iter().map(|lesson| drawing.lesson(lesson)).collect(),
        },
        rows: grid(&days, tz)
            .into_iter()
            .map(|row| RowText {
                label: format!("{}:{:02}", row.minute / 60, row.minute % 60),
                cells: row
                    .cells
                    .into_iter()
                    .flatten()
                    .map(|cell| CellText {
                        span: cell.span,
                        lessons: cell.lessons.into_iter().map(|lesson| drawing.lesson(lesson)).collect(),
                    })
                    .collect(),
            })
            .collect(),
        empty: days.iter().all(|(_, lessons)| lessons.is_empty()).then_some(w.week_empty),
        age: super::data_time(w, site.now, tz),
        zone: zone_name(w, &school.tz)
            .map(|city| fill(w.school_zone, &[("city", &city)]))
            .unwrap_or_default(),
        data: super::answer_block(site, "home-data", carried.0, &[])
            + &super::answer_block(
                site,
                "week-data",
                carried.1,
                &[("school", &school.id), ("person", &view.person.id)],
            ),
        frame: Frame::shell(site, w.title_week, Screen::Week, home),
    };
    Page::draw(&page)
}

fn people(home: &Home, school: &School, view: &View, href: impl Fn(&School, &View) -> String) -> Vec<Whose> {
    let several = home.schools.len() > 1;
    home.schools
        .iter()
        .flat_map(|s| s.views.iter().map(move |v| (s, v)))
        .map(|(s, v)| {
            let child = v.relation == Relation::Child;
            Whose {
                href: href(s, v),
                name: if child { v.person.first_name.clone() } else { s.name.clone() },
                school: if child && several { s.name.clone() } else { String::new() },
                current: s.id == school.id && v.person.id == view.person.id,
            }
        })
        .collect()
}

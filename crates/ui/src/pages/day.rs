//! « Accueil »: where am I expected now, where next, and what is left of the day.

use askama::Template;

use super::{
    Carried, Frame, Page, Screen, Site,
    lesson::{Drawing, LessonText, Reader},
};
use crate::{
    time,
    view::{Home, Lesson, Relation, School, View},
    words::{Words, fill, zone_name},
};

#[derive(Template)]
#[template(path = "day.html")]
struct DayPage<'a> {
    frame: Frame<'a>,
    first_name: String,
    date: String,
    age: String,
    empty: Option<&'static str>,
    days: Vec<OneDay>,
    data: String,
}

struct OneDay {
    /// One below the title, where there is one.
    heading: &'static str,
    title: String,
    note: String,
    zone: String,
    week: String,
    moments: Vec<LessonText>,
    lessons: Vec<LessonText>,
}

/// The day of everyone this account shows; `carried` is what `home` was read from.
pub fn day(site: &Site<'_>, home: &Home, carried: Carried<'_>) -> Page {
    let w = site.lang.words();
    let frame = Frame::shell(site, w.title_day, Screen::Day, home);
    let views = home.schools.iter().map(|school| school.views.len()).sum::<usize>();
    let tz = home.schools.first().map_or("Europe/Paris", |school| school.tz.as_str());
    let days = home
        .schools
        .iter()
        .flat_map(|school| school.views.iter().map(move |view| (school, view)))
        .map(|(school, view)| one_day(site, home, school, view, views > 1))
        .collect();
    let empty = if home.schools.is_empty() { Some(w.no_school) } else { (views == 0).then_some(w.no_view) };
    Page::draw(&DayPage {
        first_name: home.user.first_name.clone(),
        date: dateline(w, frame.today, home, views),
        age: super::data_time(w, home.generated_at, time::zone(tz)),
        empty,
        days,
        data: super::answer_block(site, "home-data", carried, &[]),
        frame,
    })
}

/// « Lundi 23 novembre · 3e B »: a pupil of one school has nothing else to be told apart by.
fn dateline(w: &Words, today: chrono::NaiveDate, home: &Home, views: usize) -> String {
    let mut line = time::capital(&time::long_day(w, today));
    if views == 1
        && let Some(view) = home.schools.iter().find_map(|school| school.views.first())
        && view.relation == Relation::Own
    {
        for class in &view.classes {
            line.push_str(" · ");
            line.push_str(&class.replace(' ', "\u{a0}"));
        }
    }
    line
}

fn one_day(site: &Site<'_>, home: &Home, school: &School, view: &View, choice: bool) -> OneDay {
    let w = site.lang.words();
    let drawing = Drawing { w, tz: time::zone(&school.tz), now: site.now, reader: Reader::of(school, view) };
    let alone = home.schools.len() == 1;
    let classes = if view.classes.is_empty() {
        String::new()
    } else {
        fill(w.class_of, &[("classes", &view.classes.join(", "))])
    };
    let (title, note) = match view.relation {
        Relation::Child => {
            let school = if alone { "" } else { school.name.as_str() };
            let note =
                [classes.as_str(), school].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
            (fill(w.child_day, &[("name", &view.person.first_name)]), note.join(" · "))
        }
        Relation::Own if alone => (String::new(), String::new()),
        Relation::Own => (school.name.clone(), classes),
    };
    let zone =
        zone_name(w, &school.tz).map(|city| fill(w.school_zone, &[("city", &city)])).unwrap_or_default();
    let moments: Vec<&Lesson> = [&view.now, &view.next].into_iter().flatten().collect();
    let query =
        if choice { format!("?ecole={}&personne={}", school.id, view.person.id) } else { String::new() };
    OneDay {
        heading: if title.is_empty() { "h2" } else { "h3" },
        title,
        note,
        zone,
        week: format!("/semaine/{}{query}", school.date),
        moments: moments.into_iter().map(|lesson| drawing.lesson(lesson)).collect(),
        lessons: view.today.iter().map(|lesson| drawing.lesson(lesson)).collect(),
    }
}

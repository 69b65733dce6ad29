//! « Accueil »: where am I expected now, where next, and what is left of the day.

use askama::Template;
use chrono::{DateTime, Utc};

use super::{
    Carried, Frame, Page, Screen, Site,
    lesson::{Drawing, LessonText, Reader},
};
use crate::{
    time,
    view::{Home, Lesson, Relation, School, SlotStanding, View},
    words::{Words, fill, zone_name},
};

#[derive(Template)]
#[template(path = "day.html")]
struct DayPage<'a> {
    frame: Frame<'a>,
    first_name: String,
    date: String,
    age: String,
    slots: Vec<String>,
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

/// The day of everyone this account shows; `carried` is what `home` was read from. `slots`: the reader's hours, where a plan
/// holds.
pub fn day(site: &Site<'_>, home: &Home, carried: Carried<'_>, slots: &[SlotStanding]) -> Page {
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
        slots: slot_lines(w, site.now, home, slots),
        empty,
        days,
        data: super::answer_block(site, "home-data", carried, &[])
            + &super::data_block("slot-data", &[], &serde_json::json!(slots).to_string()),
        frame,
    })
}

/// « Votre créneau aujourd’hui : 8:30 – 9:00 », a line a school where some hours are the reader's today.
fn slot_lines(w: &Words, now: DateTime<Utc>, home: &Home, slots: &[SlotStanding]) -> Vec<String> {
    let mut lines = Vec::new();
    for slot in slots {
        let tz = time::zone(&slot.tz);
        let today = slot.today.iter().filter(|span| time::day_of(span.from, tz) == time::day_of(now, tz));
        let hours: Vec<_> = today
            .map(|span| format!("{} – {}", time::hour(span.from, tz), time::hour(span.to, tz)))
            .collect();
        if hours.is_empty() {
            continue;
        }
        let mut line = fill(w.slot_today, &[("hours", &hours.join(", "))]);
        if let Some(school) = home.schools.iter().find(|it| home.schools.len() > 1 && it.id == slot.school_id)
        {
            line.push_str(" · ");
            line.push_str(&school.name);
        }
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// « Lundi 23 novembre · 3e B »: a pupil of one school has nothing else to be told apart by.
fn dateline(w: &Words, today: chrono::NaiveDate, home: &Home, views: usize) -> String {
    let mut line = time::capital(&time::long_day(w, today));
    if views == 1
        && let Some((school, view)) = home.schools.iter().find_map(|s| Some((s, s.views.first()?)))
        && view.relation == Relation::Own
        && Reader::of(school, view) == Reader::Learner
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{view::SlotSpan, words::Lang};

    const JSON: &str = r#"{
        "user": {"id": "u", "first_name": "Léa <b>", "last_name": "Martin", "lang": "fr"},
        "schools": [{
            "id": "s", "uai": "9740001A", "name": "Collège & Cie", "tz": "Indian/Reunion", "date": "2026-11-23",
            "roles": ["pupil"], "classes": [],
            "views": [{
                "person": {"id": "u", "first_name": "Léa <b>", "last_name": "Martin"}, "relation": "self",
                "classes": ["3e B"],
                "now": null,
                "next": {"id": "l", "subject": {"code": "030001", "label": "Anglais"}, "teachers": ["M. Durand"],
                    "audience": ["3e B"], "room": "B1", "starts_at": "2026-11-24T04:00:00Z",
                    "ends_at": "2026-11-24T04:55:00Z", "at_distance": false, "cancelled": false},
                "today": []
            }]
        }],
        "generated_at": "2026-11-23T12:00:00Z"
    }"#;

    fn drawn(lang: Lang, app: Option<&str>) -> String {
        drawn_with(lang, app, Vec::new())
    }

    fn drawn_with(lang: Lang, app: Option<&str>, slots: Vec<SlotStanding>) -> String {
        let home: Home = serde_json::from_str(JSON).unwrap();
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let site =
            Site { lang, now, app, access: None, level: preau_admission::Level::default(), waiting: false };
        day(&site, &home, Carried { json: JSON, etag: Some("\"tag\"") }, &slots).html().to_owned()
    }

    #[test]
    fn ones_own_hours_of_today_are_told_in_the_schools_time() {
        let span = |from: &str, to: &str| SlotSpan { from: from.parse().unwrap(), to: to.parse().unwrap() };
        let mut slot = SlotStanding {
            school_id: "s".to_owned(),
            today: vec![
                span("2026-11-23T04:30:00Z", "2026-11-23T05:00:00Z"),
                span("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"),
            ],
            tz: "Indian/Reunion".to_owned(),
        };
        let html = drawn_with(Lang::French, None, vec![slot.clone(), slot.clone()]);
        let said = "Votre créneau aujourd’hui\u{a0}: 8:30 – 9:00, 14:00 – 15:00";
        assert_eq!(html.matches(said).count(), 1, "once, as a pupil and as a guardian alike\n{html}");
        assert!(html.contains("href=\"/plages-horaires\"") && html.contains("id=\"slot-data\""));
        slot.today = vec![span("2026-11-22T04:30:00Z", "2026-11-22T05:00:00Z")];
        assert!(!drawn_with(Lang::French, None, vec![slot]).contains("Votre créneau"), "of another day");
    }

    #[test]
    fn the_day_reads_without_the_program() {
        let html = drawn(Lang::French, None);
        for said in [
            "Lundi 23 novembre · 3e\u{a0}B",
            "Pas de cours aujourd’hui.",
            "Mardi 24 novembre, ",
            ">8:00</time>",
            "M. Durand · salle\u{a0}B1",
            "Heures locales\u{a0}: La Réunion",
            "Données de 16:00",
            "href=\"/semaine/2026-11-23\"",
        ] {
            assert!(html.contains(said), "{said}\n{html}");
        }
        assert!(!html.contains("<script type=\"module\""));
    }

    #[test]
    fn names_are_text_in_the_page_and_in_its_data() {
        let html = drawn(Lang::French, Some("/assets/app-1.js"));
        assert!(!html.contains("<b>"));
        assert!(html.contains("\"first_name\": \"Léa \\u003cb>\""));
        assert!(html.contains("data-etag=\"&quot;tag&quot;\""));
        assert!(html.contains("<script type=\"module\" src=\"/assets/app-1.js\">"));
    }

    #[test]
    fn english_is_said_all_along() {
        let html = drawn(Lang::English, None);
        assert!(html.contains("<html lang=\"en\">") && html.contains("Tuesday 24 November, "), "{html}");
    }
}

use proptest::prelude::*;

use super::*;
use crate::lessons::{Audience, TeacherRef};

fn run(body: &str, tz: Tz) -> Result<(Timetable, Report), Fault> {
    let window = Window { from: "2026-08-01".parse().unwrap(), until: "2027-08-01".parse().unwrap() };
    let mut report = Report::default();
    let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{body}END:VCALENDAR\r\n");
    let table = read(text.as_bytes(), "edt.ics", tz, window, &Limits::default(), &mut report)?;
    Ok((table, report))
}

fn event(properties: &str) -> String {
    format!("BEGIN:VEVENT\r\nUID:u1\r\nSUMMARY:Français\r\n{properties}\r\nEND:VEVENT\r\n")
}

fn starts(properties: &str) -> Vec<String> {
    let (table, _) = run(&event(properties), Tz::Europe__Paris).unwrap();
    table.entries.iter().map(|entry| entry.starts_at.format("%m-%dT%H:%M").to_string()).collect()
}

fn refused(properties: &str) -> Code {
    run(&event(properties), Tz::Europe__Paris).unwrap_err().code
}

#[test]
fn a_lesson_stays_at_its_hour_across_both_changes_of_clocks() {
    let weekly = "DTSTART;TZID=Europe/Paris:20261019T080000\r\nDTEND;TZID=Europe/Paris:20261019T085500\r\nRRULE:FREQ=WEEKLY;COUNT=2";
    assert_eq!(starts(weekly), ["10-19T06:00", "10-26T07:00"]);
    let spring = "DTSTART:20270322T080000\r\nDURATION:PT55M\r\nRRULE:FREQ=WEEKLY;COUNT=2";
    assert_eq!(starts(spring), ["03-22T07:00", "03-29T06:00"], "floating: the school's zone");
    let nightly = "DTSTART;TZID=Europe/Paris:20261024T023000\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=3";
    assert_eq!(
        starts(nightly),
        ["10-24T00:30", "10-25T00:30", "10-26T01:30"],
        "the repeated hour, first time round"
    );
    let skipped = "DTSTART;TZID=Europe/Paris:20270327T023000\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=3";
    assert_eq!(
        starts(skipped),
        ["03-27T01:30", "03-28T01:30", "03-29T00:30"],
        "the skipped hour, by the offset before"
    );
    let utc = "DTSTART:20261019T060000Z\r\nDTEND:20261019T065500Z\r\nRRULE:FREQ=WEEKLY;COUNT=2";
    assert_eq!(starts(utc), ["10-19T06:00", "10-26T06:00"], "a rule in UTC stays in UTC");
}

#[test]
fn exceptions_additions_and_rewritten_occurrences() {
    let rule = "DTSTART;TZID=Europe/Paris:20261102T080000\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY;UNTIL=20261123T070000Z\r\n";
    assert_eq!(starts(rule), ["11-02T07:00", "11-09T07:00", "11-16T07:00", "11-23T07:00"]);
    let except = format!(
        "{rule}EXDATE;TZID=Europe/Paris:20261109T080000\r\nEXDATE;VALUE=DATE:20261116\r\nRDATE;TZID=Europe/Paris:20261111T100000"
    );
    assert_eq!(starts(&except), ["11-02T07:00", "11-11T09:00", "11-23T07:00"]);
    let moved = event(rule)
        + &event(
            "RECURRENCE-ID;TZID=Europe/Paris:20261109T080000\r\nDTSTART;TZID=Europe/Paris:20261109T140000\r\nDURATION:PT1H\r\nSTATUS:CANCELLED",
        );
    let (table, _) = run(&moved, Tz::Europe__Paris).unwrap();
    assert_eq!(table.entries.len(), 4);
    let entry = table.entries.iter().find(|entry| entry.cancelled).unwrap();
    assert_eq!(entry.key, "u1@20261109T0700Z", "keeps the key of the occurrence it rewrites");
    assert_eq!(entry.starts_at.to_rfc3339(), "2026-11-09T13:00:00+00:00");
}

#[test]
fn rules_to_the_end_of_time_are_cut_or_refused_quickly() {
    let begun = std::time::Instant::now();
    let head = "DTSTART:20260901T080000\r\nDURATION:PT1H\r\nRRULE:";
    assert!(starts(&format!("{head}FREQ=DAILY;UNTIL=99991231T235959Z")).len() < 366);
    assert!(starts(&format!("{head}FREQ=DAILY")).len() < 366);
    assert!(starts(&format!("{head}FREQ=WEEKLY;COUNT=4000000000")).len() < 53);
    for frequency in ["SECONDLY", "MINUTELY", "HOURLY"] {
        assert_eq!(refused(&format!("{head}FREQ={frequency};UNTIL=99991231T235959Z")), Code::RuleTooDense);
    }
    for never in [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;COUNT=9;BYMONTH=2;BYMONTHDAY=31",
    ] {
        let found = run(&event(&format!("{head}{never}")), Tz::Europe__Paris);
        assert!(
            found
                .as_ref()
                .map_or_else(|fault| fault.code == Code::RuleTooDense, |(table, _)| table.entries.is_empty()),
            "{never}"
        );
    }
    let many = format!(
        "{head}FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10;BYMINUTE=0,5,10,15,20;BYSECOND=0,1,2,3,4,5,6,7,8,9,10"
    );
    assert!(
        matches!(run(&event(&many).repeat(3), Tz::Europe__Paris), Err(fault) if fault.code == Code::RuleTooDense)
    );
    let old = "DTSTART:00010101T080000\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY";
    assert!(starts(old).is_empty());
    assert!(begun.elapsed().as_secs_f32() < 2.0, "{:?}", begun.elapsed());
}

#[test]
fn a_lesson_is_read_from_words() {
    let (table, _) = run(
        &event("DTSTART:20261123T040000Z\r\nDURATION:PT55M\r\nLOCATION:À distance\r\nDESCRIPTION:Matière : Maths\\nProfesseurs : M. Durand\\, Mme Payet\\nClasses : 3e B\\nGroupes : 3 ANG1"),
        Tz::Indian__Reunion,
    ).unwrap();
    let entry = &table.entries[0];
    assert_eq!((entry.subject_label.as_str(), entry.at_distance, entry.cancelled), ("Maths", true, false));
    assert_eq!(
        entry.teachers,
        [TeacherRef::Named("M. Durand".into()), TeacherRef::Named("Mme Payet".into())]
    );
    assert_eq!(entry.audience, [Audience::Class("3e B".into()), Audience::Group("3 ANG1".into())]);
    assert_eq!(table.from, "2026-11-23".parse().unwrap());
}

#[test]
fn what_is_no_lesson_is_counted_and_what_is_broken_refused() {
    let (table, report) = run(
        &(event("DTSTART;VALUE=DATE:20261123") + &event("DTSTART:20261123T080000") + &event("X:y")),
        Tz::Europe__Paris,
    )
    .unwrap();
    assert!(table.entries.is_empty());
    for code in ["ical-whole-day", "ical-no-lesson-length", "ical-no-start"] {
        assert_eq!(report.warned(code), 1, "{code}");
    }
    assert_eq!(refused("DTSTART;TZID=Lune/Tycho:20261123T080000"), Code::UnknownZone);
    assert_eq!(refused("DTSTART:20261123T990000"), Code::BadTime);
    assert_eq!(refused("DTSTART:20261123T080000\r\nDURATION:PT1H\r\nRRULE:FREQ=PARFOIS"), Code::BadRule);
    let window = Window { from: NaiveDate::MIN, until: NaiveDate::MAX };
    let read = |text: &str| {
        read(text.as_bytes(), "f", Tz::UTC, window, &Limits::default(), &mut Report::default())
            .unwrap_err()
            .code
    };
    assert_eq!(read("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"), Code::Truncated);
    assert_eq!(read("<html>"), Code::Malformed);
    assert_eq!(read("BEGIN:VCARD\r\n"), Code::WrongRoot);
    assert_eq!(read(""), Code::Truncated);
    assert_eq!(read("BEGIN:VCALENDAR\r\nEND:VEVENT"), Code::Malformed);
}

proptest! {
    #[test]
    fn weekly_lessons_keep_their_wall_clock(day in 0_i64..300, hour in 7_u32..18, minute in 0_u32..60) {
        let date = NaiveDate::from_ymd_opt(2026, 9, 1).unwrap() + chrono::TimeDelta::days(day);
        let start = date.and_hms_opt(hour, minute, 0).unwrap();
        let text = event(&format!("DTSTART;TZID=Europe/Paris:{}\r\nDURATION:PT55M\r\nRRULE:FREQ=WEEKLY", start.format("%Y%m%dT%H%M%S")));
        let (table, _) = run(&text, Tz::Europe__Paris).unwrap();
        prop_assert!(!table.entries.is_empty());
        for entry in &table.entries {
            prop_assert_eq!(entry.starts_at.with_timezone(&Tz::Europe__Paris).time(), start.time());
        }
    }

    #[test]
    fn nothing_panics(lines in prop::collection::vec("(DTSTART|DTEND|RRULE|EXDATE|RDATE|DURATION|RECURRENCE-ID|UID)(;TZID=Europe/Paris)?:[0-9TZ=;A-Z,]{0,24}", 0..6)) {
        let _ = run(&event(&lines.join("\r\n")), Tz::Europe__Paris);
    }
}

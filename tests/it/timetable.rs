//! The week: whose, which days, and for whom.

use preau_kernel::Role;
use preau_tests::{Client, play};
use serde_json::{Value, json};

async fn week(client: &Client, url: &str) -> Value {
    client.get(url).await.expect(200).json()
}

/// `date: labels` of each day.
fn days(week: &Value) -> Vec<(String, Vec<String>)> {
    let labels = |day: &Value| {
        let lessons = day["lessons"].as_array().expect("lessons").iter();
        lessons.map(|lesson| lesson["subject"]["label"].as_str().expect("a label").to_owned()).collect()
    };
    let days = week["days"].as_array().expect("days").iter();
    days.map(|day| (day["date"].as_str().expect("a date").to_owned(), labels(day))).collect()
}

#[test]
fn a_week_is_the_days_asked_for_in_the_schools_zone() {
    play(async |stage| {
        let node = stage.node().await;
        let class = stage.territory("test").await.school("Collège").await.class("6e B").await;
        let durand = class.teacher("Claire Durand").await;
        let lina = class.pupil("Lina Martin").await;
        class.lesson(&durand, "lundi", "2026-11-23T08:00:00Z", 55).await;
        class.lesson(&durand, "mardi, minuit moins une", "2026-11-24T22:59:00Z", 55).await;
        class.lesson(&durand, "mercredi, minuit", "2026-11-24T23:00:00Z", 55).await;
        class.lesson(&durand, "la semaine d'après", "2026-11-30T08:00:00Z", 55).await;
        let me = node.signed_in(&lina).await;
        let url = class.school.url("timetable");
        let seven = week(&me, &url).await;
        assert_eq!((&seven["tz"], &seven["from"]), (&json!("Europe/Paris"), &json!("2026-11-23")));
        let seven = days(&seven);
        assert_eq!(seven.len(), 7);
        assert_eq!(seven[0], ("2026-11-23".into(), vec!["lundi".into()]));
        assert_eq!(seven[1], ("2026-11-24".into(), vec!["mardi, minuit moins une".into()]));
        assert_eq!(seven[2], ("2026-11-25".into(), vec!["mercredi, minuit".into()]));
        assert_eq!(seven[6], ("2026-11-29".into(), vec![]));
        let one = days(&week(&me, &format!("{url}?from=2026-11-30&days=1")).await);
        assert_eq!(one, [("2026-11-30".into(), vec!["la semaine d'après".into()])]);
        // The night that has two hours of two o'clock and the one that has none are a day like any other.
        for (from, next) in [("2026-10-25", "2026-10-26"), ("2027-03-28", "2027-03-29")] {
            let two = days(&week(&me, &format!("{url}?from={from}&days=2")).await);
            assert_eq!(two.iter().map(|day| day.0.as_str()).collect::<Vec<_>>(), [from, next]);
        }
        for days in ["0", "32"] {
            me.get(&format!("{url}?days={days}")).await.refused(422, "timetable-too-many-days");
        }
        let held = me.get(&url).await;
        me.clone().with("if-none-match", held.header("etag").unwrap()).get(&url).await.expect(304);
    });
}

#[test]
fn whose_week_is_whose_business() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège").await;
        let (sixth, fifth) = (school.class("6e B").await, school.class("5e A").await);
        let (durand, petit) = (sixth.teacher("Claire Durand").await, fifth.teacher("Omar Petit").await);
        let (lina, zoe) = (sixth.pupil("Lina Martin").await, sixth.pupil("Zoé Roux").await);
        let (mother, other_parent) =
            (school.guardian_of(&lina, "Anne Martin").await, school.guardian_of(&zoe, "Max Roux").await);
        let to_be_called = territory.person("Jean Voisin").await;
        school.enrol(&to_be_called, Role::Guardian).await;
        school.link(&to_be_called, &lina, 0).await;
        let (staff, admin, territory_admin) =
            (school.staff("Nora Vidal").await, school.admin().await, territory.admin().await);
        sixth.lesson(&durand, "Histoire", "2026-11-23T08:00:00Z", 55).await;
        fifth.lesson(&petit, "Latin", "2026-11-23T08:00:00Z", 55).await;
        let url = school.url(&format!("timetable?days=1&person_id={}", lina.id));
        for (who, name, may) in [
            (&lina, "herself", true),
            (&zoe, "a classmate", false),
            (&mother, "her mother", true),
            (&other_parent, "another's father", false),
            (&to_be_called, "who may only be called", false),
            (&durand, "her teacher", true),
            (&petit, "a teacher of others", false),
            (&staff, "staff", true),
            (&admin, "the school's administrator", true),
            (&territory_admin, "the territory's", true),
        ] {
            let answer = node.signed_in(who).await.get(&url).await;
            if may {
                assert_eq!(days(&answer.expect(200).json())[0].1, ["Histoire"], "{name}");
            } else {
                answer.refused(404, "not-found");
            }
        }
        // A teacher's own week is what they teach; nobody else's but staff's business.
        let own = week(&node.signed_in(&petit).await, &school.url("timetable?days=1")).await;
        assert_eq!(days(&own)[0].1, ["Latin"]);
        let theirs = school.url(&format!("timetable?days=1&person_id={}", petit.id));
        for who in [&lina, &mother, &durand, &staff, &admin] {
            node.signed_in(who).await.get(&theirs).await.refused(404, "not-found");
        }
    });
}

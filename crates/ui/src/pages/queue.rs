//! The queue, the slot, and one's turn: one small page that needs nothing but itself, for it is drawn when everything else
//! is at its limit. At most 4 kB as it stands, without compression (a test counts).

use askama::Template;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;

use super::{Page, Site, data_block};
use crate::{
    time::{day_of, hour},
    words::{Lang, Words, fill},
};

/// A place, as the API tells it (202).
#[derive(Clone, Debug, Deserialize)]
pub struct Place {
    /// What holds it.
    pub ticket: String,
    /// People before and oneself.
    pub position: u64,
    /// How long it may take at best, in seconds.
    pub eta_low_s: u64,
    /// And at worst.
    pub eta_high_s: u64,
    /// When to ask again, in milliseconds.
    pub poll_after_ms: u64,
    /// The lane.
    pub class: String,
    /// Why that lane.
    pub reason: String,
    /// Where in the lane, for whoever reads `GET /api/v1/queue/now`.
    pub tag: u64,
    /// The territory whose lane it is.
    #[serde(default)]
    pub territory_id: Option<String>,
    /// When the slot opens, for a ticket that waits for one; when the lane does, for a place in one that an order has closed.
    #[serde(default)]
    pub opens_at: Option<DateTime<Utc>>,
}

impl From<preau_overload::Place> for Place {
    fn from(place: preau_overload::Place) -> Self {
        Self {
            ticket: place.ticket,
            position: place.position,
            eta_low_s: place.eta_low_s,
            eta_high_s: place.eta_high_s,
            poll_after_ms: place.poll_after_ms,
            class: place.class.as_str().to_owned(),
            reason: place.reason.as_str().to_owned(),
            tag: place.tag,
            territory_id: Some(place.territory_id.to_string()),
            opens_at: place.opens_at,
        }
    }
}

/// What one types at one's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks<'a> {
    /// Nothing: a desk asks.
    Nothing,
    /// The password.
    Password {
        /// The login name as typed.
        login: &'a str,
    },
    /// The new password that goes with a code. What else was typed is in this page and nowhere else, so that it does not
    /// reload, and may be sent again at any time.
    NewPassword,
}

/// What somebody who waits sees.
#[derive(Clone, Debug)]
pub struct Queue<'a> {
    /// The place; none when the turn has come.
    pub place: Option<&'a Place>,
    /// The best place that was shown before: what is shown never rises.
    pub best: Option<u64>,
    /// Something that has just happened.
    pub notice: Option<&'a str>,
    /// Where the form leads when the turn has come, which is also where the page is.
    pub here: &'a str,
    /// What one types when the turn has come.
    pub asks: Asks<'a>,
    /// What the forms carry on.
    pub carried: Vec<(&'static str, &'a str)>,
    /// The zone of the hours; Paris, and it is said, where nothing tells in which school somebody is.
    pub zone: Option<Tz>,
    /// Where one looks for one's school, for whoever no device has told.
    pub schools: Option<String>,
    /// Whose hours it is, for whoever is outside theirs.
    pub turns: Option<String>,
}

impl Place {
    /// When the lane opens that an order has closed. Before a slot there is no place to keep, and the tag is 0.
    fn closed_until(&self) -> Option<DateTime<Utc>> {
        self.opens_at.filter(|_| self.tag > 0)
    }

    /// What stays open while the lane is closed: a class that has a lesson has a lane of its own.
    fn lessons_pass(&self) -> bool {
        !["safety", "lesson"].contains(&self.class.as_str())
    }
}

impl Asks<'_> {
    fn is_new(&self) -> bool {
        *self == Self::NewPassword
    }

    fn is_password(&self) -> bool {
        matches!(self, Self::Password { .. })
    }
}

impl Queue<'_> {
    /// Where the script looks whether a slot has opened, and has a place in a closed lane kept; nowhere from a page that would
    /// lose what was typed.
    fn look(&self) -> Option<String> {
        match self.asks {
            Asks::NewPassword => None,
            Asks::Password { .. } => Some(self.here.to_owned()),
            Asks::Nothing => {
                let carried = serde_urlencoded::to_string(&self.carried).ok()?;
                let and = if carried.is_empty() { "" } else { "?" };
                Some(format!("{}{and}{carried}", self.here))
            }
        }
    }

    /// The place that is shown: never worse than what was shown before.
    pub fn shown(&self) -> Option<u64> {
        self.place.map(|place| self.best.map_or(place.position, |best| best.min(place.position)).max(1))
    }
}

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage<'a> {
    lang: Lang,
    w: &'static Words,
    tab: String,
    title: String,
    script: Option<&'a str>,
    refresh: Option<u64>,
    here: &'a str,
    notice: Option<&'a str>,
    turn: bool,
    place: (&'static str, String, &'static str),
    wait: String,
    slot: String,
    closed: Option<String>,
    why: &'static str,
    turns: Option<&'a str>,
    method: &'static str,
    action: &'a str,
    carried: &'a [(&'static str, &'a str)],
    asks: Asks<'a>,
    profiles: Vec<(&'static str, &'static str)>,
    schools: Option<&'a str>,
    data: String,
}

/// The search of one's school, and what it has found.
#[derive(Clone, Debug, Default)]
pub struct SchoolChoice<'a> {
    /// What is looked for.
    pub asked: &'a str,
    /// Nothing before anything was looked for.
    pub found: Option<FoundSchools>,
    /// Where the choice leads, and whether it is sent there.
    pub action: &'a str,
    /// See [`Self::action`].
    pub posts: bool,
    /// Where one waits.
    pub back: &'a str,
    /// What the forms carry on.
    pub carried: Vec<(&'static str, &'a str)>,
    /// What the search carries on besides.
    pub here: Option<&'a str>,
}

/// Schools as the API tells them.
#[derive(Clone, Debug, Deserialize)]
pub struct FoundSchools {
    items: Vec<FoundSchool>,
    more: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct FoundSchool {
    id: String,
    uai: String,
    name: String,
    city: String,
}

impl FoundSchool {
    /// On one line of a telephone, or two.
    fn told(&self) -> String {
        let name: String = self.name.chars().take(LONGEST_NAME).collect();
        let city: String = self.city.chars().take(LONGEST_NAME / 2).collect();
        let comma = if city.is_empty() { "" } else { ", " };
        format!("{name}{comma}{city} ({})", self.uai)
    }
}

/// Letters of a school's name that are shown: the page keeps to its 4 kB with eight of them.
const LONGEST_NAME: usize = 60;

#[derive(Template)]
#[template(path = "school.html")]
struct SchoolPage<'a> {
    lang: Lang,
    w: &'static Words,
    choice: &'a SchoolChoice<'a>,
    profiles: Vec<(&'static str, &'static str)>,
}

/// The search of one's school: as small as the page of the line, and without any program.
pub fn schools(site: &Site<'_>, choice: &SchoolChoice<'_>) -> Page {
    let w = site.lang.words();
    Page::draw(&SchoolPage { lang: site.lang, w, choice, profiles: pairs(w.page_queue_profiles) })
}

/// Without a program to ask quietly, a page that reloads more often than this only loads the service.
const LEAST_REFRESH_S: u64 = 15;
/// Past half an hour nobody plans by the minute.
const LONGEST_MIN: u64 = 30;

/// The queue page, or the slot's, or the turn's.
pub fn queue(site: &Site<'_>, queue: &Queue<'_>) -> Page {
    let (lang, w) = (site.lang, site.lang.words());
    let shown = queue.shown();
    let closed = queue.place.filter(|place| place.closed_until().is_some());
    let opens = queue.place.and_then(|place| place.opens_at).map(|at| {
        let when = when(w, site.now, at, queue.zone.unwrap_or(Tz::Europe__Paris));
        let of_paris = queue.zone.is_none() && closed.is_some();
        if of_paris { fill(w.page_open_paris, &[("when", &when)]) } else { when }
    });
    let slot = opens.as_deref().filter(|_| closed.is_none());
    let slot = slot.map(|when| fill(w.page_slot_lead, &[("when", when)])).unwrap_or_default();
    let reason = queue.place.map_or("", |place| place.reason.as_str());
    let title = match (&queue.place, &opens) {
        (None, _) => w.page_queue_turn.to_owned(),
        (Some(_), Some(when)) if closed.is_some() => fill(w.page_open_title, &[("when", when)]),
        (Some(_), Some(when)) => fill(w.page_slot_title, &[("when", when)]),
        (Some(_), None) => w.page_queue_title.to_owned(),
    };
    let tab = match (shown, &opens) {
        (None, _) => format!("● {}", w.page_queue_turn),
        // Before the hour there is no place to count.
        (Some(_), Some(_)) if closed.is_none() => title.clone(),
        (Some(shown), Some(_)) => format!("{shown} · {title}"),
        (Some(shown), None) => format!("{shown} · {}", w.page_queue_tab),
    };
    let (before, after) = w.page_queue_place.split_once("{n}").unwrap_or((w.page_queue_place, ""));
    let stays = queue.asks == Asks::NewPassword;
    // The directory has said who comes with a code.
    let asks_who = reason == "unknown" && !stays;
    // A slot is somebody's whose school is known.
    let said =
        ["unknown", "pupil", "guardian", "teacher", "staff"].contains(&reason) && !stays && slot.is_empty();
    let drawn = QueuePage {
        lang,
        w,
        tab,
        title,
        script: site.access,
        refresh: queue
            .place
            .filter(|_| !stays)
            .map(|place| place.poll_after_ms.div_ceil(1000).max(LEAST_REFRESH_S)),
        here: queue.here,
        notice: queue.notice,
        turn: queue.place.is_none(),
        place: (before, shown.unwrap_or_default().to_string(), after),
        wait: queue.place.map(|place| range(w, place.eta_low_s, place.eta_high_s)).unwrap_or_default(),
        slot,
        closed: closed.map(|place| {
            let told = format!("{} {}", w.page_open_lead, w.page_open_kept);
            if place.lessons_pass() { format!("{told} {}", w.page_open_lesson) } else { told }
        }),
        why: word_of(w.page_queue_reasons, reason),
        turns: queue.turns.as_deref(),
        method: if queue.asks == Asks::Nothing { "get" } else { "post" },
        action: queue.here,
        carried: &queue.carried,
        asks: queue.asks,
        profiles: if asks_who { pairs(w.page_queue_profiles) } else { Vec::new() },
        schools: queue.schools.as_deref().filter(|_| said),
        data: queue.place.map(|place| data(site, queue, place, shown)).unwrap_or_default(),
    };
    let page = Page::draw(&drawn);
    match queue.place {
        Some(place) => {
            page.status(StatusCode::ACCEPTED).retry_after(place.poll_after_ms.div_ceil(1000).max(1))
        }
        None => page,
    }
}

/// An honest range, in whole minutes: never shorter than told.
fn range(w: &Words, low_s: u64, high_s: u64) -> String {
    let (low, high) = ((low_s / 60).max(1), high_s.div_ceil(60));
    if high <= 1 {
        return w.page_queue_soon.to_owned();
    }
    if high > LONGEST_MIN {
        return fill(w.page_queue_over, &[("a", &low.min(LONGEST_MIN).to_string())]);
    }
    let sentence = if low == high { w.page_queue_about } else { w.page_queue_range };
    fill(sentence, &[("a", &low.to_string()), ("b", &high.to_string())])
}

/// When a slot opens: an hour today, a date with it otherwise.
fn when(w: &Words, now: DateTime<Utc>, at: DateTime<Utc>, zone: Tz) -> String {
    let time = hour(at, zone);
    if day_of(now, zone) == day_of(at, zone) {
        return fill(w.page_slot_today, &[("time", &time)]);
    }
    let date = crate::time::long_day(w, day_of(at, zone));
    fill(w.page_when, &[("date", &date), ("time", &time)])
}

/// What the small script needs: its own sentences come along, so that it has none.
fn data(site: &Site<'_>, queue: &Queue<'_>, place: &Place, shown: Option<u64>) -> String {
    let w = site.lang.words();
    // By the server's clock: a telephone's may be off by hours.
    let opens = place.opens_at.map(|at| (at - site.now).num_milliseconds().max(0));
    let said = serde_json::json!({
        "tag": place.tag, "lane": place.class, "zone": place.territory_id, "poll": place.poll_after_ms, "best": shown,
        "opens": opens, "look": opens.and_then(|_| queue.look()),
        "words": [
            w.page_queue_place, w.page_queue_range, w.page_queue_about, w.page_queue_soon, w.page_queue_over,
            w.page_queue_turn, w.page_queue_turn_lead, w.page_queue_lost,
        ],
    });
    data_block("q", &[], &said.to_string())
}

fn pairs(list: &'static [&'static str]) -> Vec<(&'static str, &'static str)> {
    list.iter().filter_map(|pair| pair.split_once('=')).collect()
}

fn word_of(list: &'static [&'static str], code: &str) -> &'static str {
    pairs(list).into_iter().find(|(known, _)| *known == code).map_or("", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use axum::{http::header, response::IntoResponse};

    use super::*;

    /// What the page may weigh, uncompressed: one packet train, on any network.
    const BUDGET: usize = 4_096;

    fn site(lang: Lang) -> Site<'static> {
        Site {
            lang,
            now: "2026-11-23T07:58:00Z".parse().unwrap(),
            app: Some("/assets/app-AAAAAAAA.js"),
            access: Some("/assets/access-AAAAAAAA.js"),
            level: preau_admission::Level::default(),
            waiting: true,
        }
    }

    fn place(reason: &str, opens_at: Option<&str>) -> Place {
        Place {
            ticket: "A".repeat(120),
            position: 1_234_567,
            eta_low_s: 11 * 60,
            eta_high_s: 24 * 60,
            poll_after_ms: 29_417,
            class: "out-of-slot".to_owned(),
            reason: reason.to_owned(),
            // Nothing is drawn before a slot's hour.
            tag: if opens_at.is_some() { 0 } else { 3_600_000_000_000_000 },
            territory_id: Some("0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b".to_owned()),
            opens_at: opens_at.map(|at| at.parse().unwrap()),
        }
    }

    /// In a lane that an order has closed until an hour.
    fn closed(reason: &str, opens_at: &str) -> Place {
        Place { opens_at: Some(opens_at.parse().unwrap()), ..place(reason, None) }
    }

    fn waiting<'a>(place: &'a Place, to: &'a str) -> Queue<'a> {
        Queue {
            place: Some(place),
            best: None,
            notice: None,
            here: "/connexion",
            asks: Asks::Password { login: "jean-baptiste.de-la-fontaine12" },
            carried: vec![("vers", to), ("shared_device", "yes")],
            zone: Some(Tz::Europe__Paris),
            schools: Some("/connexion/etablissement".to_owned()),
            turns: None,
        }
    }

    #[test]
    fn the_page_weighs_at_most_4_kb_in_every_state_and_language() {
        let to = "/semaine/2026-11-23?ecole=0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";
        let mut heaviest = 0;
        for lang in [Lang::French, Lang::English] {
            let w = lang.words();
            for (reason, _) in pairs(w.page_queue_reasons) {
                for place in [
                    place(reason, None),
                    place(reason, Some("2026-11-23T12:00:00Z")),
                    place(reason, Some("2026-11-24T07:00:00Z")),
                    closed(reason, "2026-11-24T07:00:00Z"),
                ] {
                    let told = reason == "pupil-outside-slot" && place.opens_at.is_none();
                    let turns = told.then(|| "é".repeat(240));
                    // Whose school is known, and who is told hours, is not asked for it.
                    let schools = (!told).then(|| "/connexion/etablissement".to_owned());
                    for (notice, zone) in [
                        (None, None),
                        (Some(w.page_queue_again), Some(Tz::Indian__Reunion)),
                        (Some(w.page_queue_liar), None),
                    ] {
                        let (turns, schools) = (turns.clone(), schools.clone());
                        let queued = Queue { notice, zone, turns, schools, ..waiting(&place, to) };
                        let page = queue(&site(lang), &queued);
                        heaviest = heaviest.max(page.html().len());
                        assert!(page.html().len() <= BUDGET, "{reason} {place:?}: {}", page.html().len());
                    }
                }
            }
            let turn = queue(&site(lang), &Queue { place: None, ..waiting(&place("pupil", None), to) });
            assert!(turn.html().len() <= BUDGET);
            let place = place("lesson-soon", Some("2026-11-24T07:00:00Z"));
            let (login, code) = ("jean-baptiste.de-la-fontaine12", "ABCDE-FGHJK-MNP");
            let carried = vec![
                ("login", login),
                ("code", code),
                ("terms_version", "2026-09"),
                ("accept_terms", "yes"),
                ("shared_device", "yes"),
            ];
            let asks = Asks::NewPassword;
            let page =
                queue(&site(lang), &Queue { asks, carried, here: "/activation", ..waiting(&place, "/") });
            assert!(page.html().len() <= BUDGET, "{}", page.html().len());
        }
        // A budget that nothing comes near guards nothing.
        assert!(heaviest > BUDGET * 3 / 4, "{heaviest}");
    }

    #[test]
    fn the_page_asks_for_nothing_else_and_never_moves_by_itself() {
        let place = place("unknown", None);
        let page = queue(&site(Lang::French), &waiting(&place, "/"));
        let html = page.html().to_owned();
        assert_eq!(
            html.matches("src=").count(),
            1,
            "the script that the sign-in page has brought along already"
        );
        assert!(!html.contains("stylesheet") && html.contains("href=\"data:,\""));
        let (_, after) = html.split_once("<noscript>").unwrap();
        assert!(after.starts_with("<meta http-equiv=\"refresh\" content=\"30;url=/connexion\"></noscript>"));
        assert_eq!(html.matches("http-equiv").count(), 1, "with a program, nothing moves but by the person");
        assert!(!html.contains(&place.ticket), "the ticket is in its cookie");
        let response = page.into_response();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.headers()[header::RETRY_AFTER], "30");
        let turn = queue(&site(Lang::French), &Queue { place: None, ..waiting(&place, "/") });
        assert!(!turn.html().contains("http-equiv"), "somebody is typing a password");
        assert!(
            turn.html().contains("name=\"password\"")
                && !turn.html().contains("id=\"go\" method=\"post\" action=\"/connexion\" hidden")
        );
    }

    #[test]
    fn a_typed_code_stays_in_the_page_that_holds_it() {
        let place = place("unknown", None);
        let carried = vec![("login", "lina.martin"), ("code", "ABCDE-FGHJK-MNP")];
        let (asks, here) = (Asks::NewPassword, "/activation");
        let page = queue(&site(Lang::French), &Queue { asks, carried, here, ..waiting(&place, "/") });
        let html = page.html();
        assert!(html.contains("name=\"code\" value=\"ABCDE-FGHJK-MNP\""), "{html}");
        assert!(
            !html.contains("http-equiv") && !html.contains("href=\"/activation\""),
            "a reload would lose it"
        );
        assert!(html.contains("id=\"go\" method=\"post\" action=\"/activation\">"), "it may be sent again");
        assert!(!html.contains("<select"));
    }

    #[test]
    fn the_shown_place_never_rises() {
        let mut place = place("pupil", None);
        let at = |place: &Place, best| {
            queue(&site(Lang::French), &Queue { best, ..waiting(place, "/") }).html().to_owned()
        };
        place.position = 500;
        assert!(at(&place, Some(412)).contains("<b>412</b>"));
        assert!(at(&place, Some(900)).contains("<b>500</b>"));
        assert!(at(&place, None).contains("<title>500 · "));
    }

    #[test]
    fn waits_are_told_honestly() {
        let w = Lang::French.words();
        assert_eq!(range(w, 0, 40), "Attente\u{a0}: moins d’une minute");
        assert_eq!(range(w, 290, 480), "Attente\u{a0}: de 4 à 8 minutes");
        assert_eq!(range(w, 130, 180), "Attente\u{a0}: de 2 à 3 minutes");
        assert_eq!(range(w, 180, 180), "Attente\u{a0}: environ 3 minutes");
        assert_eq!(range(w, 1_300, 2_000), "Attente\u{a0}: plus de 21 minutes");
        assert_eq!(range(w, 7_200, 14_000), "Attente\u{a0}: plus de 30 minutes");
    }

    #[test]
    fn a_slot_says_when_it_opens_in_the_schools_own_hours() {
        let place = place("pupil-outside-slot", Some("2026-11-23T12:00:00Z"));
        let at = |zone| {
            let zone = Some(zone);
            queue(&site(Lang::French), &Queue { zone, ..waiting(&place, "/") }).html().to_owned()
        };
        assert!(at(Tz::Europe__Paris).contains("<h1 tabindex=\"-1\">Votre créneau ouvre à 13:00</h1>"));
        let paris = at(Tz::Europe__Paris);
        assert!(paris.contains("<title>Votre créneau ouvre à 13:00 · ") && !paris.contains("<b>"));
        assert!(at(Tz::Indian__Reunion).contains("à 16:00"));
    }

    #[test]
    fn a_closed_lane_says_when_it_opens_beside_the_place_and_what_stays_open() {
        let at = |place: &Place, zone| {
            queue(&site(Lang::French), &Queue { zone, ..waiting(place, "/") }).html().to_owned()
        };
        let pupil = closed("pupil", "2026-11-23T12:00:00Z");
        let page = at(&pupil, Some(Tz::Europe__Paris));
        assert!(page.contains("<h1 tabindex=\"-1\">Votre accès ouvre à 13:00</h1>"), "{page}");
        assert!(page.contains("<b>1234567</b>") && page.contains("lire la journée enregistrée"), "{page}");
        assert!(page.contains("Une classe qui a cours passe toujours"), "{page}");
        assert!(page.contains("<p id=\"wait\"></p>"), "nobody knows how fast it will go then: {page}");
        assert!(!page.contains("créneau"), "no slot is meant: {page}");
        assert!(at(&pupil, Some(Tz::Indian__Reunion)).contains("à 16:00</h1>"));
        assert!(at(&pupil, None).contains("à 13:00 (heure de Paris)</h1>"), "whose school is not known");
        let teacher = Place { class: "lesson".to_owned(), ..closed("teacher", "2026-11-23T12:00:00Z") };
        let teachers = at(&teacher, None);
        assert!(teachers.contains("lire la journée enregistrée.</p>"), "it is that lane which is closed");
        let unknown = at(&closed("unknown", "2026-11-23T12:00:00Z"), None);
        assert!(unknown.contains("<select") && unknown.contains("etablissement"), "another lane may be open");
        // The script follows the place by its tag, and comes to have it kept.
        assert!(page.contains("<title>1234567 · Votre accès") && page.contains("\"tag\":36"), "{page}");
        assert!(page.contains("\"look\":\"/connexion\"") && page.contains("\"opens\":14520000"), "{page}");
    }

    #[test]
    fn a_slots_page_tells_its_script_when_and_where_to_look() {
        let place = place("pupil-outside-slot", Some("2026-11-23T12:00:00Z"));
        let told = |asks, carried, here| {
            let page = queue(&site(Lang::French), &Queue { asks, carried, here, ..waiting(&place, "/") });
            let (_, data) = page.html().split_once("id=\"q\">").unwrap();
            let (data, _) = data.split_once("</script>").unwrap();
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["opens"], 4 * 3_600_000 + 2 * 60_000, "{data}");
            data["look"].as_str().map(str::to_owned)
        };
        let password = Asks::Password { login: "lina.martin" };
        assert_eq!(told(password, vec![("vers", "/")], "/connexion").as_deref(), Some("/connexion"));
        let desk = "/federation/essai/depart";
        assert_eq!(told(Asks::Nothing, Vec::new(), desk).as_deref(), Some(desk));
        let carried = vec![("partage", "oui")];
        assert_eq!(told(Asks::Nothing, carried, desk).unwrap(), format!("{desk}?partage=oui"));
        assert_eq!(told(Asks::NewPassword, Vec::new(), "/activation"), None);
    }

    fn found(lang: Lang, name: usize, how_many: usize) -> Page {
        let school = FoundSchool {
            id: "0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b".to_owned(),
            uai: "0590001A".to_owned(),
            name: "é".repeat(name),
            city: "Saint-Étienne-du-Rouvray".to_owned(),
        };
        let found = FoundSchools { items: vec![school; how_many], more: how_many == 8 };
        let choice = SchoolChoice {
            asked: "saint etienne du rouvray",
            found: Some(found),
            action: "/federation/educonnect-de-l-academie-de-normandie/depart",
            posts: false,
            back: "/federation/educonnect-de-l-academie-de-normandie/depart",
            carried: vec![
                ("vers", "/semaine/2026-11-23?ecole=0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"),
                ("partage", "oui"),
            ],
            here: Some("/federation/educonnect-de-l-academie-de-normandie/depart"),
        };
        schools(&site(lang), &choice)
    }

    #[test]
    fn schools_fit_in_4_kb_too() {
        for lang in [Lang::French, Lang::English] {
            let page = found(lang, 35, 8);
            assert!(page.html().len() <= BUDGET, "{}", page.html().len());
            assert_eq!(page.html().matches("<option value=\"0193").count(), 8);
            // The longest names that a directory can hold cost no more than what is shown of them.
            assert!(
                found(lang, 200, 8).html().len() <= BUDGET + 8 * 50,
                "{}",
                found(lang, 200, 8).html().len()
            );
            let none = found(lang, 1, 0);
            assert!(none.html().contains(lang.words().page_school_none) && !none.html().contains("<option"));
        }
    }

    #[test]
    fn a_school_is_asked_of_those_who_said_what_they_are_or_nothing() {
        let asked = |reason: &str| {
            queue(&site(Lang::French), &waiting(&place(reason, None), "/")).html().contains("etablissement")
        };
        assert!(asked("unknown") && asked("guardian"));
        assert!(!asked("suspended") && !asked("degraded") && !asked("returning") && !asked("lesson-soon"));
    }

    #[test]
    fn only_whoever_is_unknown_is_asked_who_they_are() {
        let asked = |reason: &str| {
            queue(&site(Lang::French), &waiting(&place(reason, None), "/")).html().contains("<select")
        };
        assert!(asked("unknown"));
        assert!(!asked("pupil") && !asked("teacher") && !asked("suspended"));
    }
}

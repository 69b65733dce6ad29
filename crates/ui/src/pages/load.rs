//! The operator's desk, without JavaScript: how busy it is, who waits, what is ordered, attack or crowd. The program only
//! refreshes the part that changes. And what a school's head reads of the orders that concern it.

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;

use super::{FormError, Frame, Page, Place, Site, admin, devices::when};
use crate::{
    view::Home,
    words::{Words, fill},
};

/// `GET /api/v1/territories/{territory_id}/load`, as the page reads it.
#[derive(Clone, Debug, Deserialize)]
pub struct Load {
    at: DateTime<Utc>,
    mode: String,
    level: u8,
    installation_level: u8,
    pressure: f64,
    parts: Parts,
    shared: bool,
    frozen: bool,
    leader: Option<String>,
    seats: u64,
    seats_max: u64,
    slots: String,
    classes: Vec<Class>,
    schools: Vec<School>,
    nodes: Vec<Node>,
    nodes_wanted: u32,
    crowd: Verdict,
    orders: Vec<Order>,
    ladder: Vec<Rung>,
}

#[derive(Clone, Debug, Deserialize)]
struct Parts {
    hash: f64,
    hash_wait: f64,
    database: f64,
    seats: f64,
    bytes_out: f64,
}

#[derive(Clone, Debug, Deserialize)]
struct Class {
    class: String,
    arrivals_per_s: f64,
    admitted_per_s: f64,
    waiting: u64,
    eta_low_s: u64,
    eta_high_s: u64,
    closed: bool,
    floor_percent: Option<u8>,
}

#[derive(Clone, Debug, Deserialize)]
struct School {
    name: String,
    waiting: u64,
    drawn: u64,
    admitted: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Node {
    node: String,
    at: DateTime<Utc>,
    hash_per_s: f64,
    hashed_per_s: f64,
    hash_queue: u64,
    database_in_flight: u64,
    database_limit: u64,
    drained: bool,
    version: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Verdict {
    code: String,
    sentence: String,
    advice: String,
    evidence: Vec<Evidence>,
}

#[derive(Clone, Debug, Deserialize)]
struct Evidence {
    sentence: String,
    suspicious: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Rung {
    code: String,
    level: u8,
    saved_statements: u16,
    saved_cpu_us: Option<u32>,
    on: bool,
}

/// An order, as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Order {
    id: String,
    installation: bool,
    act: Act,
    author: String,
    reason: String,
    until: DateTime<Utc>,
    state: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Act {
    kind: String,
    #[serde(default)]
    level: u8,
    #[serde(default)]
    class: String,
    #[serde(default)]
    percent: u8,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    on: bool,
    #[serde(default)]
    node: String,
    #[serde(default)]
    per_s: u32,
}

/// A change of state, as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    at: DateTime<Utc>,
    what: String,
    from: String,
    to: String,
    order_id: Option<String>,
    inputs: Inputs,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Inputs {
    #[serde(default)]
    pressure: f64,
    #[serde(default)]
    parts: EventParts,
    #[serde(default)]
    waiting: u64,
    #[serde(default)]
    order_ended: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct EventParts {
    #[serde(default)]
    hash: f64,
    #[serde(default)]
    db: f64,
    #[serde(default)]
    seats: f64,
}

/// The word of a code in a list of `code=word`; the code itself where nobody has named it.
pub(super) fn named<'a>(list: &[&'static str], code: &'a str) -> &'a str
where
    'static: 'a,
{
    let known = list.iter().find_map(|line| line.strip_prefix(code)?.strip_prefix('='));
    known.and_then(|words| words.split('=').next()).unwrap_or(code)
}

fn class_name<'a>(w: &Words, class: &'a str) -> &'a str {
    named(w.page_first_lanes, class)
}

/// An order in words.
fn act_words(w: &Words, act: &Act) -> String {
    let class = class_name(w, &act.class);
    let rung = named(w.page_first_rungs, &act.code);
    match act.kind.as_str() {
        "level" => fill(w.page_load_act_level, &[("n", &act.level.to_string())]),
        "floor" => fill(w.page_load_act_floor, &[("class", class), ("n", &act.percent.to_string())]),
        "close" => fill(w.page_load_act_close, &[("class", class)]),
        "slots" => fill(w.page_load_act_slots, &[("mode", named(w.page_load_slot_modes, &act.mode))]),
        "rung" if act.on => fill(w.page_load_act_rung_on, &[("rung", rung)]),
        "rung" => fill(w.page_load_act_rung_off, &[("rung", rung)]),
        "drain" => fill(w.page_load_act_drain, &[("node", &act.node)]),
        "mode" => fill(w.page_load_act_mode, &[("mode", named(w.page_load_modes, &act.mode))]),
        "cap" => fill(w.page_load_act_cap, &[("n", &act.per_s.to_string())]),
        _ => w.page_load_act_epoch.to_owned(),
    }
}

struct OrderRow<'a> {
    id: &'a str,
    what: String,
    by: String,
    why: &'a str,
    until: String,
    state: &'a str,
    ours: bool,
    counts: bool,
}

fn order_row<'a>(site: &Site<'_>, order: &'a Order) -> OrderRow<'a> {
    let w = site.lang.words();
    OrderRow {
        id: &order.id,
        what: act_words(w, &order.act),
        by: if order.installation {
            format!("{} ({})", order.author, w.page_load_order_of_all)
        } else {
            order.author.clone()
        },
        why: &order.reason,
        until: when(w, order.until, Tz::Europe__Paris),
        state: named(w.page_load_order_states, &order.state),
        ours: !order.installation && order.state != "ended",
        counts: order.state == "in-force",
    }
}

struct Figure {
    name: &'static str,
    words: String,
    /// Hundredths, for the bar: 100 at most.
    share: u8,
}

fn share(value: f64) -> u8 {
    // The bar ends at full; the figure beside it goes on.
    (0..=100_u8).find(|step| f64::from(*step) >= value * 100.0).unwrap_or(100)
}

fn percent(value: f64) -> String {
    format!("{:.0}\u{a0}%", value * 100.0)
}

fn decimal(value: f64) -> String {
    if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}").replace('.', ",") }
}

struct ClassRow<'a> {
    name: &'a str,
    waiting: u64,
    arrivals: String,
    admitted: String,
    eta: String,
    order: String,
}

struct NodeRow<'a> {
    name: &'a str,
    hashes: String,
    queue: u64,
    database: String,
    said: String,
    drained: bool,
    version: &'a str,
}

struct RungRow<'a> {
    name: &'a str,
    level: u8,
    statements: u16,
    cpu: String,
    on: bool,
}

#[derive(Template)]
#[template(path = "load.html")]
struct LoadPage<'a> {
    frame: Frame<'a>,
    tabs: Vec<admin::Tab>,
    load: &'a Load,
    level_name: &'a str,
    pressure: String,
    level_of_all: String,
    measured: String,
    at_ms: i64,
    figures: Vec<Figure>,
    slots: &'a str,
    mode: &'a str,
    seats: String,
    leader: Option<String>,
    wanted: String,
    classes: Vec<ClassRow<'a>>,
    nodes: Vec<NodeRow<'a>>,
    ladder: Vec<RungRow<'a>>,
    orders: Vec<OrderRow<'a>>,
}

/// The live page.
pub fn load(site: &Site<'_>, home: &Home, load: &Load, program: Option<&str>) -> Page {
    let w = site.lang.words();
    let mut frame = admin::admin_frame(site, home, w.page_admin_load, &Place { school: "", name: "" });
    frame.script = program;
    frame.refresh = Some(5);
    let figure = |name, value: f64| Figure { name, words: percent(value), share: share(value) };
    let level = |level: u8| named(w.page_load_levels, LEVELS.get(usize::from(level)).copied().unwrap_or("4"));
    let classes = load.classes.iter().map(|class| ClassRow {
        name: class_name(w, &class.class),
        waiting: class.waiting,
        arrivals: decimal(class.arrivals_per_s),
        admitted: decimal(class.admitted_per_s),
        eta: if class.waiting == 0 {
            "—".to_owned()
        } else {
            let (low, high) = (site.lang.wait(class.eta_low_s), site.lang.wait(class.eta_high_s));
            fill(w.page_load_eta_range, &[("a", &low), ("b", &high)])
        },
        order: match (class.closed, class.floor_percent) {
            (true, _) => w.page_load_closed.to_owned(),
            (false, Some(floor)) => fill(w.page_load_floor, &[("n", &floor.to_string())]),
            (false, None) => String::new(),
        },
    });
    let nodes = load.nodes.iter().map(|node| NodeRow {
        name: &node.node,
        hashes: format!("{} / {}", decimal(node.hashed_per_s), decimal(node.hash_per_s)),
        queue: node.hash_queue,
        database: format!("{} / {}", node.database_in_flight, node.database_limit),
        said: site.lang.wait((load.at - node.at).num_seconds().max(0).unsigned_abs()),
        drained: node.drained,
        version: &node.version,
    });
    let ladder = load.ladder.iter().map(|rung| RungRow {
        name: named(w.page_first_rungs, &rung.code),
        level: rung.level,
        statements: rung.saved_statements,
        cpu: rung
            .saved_cpu_us
            .map_or_else(|| "—".to_owned(), |us| format!("{} ms", decimal(f64::from(us) / 1000.0))),
        on: rung.on,
    });
    Page::draw(&LoadPage {
        tabs: admin::territory_tabs(w, "charge"),
        level_name: level(load.level),
        pressure: percent(load.pressure),
        level_of_all: fill(w.page_load_level_of_all, &[("level", level(load.installation_level))]),
        measured: fill(w.page_load_at, &[("time", &clock(load.at))]),
        at_ms: load.at.timestamp_millis(),
        figures: vec![
            figure(w.page_load_hash, load.parts.hash),
            figure(w.page_load_hash_wait, load.parts.hash_wait),
            figure(w.page_load_database, load.parts.database),
            figure(w.page_load_seats, load.parts.seats),
            figure(w.page_load_bytes, load.parts.bytes_out),
        ],
        slots: named(w.page_load_slot_modes, &load.slots),
        mode: named(w.page_load_modes, &load.mode),
        seats: match load.seats_max {
            // Nothing says how many there may be.
            0 => load.seats.to_string(),
            most => fill(w.page_load_seats_of, &[("n", &load.seats.to_string()), ("max", &most.to_string())]),
        },
        leader: load.leader.as_ref().map(|node| fill(w.page_load_leader, &[("node", node)])),
        wanted: fill(w.page_load_wanted, &[("n", &load.nodes_wanted.to_string())]),
        classes: classes.collect(),
        nodes: nodes.collect(),
        ladder: ladder.collect(),
        orders: load.orders.iter().map(|order| order_row(site, order)).collect(),
        load,
        frame,
    })
}

const LEVELS: [&str; 5] = ["0", "1", "2", "3", "4"];

/// Hours, minutes and seconds in Paris: whoever watches compares them with a clock.
fn clock(at: DateTime<Utc>) -> String {
    at.with_timezone(&Tz::Europe__Paris).format("%H:%M:%S").to_string()
}

/// An order that the form offers: what it sends, and its words.
struct Offer {
    value: String,
    words: String,
}

/// What may be ordered from the form, with what the load shows of nodes and rungs.
fn offers(w: &Words, load: &Load) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    let mut offer = |value: String| {
        if let Some(act) = read_offer(&value).and_then(|act| serde_json::from_value(act).ok()) {
            offers.push(Offer { words: act_words(w, &act), value });
        }
    };
    for level in LEVELS {
        offer(format!("level:{level}"));
    }
    for mode in ["open", "soft", "hard"] {
        offer(format!("slots:{mode}"));
    }
    for class in ["guardian", "out-of-slot", "in-slot", "suspect"] {
        offer(format!("close:{class}"));
    }
    for class in ["guardian", "out-of-slot", "in-slot", "lesson"] {
        for percent in ["0", "5", "10", "20"] {
            offer(format!("floor:{class}:{percent}"));
        }
    }
    for rung in &load.ladder {
        offer(format!("pause:{}", rung.code));
        offer(format!("keep:{}", rung.code));
    }
    for node in &load.nodes {
        offer(format!("drain:{}", node.node));
    }
    offer("epoch".to_owned());
    for mode in ["ticket", "codel", "bounded"] {
        offer(format!("mode:{mode}"));
    }
    for per_s in ["5", "10", "20", "50", "100", "200", "500", "1000", "2000", "5000"] {
        offer(format!("cap:{per_s}"));
    }
    offers
}

/// What a choice of the form means for the API; nothing for what the form does not offer.
pub fn read_offer(value: &str) -> Option<serde_json::Value> {
    use serde_json::json;
    // A node's name holds a colon where it is an address.
    if let Some(node) = value.strip_prefix("drain:") {
        return Some(json!({ "kind": "drain", "node": node }));
    }
    let mut parts = value.splitn(3, ':');
    let (kind, what, how) = (parts.next()?, parts.next(), parts.next());
    Some(match (kind, what, how) {
        ("level", Some(level), None) => json!({ "kind": "level", "level": level.parse::<u8>().ok()? }),
        ("slots", Some(mode), None) => json!({ "kind": "slots", "mode": mode }),
        ("close", Some(class), None) => json!({ "kind": "close", "class": class }),
        ("floor", Some(class), Some(percent)) => {
            json!({ "kind": "floor", "class": class, "percent": percent.parse::<u8>().ok()? })
        }
        ("pause", Some(code), None) => json!({ "kind": "rung", "code": code, "on": true }),
        ("keep", Some(code), None) => json!({ "kind": "rung", "code": code, "on": false }),
        ("epoch", None, None) => json!({ "kind": "epoch" }),
        ("mode", Some(mode), None) => json!({ "kind": "mode", "mode": mode }),
        ("cap", Some(per_s), None) => json!({ "kind": "cap", "per_s": per_s.parse::<u32>().ok()? }),
        _ => return None,
    })
}

/// What the page of orders shows besides them.
#[derive(Debug, Default)]
pub struct OrdersExtra<'a> {
    /// What has just been done.
    pub notice: Option<&'a str>,
    /// What was refused.
    pub error: Option<FormError>,
    /// The key of the form.
    pub key: String,
    /// What was written in it.
    pub reason: String,
}

#[derive(Template)]
#[template(path = "load_orders.html")]
struct OrdersPage<'a> {
    frame: Frame<'a>,
    tabs: Vec<admin::Tab>,
    summary: Option<FormError>,
    notice: Option<&'a str>,
    key: String,
    reason: String,
    offers: Vec<Offer>,
    orders: Vec<OrderRow<'a>>,
}

/// The orders of a territory, and the form for another.
pub fn load_orders(
    site: &Site<'_>,
    home: &Home,
    load: &Load,
    orders: &[Order],
    extra: OrdersExtra<'_>,
) -> Page {
    let w = site.lang.words();
    Page::draw(&OrdersPage {
        frame: admin::admin_frame(site, home, w.page_load_orders, &Place { school: "", name: "" }),
        tabs: admin::territory_tabs(w, "charge"),
        summary: extra.error,
        notice: extra.notice,
        key: extra.key,
        reason: extra.reason,
        offers: offers(w, load),
        orders: orders.iter().map(|order| order_row(site, order)).collect(),
    })
}

struct EventRow<'a> {
    when: String,
    what: &'a str,
    change: String,
    cause: String,
}

#[derive(Template)]
#[template(path = "load_events.html")]
struct EventsPage<'a> {
    frame: Frame<'a>,
    tabs: Vec<admin::Tab>,
    territory: &'a str,
    events: Vec<EventRow<'a>>,
    next: Option<&'a str>,
}

/// What changed, and why.
pub fn load_events(
    site: &Site<'_>,
    home: &Home,
    territory: &str,
    events: &[Event],
    next: Option<&str>,
) -> Page {
    let w = site.lang.words();
    let row = |event: &'_ Event| -> (String, String) {
        let inputs = &event.inputs;
        let measured = fill(
            w.page_load_event_measured,
            &[
                ("p", &percent(inputs.pressure)),
                ("hash", &percent(inputs.parts.hash)),
                ("db", &percent(inputs.parts.db)),
                ("seats", &percent(inputs.parts.seats)),
                ("waiting", &inputs.waiting.to_string()),
            ],
        );
        let cause = match (&event.order_id, inputs.order_ended) {
            (Some(_), _) => w.page_load_event_ordered.to_owned(),
            (None, true) => w.page_load_event_order_ended.to_owned(),
            (None, false) => measured,
        };
        (fill(w.page_load_event_from_to, &[("a", &event.from), ("b", &event.to)]), cause)
    };
    let events = events.iter().map(|event| {
        let (change, cause) = row(event);
        EventRow {
            when: format!("{}, {}", when(w, event.at, Tz::Europe__Paris), clock(event.at)),
            what: named(w.page_load_event_whats, &event.what),
            change,
            cause,
        }
    });
    Page::draw(&EventsPage {
        frame: admin::admin_frame(site, home, w.page_load_events, &Place { school: "", name: "" }),
        tabs: admin::territory_tabs(w, "charge"),
        territory,
        events: events.collect(),
        next,
    })
}

#[derive(Template)]
#[template(path = "load_measures.html")]
struct MeasuresPage<'a> {
    frame: Frame<'a>,
    tabs: Vec<admin::Tab>,
    orders: Vec<OrderRow<'a>>,
}

/// What is forced for a school, for its head.
pub fn load_measures(site: &Site<'_>, home: &Home, at: &Place<'_>, orders: &[Order]) -> Page {
    let w = site.lang.words();
    Page::draw(&MeasuresPage {
        frame: admin::admin_frame(site, home, w.page_admin_measures, at),
        tabs: admin::tabs(w, at, "/charge"),
        orders: orders.iter().map(|order| order_row(site, order)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{ENGLISH, FRENCH};

    #[test]
    fn what_the_form_offers_is_what_the_api_takes() {
        let values = [
            "level:2",
            "slots:hard",
            "close:guardian",
            "floor:guardian:5",
            "pause:exports",
            "keep:exports",
            "drain:n:1",
            "epoch",
            "mode:codel",
            "cap:50",
        ];
        for value in values {
            let act: Act = serde_json::from_value(read_offer(value).unwrap()).unwrap();
            for w in [&FRENCH, &ENGLISH] {
                let words = act_words(w, &act);
                assert!(
                    !["{", "guardian", "exports", "codel"].iter().any(|code| words.contains(code)),
                    "{words}"
                );
            }
        }
        for other in ["", "level", "level:x", "floor:guardian", "epoch:1", "mode", "cap:x", "rm:x"] {
            assert!(read_offer(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_code_that_nobody_has_named_is_shown_as_it_is() {
        assert_eq!(named(FRENCH.page_load_slot_modes, "hard"), "stricts");
        assert_eq!(named(FRENCH.page_load_slot_modes, "from-next-year"), "from-next-year");
        assert_eq!(named(FRENCH.page_first_lanes, "guardian"), "Parents");
    }

    #[test]
    fn bars_end_at_full() {
        assert_eq!((share(0.0), share(0.5), share(3.0), share(-1.0)), (0, 50, 100, 0));
    }
}

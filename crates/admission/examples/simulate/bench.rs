//! What a ticket costs, in processor time: the best of many rounds, since other work on the machine only ever adds.

use std::{collections::BTreeMap, fmt::Write, hint::black_box, time::Instant};

use chrono::{DateTime, Utc};
use preau_admission::{
    Lane, LaneSnap, PerLane, Reason, Snapshot, Ticket, TicketKeys,
    eta::Rates,
    lanes::{self, Draw, Finish, LaneState},
    tags,
    ticket::LENGTH,
};
use uuid::Uuid;

/// Every figure, as text.
pub(crate) fn all() -> String {
    let now: DateTime<Utc> = DateTime::from_timestamp(1_795_420_800, 0).unwrap_or_default();
    let keys = TicketKeys::new([(Uuid::from_u128(1), [7; 32]), (Uuid::from_u128(2), [8; 32])]);
    let (mut state, mut finish) = (LaneState::cold(now), Finish::default());
    let draw = |at: u128| {
        let school = Uuid::from_u128(at % 5000 + 1).into();
        let step = tags::step(150 + u32::try_from(at % 5000).unwrap_or(0) / 3);
        Draw { school, step, phase: tags::phase(school, 0, step), second: false }
    };
    let mut last = 0;
    for at in 0..1_000_000u128 {
        last = lanes::issue(&mut state, &mut finish, &draw(at));
    }
    let rates = Rates { fast: 900.0, slow: 880.0, ahead: 10.0, age_s: 60.0, ..Rates::default() };
    let snap = LaneSnap::of(&state, rates);
    let territory = Uuid::from_u128(5).into();
    let snapshot = Snapshot {
        lanes: BTreeMap::from([(territory, PerLane::from_fn(|_| snap.clone()))]),
        ..Snapshot::empty(now)
    };
    let ticket = Ticket {
        id: [3; 8],
        epoch: 0,
        territory,
        school: Some(Uuid::from_u128(9).into()),
        lane: Lane::InSlot,
        reason: Reason::Pupil,
        second: false,
        tag: last / 2 + state.threshold / 2,
        subject: [4; 8],
        issued: now,
        not_before: None,
    };
    let good = ticket.seal(&keys).unwrap_or_default();
    let mut forged = good.clone();
    forged.replace_range(60..61, if forged.get(60..61) == Some("A") { "B" } else { "A" });
    let foreign = ticket.seal(&TicketKeys::new([(Uuid::from_u128(9), [7; 32])])).unwrap_or_default();
    let truncated = good.get(..good.len() - 8).unwrap_or_default();

    let mut text =
        format!("a ticket is {LENGTH} characters; a million wait in {} buckets\n", state.buckets.len());
    let mut say = |name: &str, micros: f64| {
        let _ = writeln!(text, "  {name:<58} {micros:>8.2} µs");
    };
    say("seal", best(|| ticket.seal(&keys)));
    say("open", best(|| keys.open(&good, 0, now)));
    say(
        "check: open, compare, place, estimate",
        best(|| keys.open(&good, 0, now).map(|ticket| snapshot.check(&ticket, now))),
    );
    say("refuse a forged one", best(|| keys.open(&forged, 0, now)));
    say("refuse one of an unknown key", best(|| keys.open(&foreign, 0, now)));
    say("refuse one of another epoch", best(|| keys.open(&good, 1, now)));
    say("refuse an expired one", best(|| keys.open(&good, 0, now + chrono::Duration::hours(5))));
    say("refuse a truncated one", best(|| keys.open(truncated, 0, now)));
    say("refuse what is no ticket", best(|| keys.open("no ticket", 0, now)));
    let mut at = 0u128;
    say(
        "issue: tag and seal",
        best(|| {
            at += 1;
            let tag = lanes::issue(&mut state, &mut finish, &draw(at));
            Ticket { tag, ..ticket.clone() }.seal(&keys)
        }),
    );
    say("advance the threshold by 200 people", best(|| lanes::advance(&state, 200)));
    say("read a lane of a million people into a snapshot", best(|| LaneSnap::of(&state, rates)));
    say("write /queue/now, six lanes waiting", best(|| snapshot.now().json()));
    let _ = writeln!(text, "  /queue/now is {} bytes", snapshot.now().json().len());
    text
}

fn best<T>(mut act: impl FnMut() -> T) -> f64 {
    (0..40)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..50 {
                black_box(act());
            }
            start.elapsed().as_secs_f64() * 1e6 / 50.0
        })
        .fold(f64::INFINITY, f64::min)
}

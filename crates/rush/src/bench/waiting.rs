//! What somebody who waits costs (overload.md §C, G5): a place that is shown again, and the memory of a place.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use hyper::header::COOKIE;

use super::{
    load::{Asker, measure, sign_in},
    measures::{Found, Pace, busy, describe, empty_handler, stop},
};
use crate::{
    client::{Answer, Ask, Client},
    cpu,
    lab::{CONNECTIONS, Lab, NodeSpec},
    number::float,
    storm::wire::Place,
};

/// Everybody waits, and nobody's turn comes while one looks.
const INLET: (&str, &str) = ("PREAU_ADMISSION__INLET_PER_S", "0.001");
/// Places are drawn in batches of a moment: enough at once to have some tens of thousands soon.
const DRAWERS: usize = 256;

/// Draws one place after the other, and keeps the last.
#[derive(Default)]
struct Drawing {
    ticket: Option<String>,
}

impl Asker for Drawing {
    fn ask(&mut self) -> Ask {
        Ask::post("/api/v1/queue/tickets", Bytes::from_static(b"{}"))
    }

    fn take(&mut self, answer: &Answer) -> bool {
        let place = (answer.status == 202).then(|| Place::read(&answer.body)).flatten();
        let drawn = place.is_some();
        self.ticket = place.map(|place| place.ticket).or(self.ticket.take());
        drawn
    }
}

/// Shows a place whose turn has not come: to the API, as whoever knocks too early does, or to the page of the queue, as whoever
/// reloads it does.
struct Showing(Ask);

impl Showing {
    fn early(login: &str, ticket: &str) -> Self {
        let body = serde_json::json!({ "login": login, "password": "x", "tokens": true, "ticket": ticket });
        Self(Ask::post("/api/v1/sessions", body.to_string().into()))
    }

    fn again(ticket: &str) -> Self {
        Self(Ask::plain("/connexion").with(COOKIE, &format!("__Host-preau-ticket={ticket}.")))
    }
}

impl Asker for Showing {
    fn ask(&mut self) -> Ask {
        self.0.clone()
    }

    fn take(&mut self, answer: &Answer) -> bool {
        answer.status == 202
    }
}

/// The CPU of a node for each place shown, beside an empty handler behind the same layers; the commands that Redis carries
/// out meanwhile; and what a node and Redis hold for each place drawn.
pub(crate) async fn waiting(lab: &mut Lab, pace: Pace) -> anyhow::Result<Found> {
    // Signed in on a node of its own: behind the closed door nobody is.
    let open = lab.node(None).await?;
    let person = lab.people.first().context("nobody can sign in")?.clone();
    let token = sign_in(&*lab.client(std::slice::from_ref(&open.url)).await?, &person).await?.access;
    open.stop().await;

    let settings = vec![(INLET.0.to_owned(), INLET.1.to_owned())];
    let node = lab.start(NodeSpec { settings, ..NodeSpec::default() }).await?;
    let client = lab.client(std::slice::from_ref(&node.url)).await?;
    let pid = node.pid();
    let crowd = Arc::new(Client::new(std::slice::from_ref(&node.url), DRAWERS, Duration::from_secs(10))?);
    let nodes = [node];
    let watch = lab.watch(&nodes, None);

    let drawers = (0..DRAWERS).map(|_| Drawing::default()).collect();
    let (_, drawers) = measure(&watch, &crowd, drawers, Duration::from_secs(3)).await?;
    let before = (cpu::resident_bytes(pid)?, lab.redis_bytes().await?);
    let (drawn, drawers) = measure(&watch, &crowd, drawers, pace.window * 3).await?;
    let after = (cpu::resident_bytes(pid)?, lab.redis_bytes().await?);
    drawn.counts.check("places")?;
    describe("draw", &drawn);
    let each = |before: u64, after: u64| (float(after) - float(before)) / float(drawn.counts.right.max(1));

    let tickets = drawers.into_iter().filter_map(|drawer| drawer.ticket).take(CONNECTIONS);
    let tickets: Vec<String> = tickets.collect();
    let showing = tickets.iter().map(|ticket| Showing::early(&person.login, ticket)).collect();
    let (_, showing) = measure(&watch, &client, showing, Duration::from_secs(1)).await?;
    let operations = lab.redis_ops().await?;
    let shown = busy(&watch, &client, showing, pace).await?;
    let operations = lab.redis_ops().await?.saturating_sub(operations);
    let reloading = tickets.iter().map(|ticket| Showing::again(ticket)).collect();
    let reloaded = busy(&watch, &client, reloading, pace).await?;
    stop(nodes).await;
    shown.counts.check("a place shown")?;
    describe("shown", &shown);
    reloaded.counts.check("a page of the queue")?;
    describe("reloaded", &reloaded);

    let empty = empty_handler(lab, &token, pace).await?;
    let shown_us = shown.each_us("node");
    Ok(vec![
        ("waiting_check_us", shown_us),
        ("waiting_vs_empty", empty.each_us("node") / shown_us),
        ("waiting_page_us", reloaded.each_us("node")),
        ("waiting_redis_ops", float(operations) / float(shown.counts.right.max(1))),
        ("waiter_node_bytes", each(before.0, after.0)),
        ("waiter_redis_bytes", each(before.1, after.1)),
        ("draw_node_us", drawn.each_us("node")),
    ])
}

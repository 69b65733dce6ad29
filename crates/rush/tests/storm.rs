//! Virtual users against a small double of the queue's contract: what they count, whatever the server does.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers panic as its tests do")]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use preau_rush::{
    client::Client,
    storm::{
        crowd::{Coming, Way},
        life::{End, Life},
        scenario::{Manner, User},
        user::{Device, Live, Scene, Sends, Someone, route},
        wire::Snapshots,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

const TOKEN: &str = "e30.eyJzaWQiOiIwMTk5YWFhYSJ9.x";

/// How the double keeps its door.
#[derive(Clone, Copy, PartialEq)]
enum Door {
    /// Places; one person more every so many milliseconds.
    Tickets(u64),
    /// The same, but whoever shows a ticket is sent to the end of the line.
    Forgets(u64),
    /// So many bare refusals, then everybody.
    Bare(u64),
    /// Places that never come up.
    Frozen,
}

#[derive(Clone)]
struct Double {
    door: Door,
    begun: Instant,
    drawn: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Double {
    async fn listen(door: Door) -> (String, TaskTracker) {
        let double = Self { door, begun: Instant::now(), drawn: Arc::default(), refused: Arc::default() };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tracker = TaskTracker::new();
        let inner = tracker.clone();
        tracker.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let double = double.clone();
                inner.spawn(async move {
                    let service = service_fn(move |request| double.clone().answer(request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        (url, tracker)
    }

    /// Tags up to this one are let in.
    fn threshold(&self) -> u64 {
        match self.door {
            Door::Tickets(every) | Door::Forgets(every) => {
                u64::try_from(self.begun.elapsed().as_millis()).unwrap() / every
            }
            Door::Bare(_) => u64::MAX,
            Door::Frozen => 0,
        }
    }

    fn place(&self, tag: u64) -> Value {
        json!({ "ticket": format!("t{tag}"), "position": tag.saturating_sub(self.threshold()), "eta_s": 1,
            "eta_low_s": 0, "eta_high_s": 60, "poll_after_ms": 200, "class": "in-slot", "reason": "pupil",
            "tag": tag, "territory_id": "t" })
    }

    fn draw(&self) -> (u16, Value) {
        (202, self.place(self.drawn.fetch_add(1, Ordering::SeqCst) + 1))
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let asked = (request.method().clone(), request.uri().path().to_owned());
        assert!(request.headers().contains_key("x-rush"), "the proxy's log must know whose request it is");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let waiting = self.drawn.load(Ordering::SeqCst).saturating_sub(self.threshold());
        let shown = told["ticket"].as_str().map(|ticket| ticket.trim_start_matches('t').parse().unwrap_or(0));
        let (status, body) = match (&asked.0, asked.1.as_str()) {
            (&Method::GET, "/api/v1/queue/now") if self.drawn.load(Ordering::SeqCst) == 0 => {
                // Somebody waits from the beginning, so that everybody draws.
                (
                    200,
                    json!({ "territories": [{ "territory_id": "t", "lanes": [
                    { "class": "guardian", "threshold": 0, "waiting": 1, "sketch": [[0, 0, 0, 0, 0], [1, 1, 1, 1, 5]] }] }] }),
                )
            }
            (&Method::GET, "/api/v1/queue/now") => {
                let (threshold, last) = (self.threshold(), self.drawn.load(Ordering::SeqCst));
                let (last, s) = (last.max(threshold + 1), waiting / 20);
                let lane = json!({ "class": "in-slot", "threshold": threshold, "rate_per_s": 20.0,
                    "waiting": waiting.max(1), "look_max_s": 1,
                    "sketch": [[threshold, 0, 0, 0, 0], [last, waiting, s, s, s]] });
                (
                    200,
                    json!({ "epoch": 1, "pressure": 1.5, "territories": [{ "territory_id": "t", "lanes": [lane] }] }),
                )
            }
            (&Method::POST, "/api/v1/queue/tickets") if !matches!(self.door, Door::Bare(_)) => self.draw(),
            (&Method::POST, "/api/v1/sessions") => match self.door {
                Door::Bare(times) if self.refused.fetch_add(1, Ordering::SeqCst) < times => {
                    (429, json!({ "code": "overloaded" }))
                }
                Door::Forgets(_) if self.refused.fetch_add(1, Ordering::SeqCst) == 0 => self.draw(),
                _ if told["password"] != "secret" => (401, json!({ "code": "bad-credentials" })),
                Door::Bare(_) => (201, Value::Null),
                _ => match shown {
                    Some(tag) if tag <= self.threshold() => (201, Value::Null),
                    Some(tag) => (202, self.place(tag)),
                    None => self.draw(),
                },
            },
            (&Method::GET, "/api/v1/home") => (200, json!({})),
            _ => (404, json!({ "code": "not-found" })),
        };
        let body = match status {
            201 => json!({ "person": { "id": "p" }, "access_token": TOKEN, "refresh_token": "r" }),
            _ => body,
        };
        let mut response = Response::builder().status(status);
        if status == 202 {
            response = response.header("retry-after", "1");
        }
        Ok(response.body(Full::new(Bytes::from(body.to_string()))).unwrap())
    }
}

fn someone(number: u64, change: impl FnOnce(&mut Coming)) -> Someone {
    let mut coming = Coming {
        at: Duration::from_millis(number * 10),
        person: Some(usize::try_from(number).unwrap()),
        crowd: 0,
        manner: Manner::People,
        way: Way::Password,
        trusted: false,
        typo: false,
        retypes_s: (2.0, 6.0),
        human: false,
        abandon: None,
        address: "192.0.2.1".to_owned(),
        seed: number,
    };
    change(&mut coming);
    Someone {
        number,
        coming,
        login: format!("eleve.{number}"),
        password: Arc::from("secret"),
        profile: "pupil",
        school_id: Some("s".to_owned()),
        join_key: String::new(),
        device: Device::default(),
        life: Life { user: number, class: "in-slot", ..Life::default() },
    }
}

async fn live(door: Door, seconds: f64, people: Vec<Someone>) -> Vec<Life> {
    let (url, _open) = Double::listen(door).await;
    let start = Instant::now();
    let scene = Arc::new(Scene {
        client: Arc::new(Client::new(&[url], 64, Duration::from_secs(10)).unwrap()),
        user: User { reload_s: (0.2, 0.4), ..User::default() },
        desk: None,
        snapshots: Snapshots::default(),
        start,
        end: start + Duration::from_secs_f64(seconds),
        sends: Sends { late_after_us: 10_000, ..Sends::default() },
        live: Live::default(),
    });
    let tracker = TaskTracker::new();
    let lives: Vec<_> = people
        .into_iter()
        .map(|someone| {
            let scene = Arc::clone(&scene);
            tracker.spawn(async move { someone.live(&scene).await })
        })
        .collect();
    let mut found = Vec::new();
    for life in lives {
        found.push(life.await.unwrap());
    }
    assert!(scene.sends.all.load(Ordering::Relaxed) >= u64::try_from(found.len()).unwrap());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn our_page_knocks_once_when_its_turn_has_come() {
    let people = (0..12).map(|number| someone(number, |_| {})).collect();
    let lives = live(Door::Tickets(60), 20.0, people).await;
    for life in &lives {
        assert_eq!((life.end, life.posts, life.bare, life.places_lost), (End::Inside, 1, 0, 0), "{life:?}");
        assert_eq!(life.answers[route::SESSIONS][&201], 1);
        assert_eq!(life.answers[route::TICKETS][&202], 1);
        assert_eq!(life.family_id.as_deref(), Some("0199aaaa"));
        assert!(life.home_us >= life.inside_us && life.inside_us > life.knocked_us);
        assert!(life.estimate.is_some_and(|it| it.high_s > it.low_s));
    }
    assert!(lives.iter().any(|life| life.polls > 1), "somebody waited");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_impatient_knock_often_and_keep_their_place() {
    let people = (0..8).map(|number| someone(number, |coming| coming.human = true)).collect();
    let lives = live(Door::Tickets(250), 20.0, people).await;
    assert!(lives.iter().all(|life| life.end == End::Inside && life.places_lost == 0), "{lives:?}");
    assert!(lives.iter().map(|life| life.posts).sum::<u32>() > 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worse_place_for_a_ticket_that_was_shown_is_a_lost_one() {
    let people = (0..4).map(|number| someone(number, |_| {})).collect();
    let lives = live(Door::Forgets(50), 20.0, people).await;
    assert_eq!(lives.iter().map(|life| life.places_lost).sum::<u32>(), 1, "{lives:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_without_a_place_is_bare_and_people_press_again() {
    let lives = live(Door::Bare(3), 20.0, vec![someone(0, |_| {})]).await;
    assert_eq!((lives[0].end, lives[0].bare, lives[0].posts), (End::Inside, 3, 4), "{:?}", lives[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_password_is_typed_again_and_counted_apart() {
    let lives = live(Door::Tickets(1), 20.0, vec![someone(0, |coming| coming.typo = true)]).await;
    let life = &lives[0];
    assert_eq!((life.end, life.typo_posts, life.posts, life.hashes), (End::Inside, 1, 1, 2), "{life:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends_and_so_does_the_segment() {
    let people =
        vec![someone(0, |coming| coming.abandon = Some(Duration::from_millis(300))), someone(1, |_| {})];
    let lives = live(Door::Frozen, 1.0, people).await;
    assert_eq!(lives.iter().map(|life| life.end).collect::<Vec<_>>(), [End::Abandoned, End::CutShort]);
    assert!(lives.iter().all(|life| life.inside_us.is_none()));
    assert!(lives[0].left_us.is_some_and(|left| left >= 300_000) && lives[1].left_us.is_none(), "{lives:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attackers_find_nothing() {
    let people = vec![
        someone(0, |coming| (coming.manner, coming.person) = (Manner::Forger, None)),
        Someone {
            password: Arc::from("guess"),
            ..someone(1, |coming| (coming.manner, coming.person) = (Manner::Stuffing, None))
        },
    ];
    let lives = live(Door::Bare(0), 5.0, people).await;
    // The double believes any ticket: a forger who comes in is a failure, and is told.
    assert_eq!(lives[0].end, End::Failed);
    assert_eq!((lives[1].end, lives[1].hashes), (End::Refused, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawn_ticket_is_shown_again_and_again_and_a_drawer_never_knocks() {
    let nobody = |number: u64, manner: Manner| Someone {
        password: Arc::from("guess"),
        ..someone(number, |coming| (coming.manner, coming.person) = (manner, None))
    };
    let lives = live(Door::Frozen, 5.0, vec![nobody(0, Manner::Forger), nobody(1, Manner::Drawer)]).await;
    assert_eq!((lives[0].end, lives[0].posts), (End::Refused, 9), "{lives:?}");
    assert_eq!(lives[0].answers[route::TICKETS][&202], 1);
    assert_eq!((lives[1].end, lives[1].posts), (End::Refused, 0), "{lives:?}");
    assert_eq!(lives[1].answers[route::TICKETS][&202], 1);
}

//! One virtual user as a state machine: comes, waits with a place, knocks, reads the day.
//!
//! It does what our page does: looks at the shared snapshot, draws a place while others wait, computes its own place from
//! further snapshots, and knocks when its turn has come. `human` users knock from the beginning, again and again. In a mode without
//! places the same people are told what that mode tells, and do what people do then.

mod ask;
mod attack;
mod enter;
mod wait;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::{
    crowd::Coming,
    desk::Desk,
    life::{End, Life},
    scenario::{Manner, User},
    wire::{Place, Snapshots},
};
use crate::{
    client::Client,
    number::{float, micros},
};

/// The routes of a storm, as the report, the lines of users and the proxy's log name them.
pub mod route {
    pub const SESSIONS: &str = "POST /api/v1/sessions";
    pub const TICKETS: &str = "POST /api/v1/queue/tickets";
    pub const NOW: &str = "GET /api/v1/queue/now";
    pub const REFRESH: &str = "POST /api/v1/sessions/refresh";
    pub const HOME: &str = "GET /api/v1/home";
    pub const LEAVE: &str = "DELETE /api/v1/sessions/current";
    pub const DEPART: &str = "GET /federation/depart";
    pub const RETURN: &str = "POST /federation/retour";
    pub const RESUME: &str = "GET /federation/suite";

    /// All of them.
    pub const ALL: [&str; 9] = [SESSIONS, TICKETS, NOW, REFRESH, HOME, LEAVE, DEPART, RETURN, RESUME];
    /// Those that may end in a session.
    pub const LETS_IN: [&str; 3] = [SESSIONS, RETURN, RESUME];
}

/// What yesterday left on somebody's device.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// The sealed claim, `name=value`.
    pub claim: Option<String>,
    pub refresh: Option<String>,
}

/// What all users of a segment share.
pub struct Scene {
    pub client: Arc<Client>,
    pub user: User,
    pub desk: Option<Arc<Desk>>,
    pub snapshots: Snapshots,
    pub start: Instant,
    /// Nothing is begun after this.
    pub end: Instant,
    pub sends: Sends,
    pub live: Live,
}

/// The generator's own punctuality: every send that a clock decided.
#[derive(Debug, Default)]
pub struct Sends {
    pub all: AtomicU64,
    pub late: AtomicU64,
    pub worst_us: AtomicU64,
    pub late_after_us: u64,
}

impl Sends {
    fn note(&self, late: Duration) {
        let late = micros(late);
        self.all.fetch_add(1, Ordering::Relaxed);
        self.worst_us.fetch_max(late, Ordering::Relaxed);
        if late > self.late_after_us {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// For the line of progress.
#[derive(Debug, Default)]
pub struct Live {
    pub arrived: AtomicU64,
    pub inside: AtomicU64,
    pub waiting: AtomicU64,
    pub refused: AtomicU64,
    /// People waiting by the last snapshot that anybody saw, and ten thousand times the pressure.
    pub queue: AtomicU64,
    pub pressure: AtomicU64,
}

/// Who a virtual user is.
pub struct Someone {
    pub number: u64,
    pub coming: Coming,
    pub login: String,
    pub password: Arc<str>,
    pub profile: &'static str,
    pub school_id: Option<String>,
    pub join_key: String,
    pub device: Device,
    /// Filled with what is known before it begins.
    pub life: Life,
}

/// Why a life goes no further.
struct Stop(End);

struct Walk<'a> {
    scene: &'a Scene,
    someone: &'a Someone,
    life: Life,
    rng: ChaCha8Rng,
    /// When patience ends.
    gives_up: Option<Instant>,
    place: Option<Place>,
    shown: Option<f64>,
    typo: bool,
}

impl Someone {
    /// Lives until it is inside, has given up, or the segment ends. Never fails: what went wrong is in the line.
    pub async fn live(mut self, scene: &Scene) -> Life {
        let intended = scene.start + self.coming.at;
        let late = Instant::now().saturating_duration_since(intended);
        scene.sends.note(late);
        scene.live.arrived.fetch_add(1, Ordering::Relaxed);
        let mut life = std::mem::take(&mut self.life);
        life.arrived_us = micros(self.coming.at);
        life.late_us = micros(late);
        let mut walk = Walk {
            scene,
            someone: &self,
            life,
            rng: ChaCha8Rng::seed_from_u64(self.coming.seed),
            gives_up: self.coming.abandon.map(|patience| intended + patience),
            place: None,
            shown: None,
            typo: self.coming.typo,
        };
        let outcome = match self.coming.manner {
            Manner::People => walk.person().await,
            Manner::Hostile => walk.hostile().await,
            Manner::Stuffing => walk.stuffing().await,
            Manner::Forger => walk.forger().await,
            Manner::Bulky => walk.bulky().await,
            Manner::Drawer => walk.drawer().await,
            Manner::Slow | Manner::SlowReader => Ok(()),
        };
        walk.life.end = match outcome {
            Ok(()) => End::Inside,
            Err(Stop(end)) => end,
        };
        if walk.life.inside_us.is_none() && walk.life.end != End::CutShort {
            walk.life.left_us = Some(walk.now_us());
        }
        walk.life
    }
}

impl Live {
    /// How it stands, for a line of progress.
    #[must_use]
    pub fn line(&self, seconds: f64) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "{} came · {} inside ({:.0}/s) · {} wait outside · {} refusals · queue {} · pressure {:.2}",
            of(&self.arrived),
            of(&self.inside),
            float(of(&self.inside)) / seconds.max(0.1),
            of(&self.waiting),
            of(&self.refused),
            of(&self.queue),
            float(of(&self.pressure)) / 1e4
        )
    }
}

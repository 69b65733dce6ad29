//! One virtual user as a state machine: comes, waits with a place, knocks, reads the day.
//!
//! It does what our page does: looks at the shared snapshot, draws a place while others wait, computes its own place from
//! further snapshots, and knocks when its turn has come. `human` users knock again and again instead. In a mode without
//! places the same people are told what that mode tells, and do what people do then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderName, header};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::sleep_until;

use super::{
    crowd::{Coming, Way},
    desk::{self, Desk, Problem},
    life::{End, Estimate, Life},
    scenario::{Manner, User},
    wire::{Now, Place, Snapshots, Stand},
};
use crate::{
    client::{Answer, Ask, Client, Failure},
    flow::Tokens,
    number::{float, floor, micros},
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

    /// All of them.
    pub const ALL: [&str; 8] = [SESSIONS, TICKETS, NOW, REFRESH, HOME, LEAVE, DEPART, RETURN];
}

/// Says which virtual user a request is of; the proxy's log repeats it.
const WHO: HeaderName = HeaderName::from_static("x-rush");
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

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

#[derive(Serialize)]
struct Declared<'a> {
    profile: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    school_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Knock<'a> {
    login: &'a str,
    password: &'a str,
    trusted_device: bool,
    tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    declared: Option<Declared<'a>>,
}

#[derive(Serialize)]
struct Draw<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    declared: Option<Declared<'a>>,
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
            Manner::Slow => Ok(()),
        };
        walk.life.end = match outcome {
            Ok(()) => End::Inside,
            Err(Stop(end)) => end,
        };
        walk.life
    }
}

impl Walk<'_> {
    // People

    async fn person(&mut self) -> Result<(), Stop> {
        if self.someone.coming.way == Way::Refresh && self.come_back().await? {
            return Ok(());
        }
        self.scene.live.waiting.fetch_add(1, Ordering::Relaxed);
        let entered = match self.someone.coming.way {
            Way::Desk => self.enter_by_desk().await,
            _ => self.enter_by_password().await,
        };
        self.scene.live.waiting.fetch_sub(1, Ordering::Relaxed);
        let tokens = entered?;
        self.read_the_day(tokens).await
    }

    /// With yesterday's token; false when there is none, or it is refused.
    async fn come_back(&mut self) -> Result<bool, Stop> {
        let Some(refresh) = self.someone.device.refresh.clone() else { return Ok(false) };
        let body = serde_json::json!({ "refresh_token": refresh });
        let ask = Ask::post("/api/v1/sessions/refresh", body.to_string().into());
        self.life.knocked_us = Some(self.now_us());
        let Ok(answer) = self.send(route::REFRESH, ask).await? else { return Ok(false) };
        #[derive(Deserialize)]
        struct Back {
            access_token: String,
        }
        match serde_json::from_slice::<Back>(&answer.body) {
            Ok(back) if answer.status == 200 => {
                self.came_in(&answer);
                self.read_the_day(Entered::Bearer(back.access_token.into())).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn enter_by_password(&mut self) -> Result<Entered, Stop> {
        self.look_and_draw().await?;
        let mut attempt = 0_u32;
        loop {
            self.wait_for_turn().await?;
            let typo = std::mem::take(&mut self.typo);
            let ask = self.knock(typo);
            if typo {
                self.life.typo_posts += 1;
            } else {
                self.life.posts += 1;
            }
            self.life.knocked_us = Some(self.now_us());
            let Ok(answer) = self.send_hanging(route::SESSIONS, ask).await? else {
                attempt += 1;
                self.after_no_answer(attempt).await?;
                continue;
            };
            match answer.status {
                201 => {
                    self.life.hashes += 1;
                    let tokens = Tokens::from_sign_in(&answer.body).ok_or(Stop(End::Failed))?;
                    self.came_in(&answer);
                    self.life.person_id = Some(tokens.person_id);
                    self.life.family_id = tokens.family_id;
                    return Ok(Entered::Bearer(tokens.access));
                }
                202 => self.take_place(&answer)?,
                401 if typo => {
                    self.life.hashes += 1;
                    self.pause_between(2.0, 6.0).await?;
                }
                429 | 503 => {
                    self.note_refusal(&answer);
                    attempt += 1;
                    self.after_refusal(&answer, attempt).await?;
                }
                _ => return Err(Stop(End::Failed)),
            }
        }
    }

    async fn enter_by_desk(&mut self) -> Result<Entered, Stop> {
        self.look_and_draw().await?;
        let mut attempt = 0_u32;
        loop {
            self.wait_for_turn().await?;
            let scene = self.scene;
            let Some(desk) = &scene.desk else { return Err(Stop(End::Failed)) };
            let territory = self.life.territory.unwrap_or(0);
            let ticket = self.place.as_ref().map(|place| place.ticket.as_str());
            let ask = desk.depart(territory, ticket, self.someone.device.claim.as_deref());
            self.life.knocked_us = Some(self.now_us());
            self.life.posts += 1;
            let Ok(departure) = self.send_hanging(route::DEPART, ask).await? else {
                attempt += 1;
                self.after_no_answer(attempt).await?;
                continue;
            };
            if matches!(departure.status, 429 | 503) {
                self.note_refusal(&departure);
                attempt += 1;
                self.after_refusal(&departure, attempt).await?;
                continue;
            }
            if !desk.is_departure(&departure) {
                self.hold_page(&departure).await?;
                continue;
            }
            // At the desk somebody types for a moment; a storm of ours does not load the desk.
            self.pause_between(0.2, 0.6).await?;
            let Some(back) = desk.answer(territory, &departure, &self.someone.join_key) else {
                return Err(Stop(End::Failed));
            };
            let Ok(answer) = self.send_hanging(route::RETURN, back).await? else {
                attempt += 1;
                self.after_no_answer(attempt).await?;
                continue;
            };
            match (answer.status, desk.session(&answer)) {
                (200 | 303, Some(session)) => {
                    self.came_in(&answer);
                    self.life.family_id = session.family_id;
                    return Ok(Entered::Cookie(session.cookie));
                }
                (202, _) => self.hold_page(&answer).await?,
                (429 | 503, _) => {
                    self.note_refusal(&answer);
                    attempt += 1;
                    self.after_refusal(&answer, attempt).await?;
                }
                _ => return Err(Stop(End::Failed)),
            }
        }
    }

    /// The queue's page: the browser keeps the ticket that it holds in a cookie, and asks for its place.
    async fn hold_page(&mut self, page: &Answer) -> Result<(), Stop> {
        if page.status != 202 {
            return Err(Stop(End::Failed));
        }
        let Some(ticket) = desk::held(page) else {
            self.life.bare += 1;
            return self.pause(Duration::from_secs(1)).await;
        };
        let body = serde_json::json!({ "ticket": ticket }).to_string();
        if let Ok(answer) = self.send(route::TICKETS, Ask::post("/api/v1/queue/tickets", body.into())).await?
            && Place::read(&answer.body).is_some()
        {
            return self.take_place(&answer);
        }
        self.place = Some(Place { ticket, ..Place::default() });
        self.pause(Duration::from_secs(1)).await
    }

    async fn read_the_day(&mut self, entered: Entered) -> Result<(), Stop> {
        let home = || match &entered {
            Entered::Bearer(token) => Ask::get("/api/v1/home", Arc::clone(token)),
            Entered::Cookie(cookie) => Ask::plain("/api/v1/home").with(header::COOKIE, cookie),
        };
        self.gives_up = None;
        let mut etag = None;
        for reading in 0..=self.scene.user.reads {
            if reading > 0 {
                let think = self.scene.user.think_s * self.rng.random_range(0.5..1.5);
                if self.pause(Duration::from_secs_f64(think)).await.is_err() {
                    return Ok(()); // inside when the segment ended
                }
            }
            let mut ask = home();
            ask.if_none_match.clone_from(&etag);
            // Somebody who is inside is not late for the day because the segment ends.
            let mut answer = self.exchange(route::HOME, ask.clone(), None).await;
            // Shed with a time to come back: our page asks again, three times at most.
            for _ in 0..3 {
                let Ok(shed) = &answer else { break };
                let Some(told) = shed.retry_after.filter(|_| matches!(shed.status, 429 | 503)) else { break };
                let told = told.as_secs_f64();
                if self.pause_between(told, told * 1.3).await.is_err() {
                    break;
                }
                answer = self.exchange(route::HOME, ask.clone(), None).await;
            }
            match answer {
                Ok(answer) if matches!(answer.status, 200 | 304) => {
                    if reading == 0 {
                        self.life.home_us = Some(self.at_us(answer.done));
                    }
                    etag = answer.etag.or(etag);
                }
                // Shed to the end: read again at the next thought.
                Ok(answer) if matches!(answer.status, 429 | 503) && answer.retry_after.is_some() => {}
                _ => return Err(Stop(End::Failed)),
            }
        }
        if self.rng.random::<f64>() < self.scene.user.sign_out {
            let ask = Ask { method: http::Method::DELETE, path: "/api/v1/sessions/current".into(), ..home() };
            let _ = self.exchange(route::LEAVE, ask, None).await;
        }
        Ok(())
    }

    /// What our page does as it opens: looks whether anybody waits, and draws a place if so.
    async fn look_and_draw(&mut self) -> Result<(), Stop> {
        let Some(now) = self.look().await? else { return Ok(()) };
        if now.waiting() == 0 || self.place.is_some() {
            return Ok(());
        }
        let body = serde_json::to_vec(&Draw { declared: self.declared() }).unwrap_or_default();
        let ask = self.with_claim(Ask::post("/api/v1/queue/tickets", body.into()));
        let Ok(answer) = self.send(route::TICKETS, ask).await? else { return Ok(()) };
        match answer.status {
            200..=202 if Place::read(&answer.body).is_some() => self.take_place(&answer)?,
            // Nobody waits any more, or this Préau draws places at the door only.
            _ => {}
        }
        Ok(())
    }

    /// Looks at the snapshot until the turn has come. Returns at once without a place.
    async fn wait_for_turn(&mut self) -> Result<(), Stop> {
        let Some(place) = self.place.clone() else { return Ok(()) };
        if self.someone.coming.human {
            let (low, high) = self.scene.user.reload_s;
            return self.pause_between(low, high).await;
        }
        let mut wait = Duration::from_millis(place.poll_after_ms.clamp(200, 60_000));
        loop {
            self.pause(wait).await?;
            let Some(now) = self.look().await? else { return Ok(()) };
            let Stand::Behind { position, eta_s: eta, look_max_s } = now.stand(&place) else { return Ok(()) };
            if self.shown.is_some_and(|shown| position > shown + 2.0) {
                self.life.worsened += 1;
            }
            self.shown = Some(self.shown.map_or(position, |shown| shown.min(position)));
            self.note_later_estimate(eta);
            // As our page does: well before the turn, and often when it is near.
            let seconds = if eta < 3.0 {
                self.rng.random_range(0.8..1.3)
            } else {
                (eta * self.rng.random_range(0.25..0.4)).clamp(1.0, look_max_s)
            };
            wait = Duration::from_secs_f64(seconds);
        }
    }

    async fn look(&mut self) -> Result<Option<Arc<Now>>, Stop> {
        self.life.polls += 1;
        let Ok(answer) = self.send(route::NOW, Ask::plain("/api/v1/queue/now")).await? else {
            return Ok(None);
        };
        if answer.status != 200 {
            return Ok(None);
        }
        let now = self.scene.snapshots.read(&answer.body);
        if let Some(now) = &now {
            self.scene.live.queue.store(now.waiting(), Ordering::Relaxed);
            self.scene.live.pressure.store(floor(now.pressure * 1e4), Ordering::Relaxed);
        }
        Ok(now)
    }

    fn take_place(&mut self, answer: &Answer) -> Result<(), Stop> {
        // A 202 without a place is not in the contract.
        let place = Place::read(&answer.body).ok_or_else(|| {
            self.life.bare += 1;
            Stop(End::Failed)
        })?;
        if answer.retry_after.is_none() {
            self.life.bare += 1;
        }
        if let Some(held) = &self.place
            && held.ticket != place.ticket
            && (held.class != place.class || place.tag > held.tag)
        {
            self.life.places_lost += 1;
        }
        if self.life.estimate.is_none() && place.opens_at.is_none() {
            self.life.estimate = Some(Estimate {
                at_us: self.at_us(answer.done),
                eta_s: place.eta_s,
                low_s: place.eta_low_s,
                high_s: place.eta_high_s,
            });
        }
        self.life.lane = Some(place.class.clone());
        self.life.reason = Some(place.reason.clone());
        self.place = Some(place);
        Ok(())
    }

    fn note_later_estimate(&mut self, eta_s: f64) {
        let now = self.now_us();
        if self.life.later_estimate.is_none() && now.saturating_sub(self.life.arrived_us) > 30_000_000 {
            let band = (0.2 * eta_s).max(10.0);
            self.life.later_estimate =
                Some(Estimate { at_us: now, eta_s, low_s: eta_s - band, high_s: eta_s + band });
        }
    }

    fn note_refusal(&mut self, answer: &Answer) {
        self.scene.live.refused.fetch_add(1, Ordering::Relaxed);
        if answer.status == 503 && answer.retry_after.is_some() {
            self.life.unavailable += 1;
            return;
        }
        let code = serde_json::from_slice::<Problem>(&answer.body).map(|problem| problem.code);
        // Whoever typed wrongly too often is held back by name, not by the crowd.
        let by_name = code.as_deref().is_ok_and(|code| code != "overloaded");
        if !by_name && (self.place.is_none() || answer.retry_after.is_none()) {
            self.life.bare += 1;
        }
    }

    /// People press again after a while; our page after the time it was told, a little more each time.
    async fn after_refusal(&mut self, answer: &Answer, attempt: u32) -> Result<(), Stop> {
        let (low, high) = self.scene.user.reload_s;
        let wait = match answer.retry_after {
            Some(told) if !self.someone.coming.human => {
                told.as_secs_f64().max(0.5)
                    * self.rng.random_range(1.0..1.0 + 0.5 * f64::from(attempt.min(4)))
            }
            _ => self.rng.random_range(low..=high),
        };
        self.pause(Duration::from_secs_f64(wait)).await
    }

    async fn after_no_answer(&mut self, attempt: u32) -> Result<(), Stop> {
        let wait = if self.someone.coming.human {
            self.rng.random_range(0.2..1.0) // pressed reload; the request that hung was given up by that
        } else {
            self.rng.random_range(0.5..1.0 + f64::from(1_u32 << attempt.min(4)))
        };
        self.pause(Duration::from_secs_f64(wait)).await
    }

    fn came_in(&mut self, answer: &Answer) {
        self.life.inside_us = Some(self.at_us(answer.done));
        self.scene.live.inside.fetch_add(1, Ordering::Relaxed);
    }

    // Attackers

    /// Real people with an impatient script: every second, without the ticket, until it works.
    async fn hostile(&mut self) -> Result<(), Stop> {
        loop {
            self.life.posts += 1;
            let ask = self.knock(false);
            self.life.knocked_us = Some(self.now_us());
            match self.exchange(route::SESSIONS, ask, Some(Duration::from_secs(1))).await {
                Ok(answer) if answer.status == 201 => {
                    self.life.hashes += 1;
                    let tokens = Tokens::from_sign_in(&answer.body).ok_or(Stop(End::Failed))?;
                    self.came_in(&answer);
                    self.life.person_id = Some(tokens.person_id);
                    self.life.family_id = tokens.family_id;
                    return Ok(());
                }
                _ => self.pause(Duration::from_secs(1)).await?,
            }
        }
    }

    /// Names that nobody has. Honours places, because that gets furthest.
    async fn stuffing(&mut self) -> Result<(), Stop> {
        loop {
            self.wait_for_turn().await?;
            self.life.posts += 1;
            let ask = self.knock(false);
            match self.exchange(route::SESSIONS, ask, Some(Duration::from_secs(10))).await {
                Ok(answer) => match answer.status {
                    202 => self.take_place(&answer)?,
                    401 => {
                        self.life.hashes += 1;
                        return Err(Stop(End::Refused));
                    }
                    201 => return Err(Stop(End::Failed)),
                    _ => self.pause(answer.retry_after.unwrap_or(Duration::from_secs(1))).await?,
                },
                Err(_) => self.pause(Duration::from_secs(1)).await?,
            }
        }
    }

    /// Shows tickets that nobody issued: garbage of the right length, then of none.
    async fn forger(&mut self) -> Result<(), Stop> {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for length in [120_usize, 128, 119, 7, 1] {
            let ticket: String = (0..length)
                .filter_map(|_| LETTERS.get(self.rng.random_range(0..LETTERS.len())).copied())
                .map(char::from)
                .collect();
            self.place = Some(Place { ticket, ..Place::default() });
            let ask = self.knock(false);
            self.life.posts += 1;
            match self.exchange(route::SESSIONS, ask, Some(Duration::from_secs(10))).await {
                Ok(answer) if matches!(answer.status, 202 | 401 | 429) => {
                    self.life.hashes += u32::from(answer.status == 401);
                }
                Ok(_) => return Err(Stop(End::Failed)),
                Err(_) => {}
            }
        }
        Err(Stop(End::Refused))
    }

    /// A body that no sign-in has.
    async fn bulky(&mut self) -> Result<(), Stop> {
        let body = format!("{{\"login\":\"{}\"}}", "a".repeat(1 << 20));
        let ask = Ask::post("/api/v1/sessions", body.into());
        match self.exchange(route::SESSIONS, ask, Some(Duration::from_secs(10))).await {
            Ok(answer) if answer.status < 500 => Err(Stop(End::Refused)),
            Ok(_) => Err(Stop(End::Failed)),
            // Hung up on: as good a refusal.
            Err(_) => Err(Stop(End::Refused)),
        }
    }

    // Requests

    fn declared(&self) -> Option<Declared<'_>> {
        if self.someone.device.claim.is_some() || self.someone.coming.person.is_none() {
            return None;
        }
        Some(Declared { profile: self.someone.profile, school_id: self.someone.school_id.as_deref() })
    }

    fn knock(&self, typo: bool) -> Ask {
        let wrong;
        let password = if typo {
            wrong = format!("{}q", self.someone.password);
            &wrong
        } else {
            &*self.someone.password
        };
        let knock = Knock {
            login: &self.someone.login,
            password,
            trusted_device: self.someone.coming.trusted,
            tokens: true,
            ticket: self
                .place
                .as_ref()
                .filter(|_| self.someone.coming.manner != Manner::Hostile)
                .map(|place| place.ticket.as_str()),
            declared: self.declared(),
        };
        // A structure of strings and booleans has no way to fail.
        let body = serde_json::to_vec(&knock).unwrap_or_default();
        self.with_claim(Ask::post("/api/v1/sessions", body.into()))
    }

    fn with_claim(&self, ask: Ask) -> Ask {
        match &self.someone.device.claim {
            Some(claim) => ask.with(header::COOKIE, claim),
            None => ask,
        }
    }

    fn marked(&self, ask: Ask) -> Ask {
        ask.with(WHO, &self.someone.number.to_string()).with(FORWARDED, &self.someone.coming.address)
    }

    /// As [`Walk::exchange`], unless the segment or the user's patience has ended.
    async fn send(&mut self, route: &'static str, ask: Ask) -> Result<Result<Answer, Failure>, Stop> {
        self.still_here()?;
        let ask = self.marked(ask);
        Ok(self.exchange_marked(route, ask, None).await)
    }

    /// The same, given up when it hangs for longer than this user bears.
    async fn send_hanging(&mut self, route: &'static str, ask: Ask) -> Result<Result<Answer, Failure>, Stop> {
        self.still_here()?;
        let (low, high) = self.scene.user.hang_s;
        let bears = Duration::from_secs_f64(self.rng.random_range(low..=high));
        let ask = self.marked(ask);
        Ok(self.exchange_marked(route, ask, Some(bears)).await)
    }

    async fn exchange(
        &mut self,
        route: &'static str,
        ask: Ask,
        bears: Option<Duration>,
    ) -> Result<Answer, Failure> {
        let ask = self.marked(ask);
        self.exchange_marked(route, ask, bears).await
    }

    async fn exchange_marked(
        &mut self,
        route: &'static str,
        ask: Ask,
        bears: Option<Duration>,
    ) -> Result<Answer, Failure> {
        let answer = match bears {
            Some(bears) => self.scene.client.send_within(&ask, bears).await,
            None => self.scene.client.send(&ask).await,
        };
        match &answer {
            Ok(answer) => self.life.answered(route, answer.status),
            Err(_) => self.life.unanswered(route),
        }
        answer
    }

    fn still_here(&self) -> Result<(), Stop> {
        let now = Instant::now();
        if now >= self.scene.end {
            return Err(Stop(End::CutShort));
        }
        if self.gives_up.is_some_and(|until| now >= until) {
            return Err(Stop(End::Abandoned));
        }
        Ok(())
    }

    async fn pause_between(&mut self, low: f64, high: f64) -> Result<(), Stop> {
        let time = self.rng.random_range(low..=high);
        self.pause(Duration::from_secs_f64(time)).await
    }

    async fn pause(&mut self, time: Duration) -> Result<(), Stop> {
        let until = Instant::now() + time;
        if let Some(gives_up) = self.gives_up
            && gives_up < until
            && gives_up < self.scene.end
        {
            sleep_until(gives_up.into()).await;
            return Err(Stop(End::Abandoned));
        }
        if until >= self.scene.end {
            sleep_until(self.scene.end.into()).await;
            return Err(Stop(End::CutShort));
        }
        sleep_until(until.into()).await;
        self.scene.sends.note(Instant::now().saturating_duration_since(until));
        Ok(())
    }

    fn now_us(&self) -> u64 {
        self.at_us(Instant::now())
    }

    fn at_us(&self, at: Instant) -> u64 {
        micros(at.saturating_duration_since(self.scene.start))
    }
}

/// What lets a request pass as somebody's.
enum Entered {
    Bearer(Arc<str>),
    Cookie(String),
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

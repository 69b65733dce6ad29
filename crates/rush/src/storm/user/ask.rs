//! What a virtual user sends, marked with its number, and how long it bears to wait for what comes back.

use std::time::{Duration, Instant};

use http::{HeaderName, header};
use rand::Rng as _;
use serde::Serialize;
use tokio::time::sleep_until;

use super::{Stop, Walk};
use crate::{
    client::{Answer, Ask, Failure},
    number::micros,
    storm::{life::End, scenario::Manner},
};

/// Says which virtual user a request is of; the proxy's log repeats it.
const WHO: HeaderName = HeaderName::from_static("x-rush");
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What somebody says of themselves, whom no device knows.
#[derive(Serialize)]
pub(super) struct Declared<'a> {
    profile: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    school_id: Option<&'a str>,
}

impl<'a> Declared<'a> {
    /// What anybody may say.
    pub(super) fn pupil_of(school_id: Option<&'a str>) -> Self {
        Self { profile: "pupil", school_id }
    }
}

/// The body of a sign-in.
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

/// The body that asks for a place.
#[derive(Serialize)]
pub(super) struct Draw<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) declared: Option<Declared<'a>>,
}

impl Walk<'_> {
    pub(super) fn declared(&self) -> Option<Declared<'_>> {
        if self.someone.device.claim.is_some() || self.someone.coming.person.is_none() {
            return None;
        }
        Some(Declared { profile: self.someone.profile, school_id: self.someone.school_id.as_deref() })
    }

    pub(super) fn knock(&self, typo: bool) -> Ask {
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

    pub(super) fn with_claim(&self, ask: Ask) -> Ask {
        match &self.someone.device.claim {
            Some(claim) => ask.with(header::COOKIE, claim),
            None => ask,
        }
    }

    fn marked(&self, ask: Ask) -> Ask {
        ask.with(WHO, &self.someone.number.to_string()).with(FORWARDED, &self.someone.coming.address)
    }

    /// As [`Walk::exchange`], unless the segment or the user's patience has ended.
    pub(super) async fn send(
        &mut self,
        route: &'static str,
        ask: Ask,
    ) -> Result<Result<Answer, Failure>, Stop> {
        self.still_here()?;
        let ask = self.marked(ask);
        Ok(self.exchange_marked(route, ask, None).await)
    }

    /// The same, given up when it hangs for longer than this user bears.
    pub(super) async fn send_hanging(
        &mut self,
        route: &'static str,
        ask: Ask,
    ) -> Result<Result<Answer, Failure>, Stop> {
        self.still_here()?;
        let (low, high) = self.scene.user.hang_s;
        let bears = Duration::from_secs_f64(self.rng.random_range(low..=high));
        let ask = self.marked(ask);
        Ok(self.exchange_marked(route, ask, Some(bears)).await)
    }

    pub(super) async fn exchange(
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

    pub(super) async fn pause_between(&mut self, low: f64, high: f64) -> Result<(), Stop> {
        let time = self.rng.random_range(low..=high);
        self.pause(Duration::from_secs_f64(time)).await
    }

    pub(super) async fn pause(&mut self, time: Duration) -> Result<(), Stop> {
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

    pub(super) fn now_us(&self) -> u64 {
        self.at_us(Instant::now())
    }

    pub(super) fn at_us(&self, at: Instant) -> u64 {
        micros(at.saturating_duration_since(self.scene.start))
    }
}

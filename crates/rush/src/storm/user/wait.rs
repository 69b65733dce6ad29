//! People wait as our page does: they look at what all share, draw a place, compute it further, and bear refusals.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rand::Rng as _;

use super::{Stop, Walk, ask::Draw, route};
use crate::{
    client::{Answer, Ask},
    number::floor,
    storm::{
        desk::Problem,
        life::{End, Estimate},
        wire::{Now, Place, Stand},
    },
};

impl Walk<'_> {
    /// What a page does as it opens: looks whether anybody waits, and draws a place if so. Whoever presses again and again does so
    /// from the beginning: our own page draws none before the password is sent.
    pub(super) async fn look_and_draw(&mut self) -> Result<(), Stop> {
        let Some(now) = self.look().await? else { return Ok(()) };
        if now.waiting() == 0 || self.place.is_some() || self.someone.coming.human {
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
    pub(super) async fn wait_for_turn(&mut self) -> Result<(), Stop> {
        let Some(place) = self.place.clone() else { return Ok(()) };
        if self.someone.coming.human {
            let (low, high) = self.scene.user.reload_s;
            return self.pause_between(low, high).await;
        }
        let mut wait = Duration::from_millis(place.poll_after_ms.clamp(200, 60_000));
        loop {
            self.pause(wait).await?;
            let Some(now) = self.look().await? else { return Ok(()) };
            let Stand::Behind { position, best_s, eta_s: eta, look_max_s } = now.stand(&place) else {
                return Ok(());
            };
            if self.shown.is_some_and(|shown| position > shown + 2.0) {
                self.life.worsened += 1;
            }
            self.shown = Some(self.shown.map_or(position, |shown| shown.min(position)));
            self.note_later_estimate(eta);
            // As our page does: well before the turn, and often when it is near.
            let left = eta.min(best_s * 2.0);
            let seconds = if left < 3.0 {
                self.rng.random_range(0.8..1.3)
            } else {
                (left * self.rng.random_range(0.25..0.4)).clamp(1.0, look_max_s)
            };
            wait = Duration::from_secs_f64(seconds);
        }
    }

    /// Shown too early: the edge sends whoever presses to the snapshot, as a browser follows it. The place is as before, and so
    /// is the time at which to show it, which is near.
    pub(super) async fn look_as_told(&mut self) -> Result<(), Stop> {
        match &mut self.place {
            Some(place) => place.poll_after_ms = 1_000,
            // Nothing was shown that could be too early.
            None => return Err(Stop(End::Failed)),
        }
        self.look().await.map(|_| ())
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

    pub(super) fn take_place(&mut self, answer: &Answer) -> Result<(), Stop> {
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

    pub(super) fn note_refusal(&mut self, answer: &Answer) {
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
    pub(super) async fn after_refusal(&mut self, answer: &Answer, attempt: u32) -> Result<(), Stop> {
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

    pub(super) async fn after_no_answer(&mut self, attempt: u32) -> Result<(), Stop> {
        let wait = if self.someone.coming.human {
            self.rng.random_range(0.2..1.0) // pressed reload; the request that hung was given up by that
        } else {
            self.rng.random_range(0.5..1.0 + f64::from(1_u32 << attempt.min(4)))
        };
        self.pause(Duration::from_secs_f64(wait)).await
    }
}

//! People come in: with a password, by the desk, with yesterday's token; and read their day.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::header;
use rand::Rng as _;
use serde::Deserialize;

use super::{Stop, Walk, route};
use crate::{
    client::{Answer, Ask},
    flow::Tokens,
    storm::{crowd::Way, desk, life::End, wire::Place},
};

/// What lets a request pass as somebody's.
enum Entered {
    Bearer(Arc<str>),
    Cookie(String),
}

impl Walk<'_> {
    pub(super) async fn person(&mut self) -> Result<(), Stop> {
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
            let typo = self.typo;
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
                303 => self.look_as_told().await?,
                401 if typo => {
                    // What was typed stays in the field until it is told to be wrong.
                    self.typo = false;
                    self.life.hashes += 1;
                    let (soon, late) = self.someone.coming.retypes_s;
                    self.pause_between(soon, late).await?;
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
        let mut kept: Option<String> = None;
        loop {
            self.wait_for_turn().await?;
            let scene = self.scene;
            let Some(desk) = &scene.desk else { return Err(Stop(End::Failed)) };
            let territory = self.life.territory.unwrap_or(0);
            let ticket = self.place.as_ref().map(|place| place.ticket.as_str());
            if let Some(said) = &kept {
                let ask = desk.resume(territory, ticket, said, self.someone.device.claim.as_deref());
                self.life.knocked_us = Some(self.now_us());
                self.life.posts += 1;
                let Ok(answer) = self.send_hanging(route::RESUME, ask).await? else {
                    attempt += 1;
                    self.after_no_answer(attempt).await?;
                    continue;
                };
                match (answer.status, desk.session(&answer)) {
                    (200 | 303, Some(session)) => return Ok(self.came_by_desk(&answer, session)),
                    (202, _) => {
                        kept = desk::kept(&answer).or(kept);
                        self.hold_page(&answer).await?;
                    }
                    // It was used, by an answer that was lost, or is too old: to the desk again.
                    (401, _) => kept = None,
                    (429 | 503, _) => {
                        self.note_refusal(&answer);
                        attempt += 1;
                        self.after_refusal(&answer, attempt).await?;
                    }
                    _ => return Err(Stop(End::Failed)),
                }
                continue;
            }
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
                (200 | 303, Some(session)) => return Ok(self.came_by_desk(&answer, session)),
                (202, _) => {
                    kept = desk::kept(&answer);
                    self.hold_page(&answer).await?;
                }
                (429 | 503, _) => {
                    kept = desk::kept(&answer);
                    self.note_refusal(&answer);
                    attempt += 1;
                    self.after_refusal(&answer, attempt).await?;
                }
                _ => return Err(Stop(End::Failed)),
            }
        }
    }

    fn came_by_desk(&mut self, answer: &Answer, session: desk::Session) -> Entered {
        self.came_in(answer);
        self.life.family_id = session.family_id;
        Entered::Cookie(session.cookie)
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

    pub(super) fn came_in(&mut self, answer: &Answer) {
        self.life.inside_us = Some(self.at_us(answer.done));
        self.scene.live.inside.fetch_add(1, Ordering::Relaxed);
    }
}

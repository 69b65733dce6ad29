//! Everybody comes, or so many at a time; meanwhile things break and are mended, and nodes come and go.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep_until},
};
use tokio_util::task::TaskTracker;

use super::{LONGEST, Played};
use crate::{
    number::count,
    progress::Progress,
    storm::{
        crowd::{self, Coming, Gathering, Way},
        inlet::Stretch,
        life::{End, Life},
        scenario::{Fault, Manner, Segment, Step},
        slow,
        stage::Stage,
        user::{Device, Scene, Someone},
        vitals::Vitals,
        world::{Kind, Role},
    },
};

/// From one look at what the servers use to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Stage {
    /// Everybody comes when they mean to, whatever happens inside.
    pub(super) async fn open(
        &mut self,
        segment: &Segment,
        scene: &Arc<Scene>,
        vitals: &mut Vitals,
        gathering: Gathering,
    ) -> anyhow::Result<Played> {
        let first = self.numbers(gathering.comings.len());
        let mut played = Played::default();
        let mut people = Vec::with_capacity(gathering.comings.len());
        for (number, coming) in (first..).zip(gathering.comings) {
            if let Some(person) = coming.person {
                played.users.entry(person).or_insert(number);
            }
            people.push(self.someone(number, coming, segment));
        }
        let (ended, mut lives) = mpsc::unbounded_channel::<Life>();
        let tracker = TaskTracker::new();
        let authority: Arc<str> = self.authority().into();
        let gate = {
            let (scene, inner, ended) = (Arc::clone(scene), tracker.clone(), ended);
            async move {
                for someone in people {
                    sleep_until((scene.start + someone.coming.at).into()).await;
                    let (scene, ended) = (Arc::clone(&scene), ended.clone());
                    let authority = Arc::clone(&authority);
                    inner.spawn(async move {
                        let life = match someone.coming.manner {
                            Manner::Slow => {
                                let end = slow::dribble(&authority, scene.end).await;
                                Life { end, ..someone.life }
                            }
                            Manner::SlowReader => {
                                let end = slow::sip(&authority, scene.end).await;
                                Life { end, ..someone.life }
                            }
                            _ => someone.live(&scene).await,
                        };
                        // Only an abandoned run has nobody left to tell.
                        let _ = ended.send(life);
                    });
                }
            }
        };
        tracker.spawn(gate);

        let mut breaking: Vec<(f64, Step, Fault)> = Vec::new();
        for fault in &segment.fault {
            breaking.extend(fault.steps().into_iter().map(|(at, step)| (at, step, fault.clone())));
        }
        breaking.sort_by(|one, two| two.0.total_cmp(&one.0)); // the next is the last
        let mut broken: Vec<Fault> = Vec::new();
        if segment.supervise.is_some() || !segment.fault.iter().any(|fault| fault.act.replaces_nodes()) {
            played.stretches.push(Stretch { from_s: 0.0, nodes: self.node_count(segment) });
        }
        let every = segment.supervise.map_or(LONGEST, |supervise| Duration::from_secs_f64(supervise.every_s));
        let mut looks = interval(every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut progress = Progress::new(&segment.name, scene.end.saturating_duration_since(scene.start));
        let mut tick = interval(Duration::from_millis(250));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut second = interval(LOOK_EVERY);
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let next = breaking
                .last()
                .map_or(scene.end + LONGEST, |(at, _, _)| scene.start + Duration::from_secs_f64(*at));
            tokio::select! {
                life = lives.recv() => match life {
                    Some(life) if life.class == "slow" => {
                        played.slow += 1;
                        played.cut += u64::from(life.end == End::Refused);
                    }
                    Some(life) => played.lives.push(life),
                    None => break,
                },
                () = sleep_until(next.into()), if !breaking.is_empty() => {
                    match breaking.pop() {
                        Some((_, Step::Begins, fault)) => {
                            self.inflict(&fault, segment).await?;
                            broken.push(fault);
                        }
                        Some((_, Step::Mended, fault)) => {
                            self.mend(&fault, segment).await?;
                            broken.retain(|other| other.act != fault.act);
                        }
                        None => {}
                    }
                }
                _ = looks.tick(), if segment.supervise.is_some() => {
                    if let Some(supervise) = &segment.supervise {
                        let second = scene.start.elapsed().as_secs_f64();
                        self.supervise(supervise, segment, second, &mut played.stretches).await?;
                    }
                }
                _ = second.tick() => vitals.look(&self.subjects()),
                _ = tick.tick() => {
                    let elapsed = scene.start.elapsed();
                    progress.at(elapsed, || scene.live.line(elapsed.as_secs_f64()));
                }
            }
        }
        // Everybody may have ended before a fault did, and the next segment begins whole.
        for fault in broken.iter().filter(|fault| fault.for_s > 0.0) {
            self.mend(fault, segment).await?;
        }
        played.lives.sort_by_key(|life| life.user);
        Ok(played)
    }

    /// So many at a time, each replaced by the next as it ends.
    pub(super) async fn closed(
        &mut self,
        segment: &Segment,
        scene: &Arc<Scene>,
        vitals: &mut Vitals,
        number: u32,
    ) -> anyhow::Result<Played> {
        let until = scene.start + Duration::from_secs_f64(segment.seconds);
        let mut progress = Progress::new(&segment.name, until.saturating_duration_since(scene.start));
        let mut played = Played::default();
        let (ended, mut lives) = mpsc::unbounded_channel::<Life>();
        let tracker = TaskTracker::new();
        let mut next = 0_usize;
        let mut tick = interval(Duration::from_millis(250));
        let mut second = interval(LOOK_EVERY);
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for _ in 0..number {
            self.bring(segment, scene, &tracker, &ended, &mut next);
        }
        let mut inside = number;
        while inside > 0 {
            tokio::select! {
                life = lives.recv() => {
                    let Some(life) = life else { break };
                    played.lives.push(life);
                    if Instant::now() < until {
                        self.bring(segment, scene, &tracker, &ended, &mut next);
                    } else {
                        inside -= 1;
                    }
                }
                _ = second.tick() => vitals.look(&self.subjects()),
                _ = tick.tick() => {
                    let elapsed = scene.start.elapsed();
                    progress.at(elapsed, || scene.live.line(elapsed.as_secs_f64()));
                }
            }
        }
        Ok(played)
    }

    fn bring(
        &mut self,
        segment: &Segment,
        scene: &Arc<Scene>,
        tracker: &TaskTracker,
        ended: &mpsc::UnboundedSender<Life>,
        next: &mut usize,
    ) {
        let person = next.checked_rem(self.world.people.len());
        *next += 7; // neighbours are of one school
        let hashed = self.hashed(segment);
        let role = person.and_then(|at| self.world.people.get(at)).map(|person| person.role);
        let hundredth = |of: usize| f64::from(u32::try_from(of % 100).unwrap_or(0)) / 100.0;
        let turn = hundredth(*next / 7);
        // Who mistypes costs a hash that lets nobody in: a peak of people who never do is not the peak of this crowd.
        let slip = hundredth(*next / 7 * 37);
        let coming = Coming {
            at: scene.start.elapsed(),
            person,
            crowd: usize::MAX,
            manner: Manner::People,
            way: if turn >= hashed && role != Some(Role::Teacher) { Way::Desk } else { Way::Password },
            trusted: true,
            typo: slip < self.scenario.user.typos,
            // At once: who thinks for seconds keeps a core waiting, and what is sought is the most that it does.
            retypes_s: (0.0, 0.0),
            human: false,
            abandon: None,
            address: "100.64.0.1".to_owned(),
            seed: count(*next),
        };
        let user = self.numbers(1);
        let someone = self.someone(user, coming, segment);
        let (scene, ended) = (Arc::clone(scene), ended.clone());
        tracker.spawn(async move {
            // Only an abandoned run has nobody left to tell.
            let _ = ended.send(someone.live(&scene).await);
        });
    }

    fn someone(&self, number: u64, coming: Coming, segment: &Segment) -> Someone {
        let hostile = coming.manner != Manner::People;
        let crowd = self.scenario.crowd.get(coming.crowd);
        // Of people, their own school is told below.
        let claimed =
            crowd.and_then(|crowd| self.world.schools.get(crowd.school?)).map(|school| school.id.clone());
        let crowd = crowd.map_or("closed", |crowd| crowd.name.as_str());
        let mut life = Life {
            segment: segment.name.clone(),
            user: number,
            crowd: crowd.to_owned(),
            role: "nobody",
            class: if coming.manner.is_socket() { "slow" } else { "nobody" },
            way: match coming.way {
                Way::Password => "password",
                Way::Desk => "desk",
                Way::Refresh => "refresh",
            },
            human: coming.human,
            hostile,
            trusted: coming.trusted,
            ..Life::default()
        };
        let mut someone = Someone {
            number,
            login: format!("inconnu.{}", coming.seed),
            password: self.password(),
            profile: "pupil",
            school_id: claimed,
            join_key: String::new(),
            device: Device::default(),
            life: Life::default(),
            coming,
        };
        if let Some((at, person)) =
            someone.coming.person.and_then(|at| Some((at, self.world.people.get(at)?)))
        {
            let lesson = crowd::has_lesson(&self.world, &self.at_nine, at);
            let school = self.world.schools.get(person.school);
            life.role = person.role.word();
            life.lesson = lesson;
            life.class = crowd::class_of(&self.world, person, lesson);
            life.school = Some(person.school);
            life.territory = school.map(|school| school.territory);
            life.person_id = Some(person.id.clone());
            someone.login.clone_from(&person.login);
            someone.profile = person.role.word();
            someone.school_id = school.map(|school| school.id.clone());
            someone.join_key.clone_from(&person.join_key);
            if someone.coming.trusted
                && let Some(device) = self.devices.get(&at)
            {
                someone.device = device.clone();
            }
            if someone.coming.way == Way::Refresh && someone.device.refresh.is_none() {
                someone.coming.way = Way::Password;
                life.way = "password";
            }
            debug_assert!(
                school.is_none_or(|school| school.kind != Kind::Primary || person.role != Role::Pupil)
            );
        }
        someone.life = life;
        someone
    }
}

//! One segment: everybody comes, things break and are mended, and what was lived is added up and checked.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::task::TaskTracker;

use super::{
    crowd::{self, Coming, Gathering, Way},
    edge,
    life::{End, Life},
    report::{Argon, SegmentReport},
    scenario::{Fault, Manner, Segment},
    slow,
    stage::Stage,
    tally::{self, Bell},
    user::{Live, Scene, Sends, Someone, route},
    wire::Snapshots,
    world::{Kind, Role},
};
use crate::{
    client::Client,
    cpu::{Spent, Watch},
    number::{float, floor, micros},
    progress::Progress,
    reconcile::{Claim, Reconciled},
    report::cpu_seconds,
};

/// A request that nobody gives up is given up after this.
const LONGEST: Duration = Duration::from_secs(60);

impl Stage {
    /// Plays a segment, with nodes of its own.
    pub(super) async fn run(
        &mut self,
        segment: &Segment,
        lines: &mut impl Write,
    ) -> anyhow::Result<SegmentReport> {
        self.at_nine = crowd::classes_at_nine(&self.scenario, &self.world, self.unit_per_s())?;
        let begin = self.scenario.story.second(&self.scenario.lessons.begin)?;
        self.lab
            .sql_as_superuser(&self.world.lessons(&self.at_nine, begin.max(0.0)))
            .await
            .context("the lessons")?;
        let gathering = match segment.closed {
            Some(_) => Gathering::default(),
            None => crowd::gather(&self.scenario, segment, &self.world, &self.at_nine, self.unit_per_s())?,
        };
        self.nodes_up(segment).await?;
        let since = self.lab.sql_as_superuser("SELECT clock_timestamp();\n").await?.trim().to_owned();
        let (_, log_from) = edge::read_log(self.proxy_log(), 0)?;
        let client = Client::new(&[self.target()], self.scenario.limits.connections, LONGEST)?;
        let watch = self.watch();
        let before = watch.read()?;

        let window = Duration::from_secs_f64(segment.seconds);
        let start = Instant::now();
        let scene = Arc::new(Scene {
            client: Arc::new(client),
            user: self.scenario.user.clone(),
            desk: self.desk.clone(),
            snapshots: Snapshots::default(),
            start,
            end: start + window + Duration::from_secs_f64(segment.drain_s),
            sends: Sends { late_after_us: self.scenario.limits.late_ms * 1000, ..Sends::default() },
            live: Live::default(),
        });
        let repeated = gathering.repeated;
        let played = match segment.closed {
            Some(number) => self.closed(segment, &scene, number).await?,
            None => self.open(segment, &scene, gathering).await?,
        };
        let spent = self.spent(&watch, &before).await;
        // The proxy writes a line when it has sent the last byte, which may be a moment after we have read it.
        sleep(Duration::from_millis(400)).await;
        let (log, _) = edge::read_log(self.proxy_log(), log_from)?;
        let sessions = self.sessions(&since, &played.lives, log.strangers).await?;
        self.nodes_down().await;
        for life in &played.lives {
            serde_json::to_writer(&mut *lines, life)?;
            lines.write_all(b"\n")?;
        }

        let window_us = micros(window);
        let figures =
            tally::figures(&played.lives, window_us, &self.rosters(), &self.bell(segment, &played)?);
        if segment.closed.is_some() {
            self.peak_per_s = Some(self.peak_per_s.unwrap_or(0.0).max(figures.goodput_per_s));
        }
        let until = window_us + micros(Duration::from_secs_f64(segment.drain_s));
        let series = tally::series(&played.lives, until);
        let all = scene.sends.all.load(Ordering::Relaxed);
        let looks = log.cached + log.fetched;
        let hash = self.scenario.hash;
        let nodes = self.node_count(segment);
        let own = |spent: &Spent| spent.of("node").saturating_sub(spent.of_part("hash")).as_secs_f64();
        let mut void = Vec::new();
        if spent.is_none() && segment.fault.is_empty() {
            void.push("a watched process ended".to_owned());
        }
        let mut server_cpu_s = spent.as_ref().map(cpu_seconds).unwrap_or_default();
        if let Some(spent) = &spent {
            server_cpu_s.insert("hash".to_owned(), spent.of_part("hash").as_secs_f64());
        }
        Ok(SegmentReport {
            name: segment.name.clone(),
            mode: segment.mode.clone(),
            closed: segment.closed.is_some(),
            offered_x: None,
            peak_per_s: 0.0,
            goodput_ratio: None,
            node_cpu_us_per_arrival: spent
                .as_ref()
                .filter(|_| figures.arrived > 0)
                .map(|spent| own(spent) * 1e6 / float(figures.arrived)),
            server_cpu_s,
            foreign_cpu_s: spent.as_ref().map_or(0.0, |spent| spent.foreign.as_secs_f64()),
            stolen_cpu_s: spent.as_ref().map_or(0.0, |spent| spent.stolen.as_secs_f64()),
            late_sends_ratio: float(scene.sends.late.load(Ordering::Relaxed)) / float(all.max(1)),
            late_send_worst_ms: float(scene.sends.worst_us.load(Ordering::Relaxed)) / 1e3,
            snapshot_cached: (looks > 0).then(|| float(log.cached) / float(looks)),
            argon2: Argon { m: hash.memory_kib, t: hash.passes, p: hash.lanes },
            duration_s: segment.seconds,
            drain_s: segment.drain_s,
            nodes,
            node_share_min: self.least_share(&log.sign_ins, nodes),
            repeated_people: repeated,
            slow_clients_cut: played.cut,
            sessions,
            log_differences: edge::differences(&played.lives, &log),
            recovered_after_s: segment
                .fault
                .iter()
                .map(|fault| tally::recovery(&series.goodput, fault.at_s, fault.at_s + fault.for_s))
                .collect(),
            faults: segment.fault.clone(),
            series,
            figures,
            void,
        })
    }

    /// Everybody comes when they mean to, whatever happens inside.
    async fn open(
        &mut self,
        segment: &Segment,
        scene: &Arc<Scene>,
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
                        let life = if someone.coming.manner == Manner::Slow {
                            let end = slow::dribble(&authority, scene.end).await;
                            Life { end, ..someone.life }
                        } else {
                            someone.live(&scene).await
                        };
                        // Only an abandoned run has nobody left to tell.
                        let _ = ended.send(life);
                    });
                }
            }
        };
        tracker.spawn(gate);

        let mut breaking: Vec<(f64, bool, Fault)> = Vec::new();
        for fault in &segment.fault {
            breaking.push((fault.at_s, true, fault.clone()));
            if fault.for_s > 0.0 {
                breaking.push((fault.at_s + fault.for_s, false, fault.clone()));
            }
        }
        breaking.sort_by(|one, two| two.0.total_cmp(&one.0)); // the next is the last
        let mut progress = Progress::new(&segment.name, scene.end.saturating_duration_since(scene.start));
        let mut tick = interval(Duration::from_millis(250));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let next = breaking
                .last()
                .map_or(scene.end + LONGEST, |(at, _, _)| scene.start + Duration::from_secs_f64(*at));
            tokio::select! {
                life = lives.recv() => match life {
                    Some(life) if life.class == "slow" => played.cut += u64::from(life.end == End::Refused),
                    Some(life) => played.lives.push(life),
                    None => break,
                },
                () = sleep_until(next.into()), if !breaking.is_empty() => {
                    if let Some((_, begins, fault)) = breaking.pop() {
                        if begins {
                            self.inflict(&fault, segment).await?;
                        } else {
                            self.mend(&fault, segment).await?;
                        }
                    }
                }
                _ = tick.tick() => {
                    let elapsed = scene.start.elapsed();
                    progress.at(elapsed, || scene.live.line(elapsed.as_secs_f64()));
                }
            }
        }
        played.lives.sort_by_key(|life| life.user);
        Ok(played)
    }

    /// So many at a time, each replaced by the next as it ends.
    async fn closed(&mut self, segment: &Segment, scene: &Arc<Scene>, number: u32) -> anyhow::Result<Played> {
        let until = scene.start + Duration::from_secs_f64(segment.seconds);
        let mut progress = Progress::new(&segment.name, until.saturating_duration_since(scene.start));
        let mut played = Played::default();
        let (ended, mut lives) = mpsc::unbounded_channel::<Life>();
        let tracker = TaskTracker::new();
        let mut next = 0_usize;
        let mut tick = interval(Duration::from_millis(250));
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
        let hashed = segment.hashed.unwrap_or(self.scenario.user.hashed);
        let role = person.and_then(|at| self.world.people.get(at)).map(|person| person.role);
        let turn = f64::from(u32::try_from(*next / 7 % 100).unwrap_or(0)) / 100.0;
        let coming = Coming {
            at: scene.start.elapsed(),
            person,
            crowd: usize::MAX,
            manner: Manner::People,
            way: if turn >= hashed && role != Some(Role::Teacher) { Way::Desk } else { Way::Password },
            trusted: true,
            typo: false,
            human: false,
            abandon: None,
            address: "100.64.0.1".to_owned(),
            seed: crate::number::count(*next),
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
        let crowd = self.scenario.crowd.get(coming.crowd).map_or("closed", |crowd| crowd.name.as_str());
        let mut life = Life {
            segment: segment.name.clone(),
            user: number,
            crowd: crowd.to_owned(),
            role: "nobody",
            class: if coming.manner == Manner::Slow { "slow" } else { "nobody" },
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
            school_id: None,
            join_key: String::new(),
            device: super::user::Device::default(),
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

    /// The hours of the tale, and who had a lesson; without lessons, nobody had.
    fn bell(&self, segment: &Segment, played: &Played) -> anyhow::Result<Bell> {
        let lessons = &self.scenario.lessons;
        let at = |hour: &str| {
            anyhow::Ok(floor(
                self.scenario.story.second(hour)?.clamp(0.0, segment.seconds + segment.drain_s) * 1e6,
            ))
        };
        let user = |person: &usize| played.users.get(person).copied();
        let classes = self.at_nine.iter().filter_map(|at| self.world.classes.get(*at));
        Ok(Bell {
            full_by_us: at(&lessons.full_by)?,
            teachers_by_us: at(&lessons.teachers_by)?,
            classes: classes
                .map(|class| {
                    let pupils: Vec<u64> = class.members.iter().filter_map(user).collect();
                    (pupils, class.teacher.as_ref().and_then(user))
                })
                // A class of which nobody meant to come has no lesson in this segment.
                .filter(|(pupils, _)| !pupils.is_empty())
                .collect(),
        })
    }

    /// Against PostgreSQL: every session that somebody was told of is a row, and every row is somebody's.
    async fn sessions(&self, since: &str, lives: &[Life], strangers: u64) -> anyhow::Result<Reconciled> {
        let rows = self
            .lab
            .sql_as_superuser(&format!(
                "SELECT family_id FROM session_family WHERE created_at >= '{}';\n",
                since.replace('\'', "")
            ))
            .await?;
        let family = |id: &str| Claim { person_id: String::new(), family_id: id.to_owned() };
        let rows: HashSet<Claim> = rows.lines().map(|line| family(line.trim())).collect();
        let entered = lives.iter().filter(|life| life.inside_us.is_some() && life.way != "refresh");
        let told: Vec<Claim> =
            entered.clone().filter_map(|life| life.family_id.as_deref()).map(family).collect();
        let answered = crate::number::count(entered.count());
        let in_vain: u64 = lives
            .iter()
            .flat_map(|life| [route::SESSIONS, route::RETURN].map(|route| life.unanswered.get(route)))
            .flatten()
            .map(|times| u64::from(*times))
            .sum();
        Ok(Reconciled::compare(answered, in_vain + strangers, &told, &rows))
    }

    async fn spent(&mut self, watch: &Watch, before: &crate::cpu::Reading) -> Option<Spent> {
        watch.read().ok().map(|now| now.since(before))
    }
}

/// What was lived.
#[derive(Default)]
struct Played {
    lives: Vec<Life>,
    /// The first number of each person.
    users: HashMap<usize, u64>,
    /// Slow clients that were hung up on.
    cut: u64,
}

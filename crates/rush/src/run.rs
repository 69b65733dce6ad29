//! One run of a plan: lets the crowd in, adds its visits up, reads the CPU time around it, and
//! reconciles what was answered with what is stored.

use std::{
    io::{BufWriter, Write as _},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::task::TaskTracker;

use crate::{
    accounts::{Account, Cast},
    arrivals::{Arrivals, Schedule},
    client::Client,
    cpu::Watch,
    flow::{Visit, Visitor},
    plan::{Limits, Plan, User},
    progress::{Progress, say},
    reconcile::{self, Claim, Reconciled},
    report::{Report, SearchStep, Tally, Verdict, cpu_seconds},
    search::Climb,
};

/// What a run needs besides its plan.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `http://host:port`, one or several.
    pub targets: Vec<String>,
    /// Processes whose CPU time is reported.
    pub watch: Watch,
    /// Where each visit is written, one JSON line each.
    pub users: Option<PathBuf>,
    /// The database to reconcile with.
    pub database: Option<String>,
    /// RFC 3339; only printed.
    pub started_at: String,
}

/// Runs `plan` with the people of `accounts`.
///
/// # Errors
/// The targets, the accounts, a watched process or the database cannot be used. What the *server*
/// did wrong is no error here: it is in the report's verdict.
pub async fn run(plan: &Plan, accounts: &[Account], around: Surroundings) -> anyhow::Result<Report> {
    let limits = &plan.limits;
    let client = Arc::new(Client::new(&around.targets, limits.connections, limits.timeout())?);
    client.warm().await?;
    let mut watch = around.watch;
    watch.add_alone("generator", std::process::id());
    let since = match &around.database {
        Some(database) => Some(reconcile::now(database).await?),
        None => None,
    };
    let users = around
        .users
        .as_ref()
        .map(|path| std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display())))
        .transpose()?
        .map(BufWriter::new);
    let mut crowd = Crowd {
        client,
        behaviour: Arc::new(plan.user.clone()),
        cast: Cast::new(accounts, &plan.mix, plan.seed)?,
        limits: limits.clone(),
        seed: plan.seed,
        next_user: 0,
        tally: Tally::default(),
        claims: Vec::new(),
        users,
    };

    let before = watch.read()?;
    let began = Instant::now();
    let search = match plan.arrivals {
        Arrivals::Search { .. } => crowd.search(plan).await?,
        shape => {
            crowd.visit(shape.schedule(plan.seed), &plan.name).await?;
            Vec::new()
        }
    };
    let wall = began.elapsed();
    let spent = watch.read()?.since(&before);
    if let Some(users) = &mut crowd.users {
        users.flush()?;
    }

    let tally = &crowd.tally;
    let reconciled = match (&around.database, &since) {
        (Some(database), Some(since)) => {
            let rows = reconcile::families(database, since, &crowd.claims).await?;
            let answered = tally.answered("sign_in", 201);
            let unanswered = tally.unanswered("sign_in");
            Some(Reconciled::compare(answered, unanswered, &crowd.claims, &rows))
        }
        _ => None,
    };
    let verdict = Verdict::of(tally, limits, reconciled.as_ref(), !search.is_empty());
    Ok(Report {
        plan: plan.name.clone(),
        seed: plan.seed,
        started_at: around.started_at,
        wall_s: wall.as_secs_f64(),
        targets: around.targets,
        connections: limits.connections,
        users: tally.users(),
        late_sends: tally.late_sends(limits),
        inside_ms: tally.inside.summary(),
        steps: tally.step_reports(),
        cpu_s: cpu_seconds(&spent),
        foreign_cpu_s: spent.foreign.as_secs_f64(),
        stolen_cpu_s: spent.stolen.as_secs_f64(),
        reconciled,
        search,
        missing_roles: crowd.cast.missing.clone(),
        verdict,
    })
}

struct Crowd {
    client: Arc<Client>,
    behaviour: Arc<User>,
    cast: Cast,
    limits: Limits,
    seed: u64,
    next_user: u64,
    tally: Tally,
    claims: Vec<Claim>,
    users: Option<BufWriter<std::fs::File>>,
}

impl Crowd {
    /// Lets everybody of `schedule` in and waits for them; returns what this schedule alone met.
    async fn visit(&mut self, schedule: Schedule, label: &str) -> anyhow::Result<Tally> {
        let whole = schedule.duration();
        let end = whole + Duration::from_secs(self.limits.drain_s);
        let arrivals: Vec<(Duration, Account)> = schedule
            .take(usize::try_from(self.limits.users - self.next_user).unwrap_or(usize::MAX))
            .map_while(|at| Some((at, self.cast.draw()?)))
            .collect();
        let expected = arrivals.len();
        let (ended, mut visits) = mpsc::channel::<Visit>(1024);
        let visitors = TaskTracker::new();
        let start = Instant::now();
        let gate = Gate {
            client: Arc::clone(&self.client),
            behaviour: Arc::clone(&self.behaviour),
            seed: self.seed,
            first_user: self.next_user,
            start,
            end: start + end,
            visitors: visitors.clone(),
            ended,
        };
        visitors.spawn(gate.open(arrivals));

        let mut progress = Progress::new(label, whole);
        let mut tick = interval(Duration::from_millis(200));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut tally = Tally::default();
        let late_us = self.limits.late_ms.saturating_mul(1000);
        loop {
            tokio::select! {
                visit = visits.recv() => {
                    let Some(visit) = visit else { break };
                    tally.add(&visit, late_us);
                    self.record(&visit, late_us)?;
                }
                _ = tick.tick() => progress.at(start.elapsed(), || format!(
                    "{} of {expected} left · {} inside · sign-in p99 {:.0} ms · {} failed",
                    tally.arrived,
                    tally.answered("sign_in", 201),
                    tally.inside.at_ms(99.0),
                    tally.failed,
                )),
            }
        }
        self.next_user += u64::try_from(expected).unwrap_or(u64::MAX);
        Ok(tally)
    }

    fn record(&mut self, visit: &Visit, late_us: u64) -> anyhow::Result<()> {
        self.tally.add(visit, late_us);
        if let (Some(person_id), Some(family_id)) = (&visit.person_id, &visit.family_id) {
            self.claims.push(Claim { person_id: person_id.clone(), family_id: family_id.clone() });
        }
        if let Some(users) = &mut self.users {
            serde_json::to_writer(&mut *users, visit)?;
            users.write_all(b"\n")?;
        }
        Ok(())
    }

    async fn search(&mut self, plan: &Plan) -> anyhow::Result<Vec<SearchStep>> {
        let Arrivals::Search { from_per_s, max_per_s, step_s, steps, rest_s, p99_ms, success } =
            plan.arrivals
        else {
            return Ok(Vec::new());
        };
        let mut climb = Climb::new(from_per_s, max_per_s, steps);
        let mut found = Vec::new();
        while let Some(rate) = climb.rate() {
            let label = format!("{} at {rate:.1}/s", plan.name);
            let tally = self.visit(Schedule::poisson(rate, step_s, plan.seed), &label).await?;
            let p99 = tally.inside.at_ms(99.0);
            let served_well = tally.success() >= success && p99 <= p99_ms;
            say(&format!(
                "{rate:>8.1}/s  p99 {p99:>8.1} ms  through {:>6.2} %  {}",
                tally.success() * 100.0,
                if served_well { "holds" } else { "too much" }
            ));
            found.push(SearchStep {
                rate_per_s: rate,
                sign_in_p99_ms: p99,
                success: tally.success(),
                served_well,
            });
            climb.tell(served_well);
            sleep(Duration::from_secs_f64(rest_s)).await;
        }
        Ok(found)
    }
}

/// Lets people in at their intended instants, whatever happens inside.
struct Gate {
    client: Arc<Client>,
    behaviour: Arc<User>,
    seed: u64,
    first_user: u64,
    start: Instant,
    end: Instant,
    visitors: TaskTracker,
    ended: mpsc::Sender<Visit>,
}

impl Gate {
    async fn open(self, arrivals: Vec<(Duration, Account)>) {
        for (user, (at, account)) in (self.first_user..).zip(arrivals) {
            let intended = self.start + at;
            sleep(intended.saturating_duration_since(Instant::now())).await;
            let visitor = Visitor {
                user,
                account,
                intended,
                start: self.start,
                end: self.end,
                behaviour: Arc::clone(&self.behaviour),
                seed: self.seed,
            };
            let client = Arc::clone(&self.client);
            let ended = self.ended.clone();
            self.visitors.spawn(async move {
                let visit = visitor.live(&client).await;
                // Only an abandoned run has nobody left to tell.
                let _ = ended.send(visit).await;
            });
        }
    }
}

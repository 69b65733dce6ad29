//! How each figure is found. One function a group; each starts its own nodes and stops them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::time::sleep;

use super::load::{Asker, Measured, Reading, Refreshing, SigningIn, measure, sign_in};
use crate::{
    argon::{Hashed, cheap_phc},
    client::{Ask, Client},
    cpu::Watch,
    flow::Tokens,
    lab::{
        CONNECTIONS, Lab, Node,
        process::{Core, output},
    },
    number::{count, float, median},
    progress::say,
};

/// How long each thing is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Pairs of segments (bare hash, sign-ins), in the order ABBA.
    pub(crate) rounds: u32,
    pub(crate) segment: Duration,
    /// Of requests without a hash.
    pub(crate) window: Duration,
    pub(crate) revocations: u32,
    /// Repetitions of 1, 2 and 4 nodes, in the order there and back.
    pub(crate) scale_rounds: u32,
    pub(crate) scale_segment: Duration,
    pub(crate) transactions: u32,
}

impl Pace {
    pub(crate) const FULL: Self = Self {
        rounds: 6,
        segment: Duration::from_secs(7),
        window: Duration::from_secs(8),
        revocations: 10,
        scale_rounds: 4,
        scale_segment: Duration::from_secs(10),
        transactions: 60_000,
    };
    /// To see whether everything works; its figures are not for quoting.
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        segment: Duration::from_secs(3),
        window: Duration::from_secs(3),
        revocations: 2,
        scale_rounds: 1,
        scale_segment: Duration::from_secs(4),
        transactions: 10_000,
    };
}

/// Clients that keep a node's hash pool busy without ever filling its queue.
const HASHING_CLIENTS: usize = 4;
/// A segment during which others used more than this of a core is left out while enough clean ones remain.
const FOREIGN_CORE: f64 = 0.3;
/// The least that is enough.
const CLEAN_ROUNDS: usize = 3;

/// Figures found together, by name.
pub(crate) type Found = Vec<(&'static str, f64)>;

struct Round {
    bare: Hashed,
    signed: Measured,
    foreign: f64,
}

/// Sign-ins beside the bare hash, in the same minute and on the same core.
pub(crate) async fn sign_ins(lab: &mut Lab, pace: Pace) -> anyhow::Result<Found> {
    let node = lab.node(None).await?;
    let client = lab.client(std::slice::from_ref(&node.url)).await?;
    let nodes = [node];
    let watch = lab.watch(&nodes, None);
    let mut askers = vec![SigningIn::new(Arc::clone(&lab.people)); HASHING_CLIENTS];
    let families = lab.families().await?;
    let (warm_up, warmed) = measure(&watch, &client, askers, Duration::from_secs(2)).await?;
    askers = warmed;

    let mut rounds = Vec::new();
    let (mut wal, mut ops, mut signed_in) = (0, 0, 0);
    for number in 0..pace.rounds {
        let bare_first = number % 2 == 0;
        let mut bare = None;
        if bare_first {
            bare = Some(bare_hashes(lab, pace.segment).await?);
        }
        let before = (lab.wal_bytes().await?, lab.redis_ops().await?);
        let (signed, back) = measure(&watch, &client, askers, pace.segment).await?;
        askers = back;
        let after = (lab.wal_bytes().await?, lab.redis_ops().await?);
        signed.counts.check("sign-ins")?;
        wal += after.0.saturating_sub(before.0);
        ops += after.1.saturating_sub(before.1);
        signed_in += signed.counts.right;
        let bare = match bare {
            Some(bare) => bare,
            None => bare_hashes(lab, pace.segment).await?,
        };
        let foreign = signed.spent.foreign.as_secs_f64() / signed.counts.wall.as_secs_f64();
        say(&format!(
            "  round {}: bare {:.2} ms, sign-in node {:.2} ms (hash {:.2}) + postgres {:.0} us + redis {:.0} us, {:.1}/s, others use {foreign:.2} core",
            number + 1,
            bare.each_s() * 1e3,
            signed.each_us("node") / 1e3,
            signed.each_us_of_part("hash") / 1e3,
            signed.each_us("postgres"),
            signed.each_us("redis"),
            signed.counts.per_s(),
        ));
        rounds.push(Round { bare, signed, foreign });
    }
    stop(nodes).await;
    same("session families", lab.families().await? - families, warm_up.counts.right + signed_in)?;

    if rounds.iter().filter(|round| round.foreign <= FOREIGN_CORE).count() >= CLEAN_ROUNDS {
        rounds.retain(|round| round.foreign <= FOREIGN_CORE);
    } else {
        say("  others used this machine in most rounds: all rounds are kept, quote them with care");
    }
    let middle = |each: &dyn Fn(&Round) -> f64| {
        median(&rounds.iter().map(each).collect::<Vec<_>>()).context("no round")
    };
    let all = |round: &Round| {
        ["node", "postgres", "redis"].iter().map(|group| round.signed.each_us(group)).sum::<f64>()
    };
    let bare_us = |round: &Round| round.bare.each_s() * 1e6;
    // Told by threads: the hash alone varies by more from one second to the next than all that stands beside it.
    let node_extra = middle(&|round| round.signed.each_us("node") - round.signed.each_us_of_part("hash"))?;
    let postgres = middle(&|round| round.signed.each_us("postgres"))?;
    let redis = middle(&|round| round.signed.each_us("redis"))?;
    Ok(vec![
        ("sign_in_ratio", middle(&|round| bare_us(round) / all(round))?),
        ("sign_in_extra_us", node_extra + postgres + redis),
        ("sign_in_extra_node_us", node_extra),
        ("sign_in_extra_postgres_us", postgres),
        ("sign_in_extra_redis_us", redis),
        ("bare_hash_us", middle(&bare_us)?),
        ("hash_in_place_us", middle(&|round| round.signed.each_us_of_part("hash"))?),
        ("sign_in_wal_bytes", float(wal) / float(signed_in.max(1))),
        ("sign_in_redis_ops", float(ops) / float(signed_in.max(1))),
    ])
}

/// What the generator counted must be what others counted, or nothing that it says is worth printing.
fn same(what: &str, theirs: u64, ours: u64) -> anyhow::Result<()> {
    if theirs != ours {
        bail!("{ours} sign-ins were answered 201, and there are {theirs} {what}");
    }
    Ok(())
}

async fn bare_hashes(lab: &Lab, window: Duration) -> anyhow::Result<Hashed> {
    let me = std::env::current_exe().context("cannot find my own program")?;
    let mut command = lab.cores.command(Core::Server, &me);
    command.args(["argon", "--seconds", &window.as_secs_f64().to_string()]);
    let text = output("preau-rush argon", &mut command, window + Duration::from_secs(30)).await?;
    serde_json::from_str(&text).context("the bare hash printed something else")
}

/// Refreshing a session that exists.
pub(crate) async fn resume(lab: &mut Lab, pace: Pace) -> anyhow::Result<Found> {
    let node = lab.node(None).await?;
    let client = lab.client(std::slice::from_ref(&node.url)).await?;
    let nodes = [node];
    let watch = lab.watch(&nodes, None);
    let mut askers = Vec::with_capacity(CONNECTIONS);
    for person in lab.people.iter().take(CONNECTIONS) {
        askers.push(Refreshing(sign_in(&client, person).await?));
    }
    let (_, askers) = measure(&watch, &client, askers, Duration::from_secs(1)).await?;
    let found = busy(&watch, &client, askers, pace).await?;
    stop(nodes).await;
    found.counts.check("refreshes")?;
    describe("refresh", &found);
    let [node, postgres, redis] = ["node", "postgres", "redis"].map(|group| found.each_us(group));
    Ok(vec![
        ("resume_cpu_us", node + postgres + redis),
        ("resume_node_us", node),
        ("resume_postgres_us", postgres),
        ("resume_redis_us", redis),
    ])
}

/// Measures for the pace's window, and once more twice as long when the node spent less than two seconds in it.
pub(super) async fn busy<A: Asker>(
    watch: &Watch,
    client: &Arc<Client>,
    askers: Vec<A>,
    pace: Pace,
) -> anyhow::Result<Measured> {
    let (found, askers) = measure(watch, client, askers, pace.window).await?;
    if found.spent.of("node") >= Duration::from_secs(2) {
        return Ok(found);
    }
    Ok(measure(watch, client, askers, pace.window * 2).await?.0)
}

pub(super) fn describe(what: &str, found: &Measured) {
    say(&format!(
        "  {what}: {} in {:.1} s ({:.0}/s), node {:.2} s CPU, generator {:.2} s, others {:?}",
        found.counts.right,
        found.counts.wall.as_secs_f64(),
        found.counts.per_s(),
        found.spent.of("node").as_secs_f64(),
        found.spent.of("generator").as_secs_f64(),
        found.counts.wrong,
    ));
}

/// The day, whole and unchanged, beside an empty handler behind the same layers.
pub(crate) async fn home(lab: &mut Lab, pace: Pace) -> anyhow::Result<Found> {
    let node = lab.node(None).await?;
    let client = lab.client(std::slice::from_ref(&node.url)).await?;
    let days = full_days(lab, &client).await?;
    let nodes = [node];
    let watch = lab.watch(&nodes, None);

    let readers = |unchanged: bool| -> Vec<Reading> {
        days.iter()
            .cycle()
            .take(CONNECTIONS)
            .map(|day| {
                let token = Arc::clone(&day.tokens.access);
                match (&day.etag, unchanged) {
                    (Some(etag), true) => Reading::unchanged(HOME, token, Arc::clone(etag)),
                    _ => Reading::whole(HOME, token),
                }
            })
            .collect()
    };
    measure(&watch, &client, readers(false), Duration::from_secs(1)).await?;
    let whole = busy(&watch, &client, readers(false), pace).await?;
    let unchanged = busy(&watch, &client, readers(true), pace).await?;
    stop(nodes).await;
    whole.counts.check("home 200")?;
    unchanged.counts.check("home 304")?;
    describe("home 200", &whole);
    describe("home 304", &unchanged);

    let token = days.first().map(|day| Arc::clone(&day.tokens.access)).unwrap_or_else(|| Arc::from(""));
    let empty = empty_handler(lab, &token, pace).await?;
    let [whole_us, unchanged_us, empty_us] = [&whole, &unchanged, &empty].map(|found| found.each_us("node"));
    Ok(vec![
        ("home_304_cpu_us", unchanged_us),
        ("home_200_cpu_us", whole_us),
        ("home_200_bytes", float(whole.counts.bytes) / float(whole.counts.right.max(1))),
        ("empty_cpu_us", empty_us),
        ("home_vs_empty", empty_us / whole_us),
        ("home_304_vs_empty", empty_us / unchanged_us),
    ])
}

const HOME: &str = "/api/v1/home";
/// DESIGN's "a day of 6 kB".
const FULL_DAY: usize = 6000;
/// People looked at to find full days, and people kept.
const CANDIDATES: usize = 200;
const DAYS: usize = 16;

struct Day {
    tokens: Tokens,
    etag: Option<Arc<str>>,
    size: usize,
}

/// An empty handler behind the same layers, in a process of its own. It has the nodes' keys, and checks the token.
pub(super) async fn empty_handler(lab: &mut Lab, token: &Arc<str>, pace: Pace) -> anyhow::Result<Measured> {
    let (process, url) = lab.empty_stack().await?;
    let mut watch = Watch::default();
    watch.add("node", [process.pid]);
    watch.add_alone("generator", std::process::id());
    let client = lab.client(&[url]).await?;
    let readers = || (0..CONNECTIONS).map(|_| Reading::whole(HOME, Arc::clone(token))).collect::<Vec<_>>();
    measure(&watch, &client, readers(), Duration::from_secs(1)).await?;
    let empty = busy(&watch, &client, readers(), pace).await?;
    process.stop().await;
    empty.counts.check("the empty stack")?;
    describe("empty", &empty);
    Ok(empty)
}

/// Signs people in until enough have a day of 6 kB; else takes the largest days there are.
async fn full_days(lab: &Lab, client: &Client) -> anyhow::Result<Vec<Day>> {
    // Spread over the list, which is sorted by school and role.
    let stride = (lab.people.len() / CANDIDATES).max(1);
    let mut days: Vec<Day> = Vec::new();
    for person in lab.people.iter().step_by(stride).take(CANDIDATES) {
        let tokens = sign_in(client, person).await?;
        let answer = client
            .send(&Ask::get(HOME, Arc::clone(&tokens.access)))
            .await
            .map_err(|failure| anyhow::anyhow!("home had no answer ({})", failure.name()))?;
        if answer.status != 200 {
            bail!("home was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        days.push(Day { tokens, etag: answer.etag, size: answer.body.len() });
        if days.iter().filter(|day| day.size >= FULL_DAY).count() >= DAYS {
            break;
        }
    }
    days.sort_by_key(|day| std::cmp::Reverse(day.size));
    let full = days.iter().filter(|day| day.size >= FULL_DAY).count();
    days.truncate(full.clamp(1, DAYS));
    let sizes = days.iter().map(|day| day.size);
    say(&format!(
        "  {} days of {} to {} bytes",
        days.len(),
        sizes.clone().min().unwrap_or(0),
        sizes.max().unwrap_or(0)
    ));
    Ok(days)
}

/// One line of what `preau bench tx` prints: µs of CPU for one statement, in the client and in its backend.
#[derive(Deserialize)]
struct TxCost {
    kind: String,
    client_cpu_us: f64,
    backend_cpu_us: f64,
}

/// What a transaction with its setting and row-level security costs over the bare statement.
pub(crate) async fn transactions(lab: &mut Lab, pace: Pace) -> anyhow::Result<Found> {
    let mut command = lab.preau(Core::Server)?;
    command.args(["bench", "tx", "--n", &pace.transactions.to_string()]);
    let text = output("preau bench tx", &mut command, Duration::from_secs(180)).await?;
    let costs: Vec<TxCost> = serde_json::from_str(&text).context("preau bench tx printed something else")?;
    let of = |kind: &str| {
        let cost = costs.iter().find(|cost| cost.kind == kind);
        cost.map(|cost| (cost.client_cpu_us, cost.backend_cpu_us))
            .with_context(|| format!("preau bench tx does not say what `{kind}` costs"))
    };
    let (autocommit, transaction, scope) =
        (of("autocommit")?, of("transaction")?, of("transaction_with_scope")?);
    Ok(vec![
        ("tx_cost_us", scope.0 + scope.1 - autocommit.0 - autocommit.1),
        ("tx_autocommit_client_us", autocommit.0),
        ("tx_autocommit_backend_us", autocommit.1),
        ("tx_transaction_client_us", transaction.0),
        ("tx_transaction_backend_us", transaction.1),
        ("tx_scope_client_us", scope.0),
        ("tx_scope_backend_us", scope.1),
    ])
}

/// How long after a sign-out the slowest of three nodes refuses the token, with Redis and without.
pub(crate) async fn revocation(lab: &mut Lab, pace: Pace) -> anyhow::Result<Found> {
    let nodes = [lab.node(None).await?, lab.node(None).await?, lab.node(None).await?];
    let urls = nodes.each_ref().map(|node| node.url.clone());
    let client = lab.client(&urls).await?;
    let up = slowest_refusal(lab, &client, pace.revocations).await?;
    lab.redis_down().await;
    let down = slowest_refusal(lab, &client, pace.revocations).await;
    lab.redis_up().await?;
    stop(nodes).await;
    let down = down.context("with Redis down")?;
    Ok(vec![("revocation_s", up.max(down)), ("revocation_redis_up_s", up), ("revocation_redis_down_s", down)])
}

/// Later than this is not late, it is never.
const REVOCATION_LIMIT: Duration = Duration::from_secs(10);

async fn slowest_refusal(lab: &Lab, client: &Client, times: u32) -> anyhow::Result<f64> {
    let mut slowest = Duration::ZERO;
    for (turn, person) in (0..times).zip(lab.people.iter().cycle().skip(100)) {
        let tokens = sign_in(client, person).await?;
        let home = Ask::get(HOME, Arc::clone(&tokens.access));
        for node in 0..client.targets() {
            let status = status_at(client, node, &home).await?;
            if status != 200 {
                bail!("node {node} answered a fresh token {status}");
            }
        }
        let turn = usize::try_from(turn).unwrap_or(0);
        let status = status_at(client, turn, &tokens.sign_out_ask()).await?;
        if status != 204 {
            bail!("a sign-out was answered {status}");
        }
        let signed_out = Instant::now();
        for node in 0..client.targets() {
            while status_at(client, node, &home).await? != 401 {
                if signed_out.elapsed() > REVOCATION_LIMIT {
                    bail!(
                        "node {node} still accepts a token {} s after its sign-out",
                        REVOCATION_LIMIT.as_secs()
                    );
                }
                sleep(Duration::from_millis(5)).await;
            }
        }
        slowest = slowest.max(signed_out.elapsed());
        for node in 0..client.targets() {
            let status = status_at(client, node, &tokens.refresh_ask()).await?;
            if status != 401 {
                bail!("node {node} answered the refresh of a session that was signed out {status}");
            }
        }
    }
    Ok(slowest.as_secs_f64())
}

async fn status_at(client: &Client, node: usize, ask: &Ask) -> anyhow::Result<u16> {
    match client.send_to(node, ask).await {
        Ok(answer) => Ok(answer.status),
        Err(failure) => bail!("node {node} gave no answer ({})", failure.name()),
    }
}

/// CPU of each node in every 10 ms, in µs: a fifth of a core, so that four leave the core some air.
const QUOTA_US: u32 = 2_000;
/// Nodes side by side.
const SIZES: [usize; 3] = [1, 2, 4];

/// What 1, 2 and 4 slices of a core do behind HAProxy.
struct Scaled {
    per_s: [f64; 3],
    /// The last and largest of the measurements with four nodes.
    largest: Option<Measured>,
    wal_each: f64,
    ops_each: f64,
}

async fn scaled(lab: &mut Lab, pace: Pace, clients_each: usize) -> anyhow::Result<Scaled> {
    let mut rates: [Vec<f64>; 3] = Default::default();
    let mut largest = None;
    let (mut wal, mut ops, mut done) = (0, 0, 0);
    for round in 0..pace.scale_rounds {
        let mut order = vec![0_usize, 1, 2];
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let (Some(&size), Some(rates)) = (SIZES.get(at), rates.get_mut(at)) else { continue };
            let (found, side) = sized(lab, pace, size, clients_each).await?;
            wal += side.wal_bytes;
            ops += side.redis_ops;
            done += found.counts.right;
            say(&format!(
                "  {size} node(s) of {:.2} core: {:.1}/s, node CPU {:.2} core, proxy {:.0} us, postgres {:.0} us, redis {:.0} us each",
                f64::from(QUOTA_US) / 10_000.0,
                found.counts.per_s(),
                found.spent.of("node").as_secs_f64() / found.counts.wall.as_secs_f64(),
                found.each_us("proxy"),
                found.each_us("postgres"),
                found.each_us("redis"),
            ));
            rates.push(found.counts.per_s());
            if size == 4 {
                largest = Some(found);
            }
        }
    }
    let mut per_s = [0.0; 3];
    for (middle, rates) in per_s.iter_mut().zip(&rates) {
        *middle = median(rates).context("no round")?;
    }
    Ok(Scaled {
        per_s,
        largest,
        wal_each: float(wal) / float(done.max(1)),
        ops_each: float(ops) / float(done.max(1)),
    })
}

/// What the stores did during a measurement.
struct Side {
    wal_bytes: u64,
    redis_ops: u64,
}

async fn sized(
    lab: &mut Lab,
    pace: Pace,
    size: usize,
    clients_each: usize,
) -> anyhow::Result<(Measured, Side)> {
    let mut nodes = Vec::with_capacity(size);
    for _ in 0..size {
        nodes.push(lab.node(Some(QUOTA_US)).await.context("not measurable on this machine")?);
    }
    let proxy = lab.proxy(&nodes).await?;
    let client = lab.client(std::slice::from_ref(&proxy.url)).await?;
    let watch = lab.watch(&nodes, Some(&proxy));
    let askers = vec![SigningIn::new(Arc::clone(&lab.people)); (clients_each * size).min(CONNECTIONS)];
    let families = lab.families().await?;
    let (warm_up, askers) = measure(&watch, &client, askers, Duration::from_secs(2)).await?;
    let before = (lab.wal_bytes().await?, lab.redis_ops().await?);
    let (found, _) = measure(&watch, &client, askers, pace.scale_segment).await?;
    let side = Side {
        wal_bytes: lab.wal_bytes().await?.saturating_sub(before.0),
        redis_ops: lab.redis_ops().await?.saturating_sub(before.1),
    };
    let passed = proxy.succeeded().await;
    proxy.stop().await;
    stop(nodes).await;
    let signed_in = warm_up.counts.right + found.counts.right;
    same("answers counted by HAProxy", passed?, signed_in)?;
    same("session families", lab.families().await? - families, signed_in)?;
    found.counts.check("sign-ins behind the proxy")?;
    Ok((found, side))
}

/// One, two and four nodes, hashing as in production. Beside them, what one and four bare hashes do in the same
/// slices: four that share a core's caches lose a little without any Préau between them.
pub(crate) async fn scale_out(lab: &mut Lab, pace: Pace) -> anyhow::Result<Found> {
    let mut bare = Vec::new();
    for _ in 0..pace.scale_rounds {
        let one = lab.bare_in_slices(1, QUOTA_US, pace.scale_segment / 2).await?;
        let four = lab.bare_in_slices(4, QUOTA_US, pace.scale_segment / 2).await?;
        let again = lab.bare_in_slices(1, QUOTA_US, pace.scale_segment / 2).await?;
        bare.push(four / (2.0 * (one + again)));
    }
    let bare = median(&bare).context("no round")?;
    let Scaled { per_s: [one, two, four], .. } = scaled(lab, pace, HASHING_CLIENTS).await?;
    Ok(vec![
        ("scale_out_2", two / (2.0 * one)),
        ("scale_out_4", four / (4.0 * one)),
        ("bare_hash_scale_out_4", bare),
        ("sign_ins_per_s_1_node", one),
        ("sign_ins_per_s_2_nodes", two),
        ("sign_ins_per_s_4_nodes", four),
    ])
}

/// The same with password hashes of 8 KiB in this bench's own demo database: a scale model, in which one core
/// makes the stores work as some twenty would.
pub(crate) async fn unhashed(lab: &mut Lab, pace: Pace) -> anyhow::Result<Found> {
    cheapen(lab).await.context("a scale model needs cheap hashes in the bench's own database")?;
    // CPU time for each sign-in is what is read from it, and that settles soon.
    let pace = Pace { scale_rounds: pace.scale_rounds.div_ceil(2), ..pace };
    let found = scaled(lab, pace, 16).await?;
    let Scaled { per_s: [one, two, four], largest, wal_each, ops_each } = found;
    let largest = largest.context("no measurement with four nodes")?;
    let hash_us = bare_hashes(lab, pace.segment).await?.each_s() * 1e6;
    let [node, postgres, redis, proxy] =
        ["node", "postgres", "redis", "proxy"].map(|group| largest.each_us(group));
    Ok(vec![
        ("unhashed_per_s_1_node", one),
        ("unhashed_per_s_2_nodes", two),
        ("unhashed_per_s_4_nodes", four),
        ("unhashed_node_us", node),
        ("unhashed_postgres_us", postgres),
        ("unhashed_redis_us", redis),
        ("unhashed_proxy_us", proxy),
        ("unhashed_wal_bytes", wal_each),
        ("unhashed_redis_ops", ops_each),
        // A hashing node's core makes so many sign-ins; one core of PostgreSQL, or Redis, keeps up with so many.
        ("postgres_core_saturates_at_node_cores", (hash_us + node) / postgres),
        ("redis_saturates_at_node_cores", (hash_us + node) / redis),
    ])
}

/// Gives everybody of the demo database the cheapest hash there is of the password they have.
async fn cheapen(lab: &Lab) -> anyhow::Result<()> {
    // Whoever is in several schools is several lines of the accounts file.
    let people: BTreeMap<&str, &str> =
        lab.people.iter().map(|person| (person.login.as_str(), person.password.as_str())).collect();
    let mut hashes: BTreeMap<&str, String> = BTreeMap::new();
    let mut script = String::from(
        "BEGIN;\nCREATE TEMP TABLE cheap (login text, secret text) ON COMMIT DROP;\nCOPY cheap FROM STDIN;\n",
    );
    for (login, password) in &people {
        let hash = match hashes.entry(password) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(cheap_phc(password)?),
        };
        script.push_str(&format!("{login}\t{hash}\n"));
    }
    script.push_str(
        "\\.\nUPDATE credential c SET secret = cheap.secret FROM cheap JOIN account a ON a.login = cheap.login\n\
         WHERE c.person_id = a.person_id AND c.kind = 'password';\nCOMMIT;\nSELECT count(*) FROM credential WHERE secret LIKE '%m=8,%';\n",
    );
    let changed: u64 = lab.sql_as_superuser(&script).await?.trim().parse()?;
    if changed < count(people.len()) {
        bail!("{changed} of {} passwords could be replaced", people.len());
    }
    Ok(())
}

pub(super) async fn stop(nodes: impl IntoIterator<Item = Node>) {
    for node in nodes {
        node.stop().await;
    }
}

/// Where `make run` serves.
const RUN_URL: &str = "http://127.0.0.1:8080";
const RUN_PATH: &str = "/connexion";

/// Seconds until `make run` in `folder` serves its first page; it is ended then.
pub(crate) async fn make_run(folder: &Path, cores: &str, limit: Duration) -> anyhow::Result<f64> {
    let page = Ask { bearer: None, ..Ask::get(RUN_PATH, Arc::from("")) };
    let client = Client::new(&[RUN_URL.to_owned()], 1, Duration::from_secs(2))?;
    if client.send(&page).await.is_ok() {
        bail!("somebody serves {RUN_URL} already");
    }
    let log = folder.join(".local/bench-run.log");
    if let Some(parent) = log.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut command = tokio::process::Command::new("taskset");
    // Its own group, so that make, cargo and the server end together; every core, as when it is typed.
    command.args(["-c", cores, "make", "run"]).current_dir(folder).process_group(0);
    let began = Instant::now();
    let mut make = crate::lab::process::Process::start("make run", &mut command, log)?;
    let served = loop {
        if let Err(e) = make.check() {
            break Err(e);
        }
        if matches!(client.send(&page).await, Ok(answer) if answer.status == 200) {
            break Ok(began.elapsed().as_secs_f64());
        }
        if began.elapsed() > limit {
            break Err(anyhow::anyhow!("make run did not serve within {} s", limit.as_secs()));
        }
        sleep(Duration::from_millis(50)).await;
    };
    crate::lab::process::signal("INT", &format!("-{}", make.pid)).await;
    make.stop().await;
    // The port must be free again before anybody else measures.
    for _ in 0..100 {
        if client.send(&page).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    served
}

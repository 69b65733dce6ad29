//! The proxy of a storm: HAProxy in front of the nodes, shared out as `deploy/haproxy.cfg` does, with the snapshot in its cache and every request in its log.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::Context as _;

use super::user::route;

/// Where a node is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) port: u16,
    pub(super) probe: u16,
}

/// HAProxy's configuration: as `deploy/haproxy.cfg`, but that clients' own word for their address is taken (they all come
/// from here), and that the log says which virtual user asked.
#[must_use]
pub(super) fn configuration(port: u16, statistics: u16, nodes: &[Place]) -> String {
    let connections = connections(&std::fs::read_to_string("/proc/self/limits").unwrap_or_default());
    let (told, too_early) = (shipped("backend told"), shipped("# A place shown before"));
    let unread = shipped("# What a client does not read");
    let hashes = shipped("# What asks for a password");
    let mut text = format!(
        "global\n  log stdout format raw local0\n  stats socket ipv4@127.0.0.1:{statistics} level user\n  nbthread 1\n\
         \x20 maxconn {connections}\n\
         {unread}\
         cache queue\n  total-max-size 4\n  max-object-size 16384\n  max-age 1\n  process-vary on\n\
         {told}\
         defaults\n  mode http\n  log global\n  timeout http-request 5s\n  timeout http-keep-alive 60s\n  timeout connect 1s\n\
         \x20 timeout queue 20s\n  timeout client 30s\n  timeout server 60s\n  option http-buffer-request\n\
         \x20 http-reuse always\n  retries 2\n  retry-on conn-failure\n  option redispatch\n\
         frontend door\n  bind 127.0.0.1:{port}\n  bind [::1]:{port}\n\
         \x20 http-request capture req.hdr(x-rush) len 12\n\
         \x20 log-format \"%[capture.req.hdr(0)] %ST %HM %s %tsc %HPO\"\n\
         \x20 acl snapshot path /api/v1/queue/now\n\
         \x20 http-after-response set-status 503 if {{ status 502 504 }}\n\
         \x20 http-request cache-use queue if snapshot\n  http-response cache-store queue if snapshot_answer\n\
         {too_early}{hashes}\
         \x20 default_backend nodes\n"
    );
    // A response knows its request's path only by a variable.
    text = text.replace(
        "  http-response cache-store queue if snapshot_answer\n",
        "  http-request set-var(txn.snapshot) bool(true) if snapshot\n  http-response cache-store queue if { var(txn.snapshot) -m bool }\n",
    );
    // A node that is gone or too slow is a 503 with a time to come back, and the cache goes on answering without any.
    let gone = ["502", "503", "504"].map(|status| {
        format!(
            "  http-error status {status} content-type \"text/plain; charset=utf-8\" hdr Retry-After 1 string \"no node\"\n"
        )
    });
    text = text.replace("frontend door\n", &format!("{}frontend door\n", gone.concat()));
    for (backend, balance) in [("nodes", "random(2)"), ("hashing", "leastconn")] {
        let _ = write!(
            text,
            "backend {backend}\n  balance {balance}\n  option httpchk\n  http-check send meth GET uri /readyz\n  http-check expect status 200\n\
             \x20 default-server inter 200ms fastinter 100ms fall 2 rise 1 slowstart 30s maxconn 4000\n"
        );
        for (index, node) in nodes.iter().enumerate() {
            let _ = writeln!(text, "  server node{index} 127.0.0.1:{} check port {}", node.port, node.probe);
        }
    }
    text
}

/// The edge that ships: what it answers in the nodes' place is played as it is written there.
const SHIPPED: &str = include_str!("../../../../deploy/haproxy.cfg");

/// A paragraph of [`SHIPPED`], from the line that begins so to the next empty one.
fn shipped(begins: &str) -> String {
    let lines = SHIPPED.lines().skip_while(|line| !line.trim_start().starts_with(begins));
    lines.take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

/// How many connections the proxy may take: each is two open files of it.
fn connections(limits: &str) -> u64 {
    let files =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_ascii_whitespace().next());
    let files: u64 = files.and_then(|soft| soft.parse().ok()).unwrap_or(20_000);
    (files.saturating_sub(200) / 2).clamp(100, 9_000)
}

/// What the proxy's log says of one stretch of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// User → route → status → times. A request that the client hung up on has HAProxy's own status.
    pub(super) by_user: BTreeMap<u64, BTreeMap<&'static str, BTreeMap<u16, u32>>>,
    /// Sign-ins (201, and returns from the desk that went on) by server.
    pub(super) sign_ins: BTreeMap<String, u64>,
    /// Snapshots answered by the cache, and by nodes.
    pub(super) cached: u64,
    pub(super) fetched: u64,
    /// Sign-ins during which a node went away: each may be a session that nobody was told of.
    pub(super) broken_off: u64,
    /// Forms sent by others: a person who tries it in a browser. Each may be a session.
    pub(super) strangers: u64,
}

/// The route of a line of the log.
fn route_of(method: &str, path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or(path);
    if let Some(rest) = path.strip_prefix("/federation/") {
        return match rest.rsplit('/').next() {
            Some("depart") => Some(route::DEPART),
            Some("retour") => Some(route::RETURN),
            Some("suite") => Some(route::RESUME),
            _ => None,
        };
    }
    route::ALL
        .into_iter()
        .find(|route| route.split_once(' ').is_some_and(|(known, at)| known == method && at == path))
}

/// Reads the log from `from` bytes on; returns what it says and where it ended.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read_log(path: &Path, from: u64) -> anyhow::Result<(Log, u64)> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path).with_context(|| format!("no log {}", path.display()))?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = String::new();
    let read = file.read_to_string(&mut text)?;
    Ok((parse_log(&text), from + crate::number::count(read)))
}

fn parse_log(text: &str) -> Log {
    let mut log = Log::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(user), Some(status), Some(method), Some(server), Some(ended), Some(path)) =
            (words.next(), words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let (Ok(user), Ok(status)) = (user.parse::<u64>(), status.parse::<i32>()) else {
            // Somebody who tries it in a browser may have signed in.
            log.strangers += u64::from(method == "POST" && matches!(status, "201" | "204" | "303"));
            continue;
        };
        let Some(route) = route_of(method, path) else { continue };
        let status = u16::try_from(status).unwrap_or(0);
        *log.by_user.entry(user).or_default().entry(route).or_default().entry(status).or_default() += 1;
        if route == route::NOW {
            if server == "<CACHE>" {
                log.cached += 1;
            } else {
                log.fetched += 1;
            }
        }
        let signs_in = route::LETS_IN.contains(&route);
        // HAProxy's own letter for whose doing the end was; without a server there was nothing to break.
        log.broken_off += u64::from(signs_in && ended.starts_with(['S', 's']) && server != "<NOSRV>");
        let let_in = signs_in && status == if route == route::SESSIONS { 201 } else { 303 };
        if let_in {
            *log.sign_ins.entry(server.to_owned()).or_default() += 1;
        }
    }
    log
}

/// Status → times.
type Times = BTreeMap<u16, u32>;

/// The answer to a body that is too long.
const TOO_LONG: u16 = 413;

/// What a user was told more often than the log has it, and what the log has more often than they were told.
fn unmatched(told: &Times, seen: &Times) -> (Times, Times) {
    let beyond = |one: &Times, other: &Times| -> Times {
        let times = one.iter().map(|(status, times)| {
            (*status, times.saturating_sub(other.get(status).copied().unwrap_or_default()))
        });
        times.filter(|(_, times)| *times > 0).collect()
    };
    let (mut missing, mut extra) = (beyond(told, seen), beyond(seen, told));
    // Whoever is told that a body is too long leaves with the rest of it unsent, and HAProxy may note that they left and not
    // what they were told.
    if let (Some(refused), Some(left)) = (missing.get_mut(&TOO_LONG), extra.get_mut(&0)) {
        let both = (*refused).min(*left);
        *refused -= both;
        *left -= both;
        missing.retain(|_, times| *times > 0);
        extra.retain(|_, times| *times > 0);
    }
    (missing, extra)
}

/// Where a user's line and the proxy's log differ, in words; the first few of them.
///
/// Exactly: each answer of the line is a line of the log with the same route and status, and each line of the log beyond
/// those is explained by a request whose answer the user did not wait for, or by one who left with most of a body unsent.
#[must_use]
pub(super) fn differences<'a>(
    lives: impl IntoIterator<Item = &'a super::life::Life>,
    log: &Log,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut known = 0_usize;
    let (nothing, none) = (BTreeMap::new(), Times::new());
    for life in lives {
        let logged = log.by_user.get(&life.user).unwrap_or(&nothing);
        known += usize::from(log.by_user.contains_key(&life.user));
        for route in route::ALL {
            let told = life.answers.get(route);
            let seen = logged.get(route);
            let unanswered = u64::from(life.unanswered.get(route).copied().unwrap_or(0));
            let (missing, extra) = unmatched(told.unwrap_or(&none), seen.unwrap_or(&none));
            for (status, times) in missing {
                wrong.push(format!(
                    "user {}: {route} was answered {status} {times} times more than the proxy knows of",
                    life.user
                ));
            }
            if extra.values().map(|times| u64::from(*times)).sum::<u64>() > unanswered {
                wrong.push(format!(
                    "user {}: the proxy's log has {route} more often than the user knows, who waited in vain {unanswered} times; by status: {extra:?}",
                    life.user
                ));
            }
        }
    }
    if known < log.by_user.len() {
        wrong.push(format!("{} users of the proxy's log lived no life", log.by_user.len() - known));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::life::Life;

    const LOG: &str = "3 201 POST node1 -- /api/v1/sessions\n3 200 GET <CACHE> -- /api/v1/queue/now\n\
        3 200 GET node0 -- /api/v1/queue/now?x=1\n- 200 GET node0 -- /connexion\n- 303 POST node0 -- /connexion\n4 -1 POST node2 CH /api/v1/sessions\n\
        5 503 POST node2 SH-- /api/v1/sessions\n5 503 POST <NOSRV> SC-- /api/v1/sessions\n5 503 GET node2 SH-- /api/v1/home\n\
        4 303 POST node2 -- /federation/tempete-0/retour\nProxy started\n";

    #[test]
    fn the_log_is_read_by_user_and_route() {
        let log = parse_log(LOG);
        assert_eq!(log.by_user[&3][route::SESSIONS], BTreeMap::from([(201, 1)]));
        assert_eq!(log.by_user[&4][route::SESSIONS], BTreeMap::from([(0, 1)]));
        assert_eq!((log.cached, log.fetched, log.strangers, log.broken_off), (1, 1, 1, 1));
        assert_eq!(log.sign_ins, BTreeMap::from([("node1".to_owned(), 1), ("node2".to_owned(), 1)]));
    }

    #[test]
    fn lines_and_log_agree_exactly_or_it_is_said() {
        let log = parse_log(LOG);
        let mut three = Life { user: 3, ..Life::default() };
        three.answered(route::SESSIONS, 201);
        three.answered(route::NOW, 200);
        three.answered(route::NOW, 200);
        let mut four = Life { user: 4, ..Life::default() };
        four.answered(route::RETURN, 303);
        four.unanswered(route::SESSIONS);
        let mut five = Life { user: 5, ..Life::default() };
        five.answered(route::SESSIONS, 503);
        five.answered(route::SESSIONS, 503);
        five.answered(route::HOME, 503);
        assert_eq!(differences([&three, &four, &five], &log), Vec::<String>::new());

        four.unanswered.clear();
        assert!(differences([&three, &four, &five], &log)[0].contains("in vain 0 times; by status: {0: 1}"));
        four.answered(route::SESSIONS, TOO_LONG);
        assert_eq!(differences([&three, &four, &five], &log), Vec::<String>::new(), "told, and gone");
        four.answered(route::SESSIONS, TOO_LONG);
        assert!(differences([&three, &four, &five], &log)[0].contains("413 1 times more"), "once, not twice");
        three.answered(route::HOME, 200);
        assert!(differences([&three, &four, &five], &log)[0].contains("than the proxy knows of"));
        assert!(differences([&three], &log).iter().any(|wrong| wrong.contains("lived no life")));
    }

    #[test]
    fn a_connection_is_two_open_files() {
        let of = |soft: &str| {
            connections(&format!("Limit Soft Hard\nMax open files            {soft}  99 files\n"))
        };
        assert_eq!((of("1024"), of("20000"), of("unlimited")), (412, 9_000, 9_000));
    }

    #[test]
    fn haproxy_accepts_the_configuration() {
        let nodes = [Place { port: 1, probe: 2 }, Place { port: 3, probe: 4 }];
        let text = configuration(18_099, 18_098, &nodes);
        assert_eq!(text.matches("server node").count(), 4);
        let as_shipped = [
            "backend told\n    stick-table",
            "http-request return status 303",
            "track-sc0 var(txn.told)",
            "tune.sndbuf",
            "use_backend hashing",
        ];
        assert!(as_shipped.iter().all(|part| text.contains(part)), "as the edge that ships: {text}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let output = std::process::Command::new("haproxy").arg("-c").arg("-f").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

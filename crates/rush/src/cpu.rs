//! CPU time of other processes, read from `/proc`: the figure that means the same on a loaded
//! machine and on a quiet one.
//!
//! A process's time is the larger of two readings: `utime + stime` of `stat` (whole ticks of 10 ms,
//! threads that ended included) and the sum of its threads' `schedstat` (nanoseconds, live threads
//! only). PostgreSQL is a family of processes: its live children are added, and those that ended are
//! in the postmaster's `cutime + cstime`.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, bail};

/// Linux reports `/proc/<pid>/stat` in hundredths of a second on every architecture we run on
/// (`USER_HZ`, a constant of its user-space interface).
const TICK: Duration = Duration::from_millis(10);

/// The fields of `/proc/<pid>/stat` that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is the command's name in brackets and may itself hold spaces and brackets.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks = |index: usize| -> Option<Duration> {
        let count: u32 = fields.get(index)?.parse().ok()?;
        Some(TICK * count)
    };
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(11)? + ticks(12)?,
        ended_children: ticks(13)? + ticks(14)?,
    })
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn live_threads(pid: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Duration::ZERO;
    };
    let nanos = tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanos)
}

/// CPU time of the live threads of `pid` whose names begin with `prefix`.
///
/// # Errors
/// There is no such process.
pub fn of_threads(pid: u32, prefix: &str) -> anyhow::Result<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .with_context(|| format!("no process {pid} to look into"))?;
    let nanos = tasks
        .flatten()
        .map(|task| task.path())
        .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with(prefix)))
        .filter_map(|task| fs::read_to_string(task.join("schedstat")).ok())
        .filter_map(|text| text.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_nanos(nanos))
}

/// CPU time of `pid` since it started, without its children.
///
/// # Errors
/// There is no such process.
pub fn of_process(pid: u32) -> anyhow::Result<Duration> {
    let stat = stat(pid).with_context(|| format!("no process {pid} to read the CPU time of"))?;
    Ok(stat.own.max(live_threads(pid)))
}

/// CPU time of `pid` and of all its children, those that ended included.
///
/// # Errors
/// There is no such process.
pub fn of_family(pid: u32) -> anyhow::Result<Duration> {
    let root = stat(pid).with_context(|| format!("no process {pid} to read the CPU time of"))?;
    let mut total = root.own.max(live_threads(pid)) + root.ended_children;
    for child in children(pid) {
        // One that ended since the list was made is counted by the next reading.
        total += of_process(child).unwrap_or(Duration::ZERO);
    }
    Ok(total)
}

/// Memory of `pid` that is in RAM, in bytes.
///
/// # Errors
/// There is no such process.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("no process {pid} to read the memory of"))?;
    let kilobytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok())
        .context("the kernel tells no resident memory")?;
    Ok(kilobytes * 1024)
}

/// The live children of `pid`.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    processes().filter(|child| stat(*child).is_some_and(|stat| stat.parent == pid)).collect()
}

/// `pid` and its live children.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = children(pid);
    family.push(pid);
    family
}

/// The parent of `pid`.
#[must_use]
pub fn parent(pid: u32) -> Option<u32> {
    Some(stat(pid)?.parent)
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The process that listens on a loopback or wildcard TCP port; the oldest one when several share it.
///
/// # Errors
/// Nobody listens there, or the listener belongs to another user.
pub fn listener(port: u16) -> anyhow::Result<u32> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        inodes.extend(listening_inodes(&fs::read_to_string(table).unwrap_or_default(), port));
    }
    let wanted: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let found = processes()
        .filter(|pid| {
            let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
                return false;
            };
            open.flatten().any(|fd| {
                fs::read_link(fd.path()).is_ok_and(|link| wanted.iter().any(|name| link == Path::new(name)))
            })
        })
        .min();
    match found {
        Some(pid) => Ok(pid),
        None => bail!("no process that we may see listens on port {port}"),
    }
}

fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == LISTEN;
            listens.then(|| fields.get(9)?.parse().ok()).flatten()
        })
        .collect()
}

/// What the whole machine did: `(busy, stolen)` since it started, all cores together. Interrupts are left out:
/// most of them are loopback packets of the very requests that are measured.
///
/// # Errors
/// `/proc/stat` cannot be read.
pub fn of_machine() -> anyhow::Result<(Duration, Duration)> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    parse_machine(&text).context("malformed /proc/stat")
}

fn parse_machine(text: &str) -> Option<(Duration, Duration)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let &[user, nice, system, _idle, _iowait, _irq, _softirq, steal, ..] = ticks.as_slice() else {
        return None;
    };
    let busy = user + nice + system;
    let millis = |ticks: u64| Duration::from_millis(ticks.saturating_mul(10));
    Some((millis(busy), millis(steal)))
}

/// Named groups of processes whose time is reported apart.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    groups: Vec<(String, Vec<u32>)>,
    /// Read without their children, which are in other groups.
    alone: Vec<(String, u32)>,
    /// Threads by the beginning of their names: a part of a group, told beside it.
    parts: Vec<(String, u32, String)>,
}

impl Watch {
    /// Adds processes to the group `name`.
    pub fn add(&mut self, name: &str, pids: impl IntoIterator<Item = u32>) {
        match self.groups.iter_mut().find(|(known, _)| known == name) {
            Some((_, members)) => members.extend(pids),
            None => self.groups.push((name.to_owned(), pids.into_iter().collect())),
        }
    }

    /// Adds one process without its children: this one, whose children may be the server that it measures.
    pub fn add_alone(&mut self, name: &str, pid: u32) {
        self.alone.push((name.to_owned(), pid));
    }

    /// Adds the threads of a watched process whose names begin with `prefix` to the part `name`.
    pub fn add_part(&mut self, name: &str, pid: u32, prefix: &str) {
        self.parts.push((name.to_owned(), pid, prefix.to_owned()));
    }

    /// Reads `NAME=PID[,PID…]` or `NAME=:PORT[,:PORT…]` (whoever listens there).
    ///
    /// # Errors
    /// Another form, or no such process.
    pub fn parse(&mut self, text: &str) -> anyhow::Result<()> {
        let Some((name, members)) = text.split_once('=') else {
            bail!("`{text}` is not NAME=PID or NAME=:PORT");
        };
        for member in members.split(',') {
            let pid = match member.strip_prefix(':') {
                Some(port) => listener(port.parse().with_context(|| format!("bad port in `{text}`"))?)?,
                None => member.parse().with_context(|| format!("bad process in `{text}`"))?,
            };
            self.add(name, [pid]);
        }
        Ok(())
    }

    /// The time of every group, in the order they were added.
    ///
    /// # Errors
    /// A watched process is gone.
    pub fn read(&self) -> anyhow::Result<Reading> {
        let mut times = Vec::with_capacity(self.groups.len());
        for (name, pids) in &self.groups {
            let mut total = Duration::ZERO;
            for pid in pids {
                total += of_family(*pid).with_context(|| format!("the {name} died"))?;
            }
            times.push((name.clone(), total));
        }
        for (name, pid) in &self.alone {
            times.push((name.clone(), of_process(*pid)?));
        }
        let mut parts = Vec::with_capacity(self.parts.len());
        for (name, pid, prefix) in &self.parts {
            parts.push((name.clone(), of_threads(*pid, prefix)?));
        }
        let (busy, stolen) = of_machine()?;
        Ok(Reading { times, parts, busy, stolen })
    }
}

/// One reading of a [`Watch`]; two of them make a [`Spent`].
#[derive(Clone, Debug)]
pub struct Reading {
    times: Vec<(String, Duration)>,
    parts: Vec<(String, Duration)>,
    busy: Duration,
    stolen: Duration,
}

impl Reading {
    /// What was spent between `earlier` and this reading of the same watch.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Spent {
        let between = |now: &[(String, Duration)], then: &[(String, Duration)]| -> Vec<_> {
            let pairs = now.iter().zip(then);
            pairs.map(|((name, now), (_, then))| (name.clone(), now.saturating_sub(*then))).collect()
        };
        let times = between(&self.times, &earlier.times);
        let ours = times.iter().map(|(_, time)| *time).sum();
        Spent {
            times,
            parts: between(&self.parts, &earlier.parts),
            foreign: self.busy.saturating_sub(earlier.busy).saturating_sub(ours),
            stolen: self.stolen.saturating_sub(earlier.stolen),
        }
    }
}

/// CPU time spent by each watched group during a window.
#[derive(Clone, Debug)]
pub struct Spent {
    times: Vec<(String, Duration)>,
    parts: Vec<(String, Duration)>,
    /// Busy time of the machine that no watched process accounts for: other people's work.
    pub foreign: Duration,
    /// Time that the hypervisor took away.
    pub stolen: Duration,
}

impl Spent {
    /// The time of one group; zero when it was not watched.
    #[must_use]
    pub fn of(&self, name: &str) -> Duration {
        self.times.iter().find(|(known, _)| known == name).map_or(Duration::ZERO, |(_, time)| *time)
    }

    /// The time of the threads of one part, all processes together.
    #[must_use]
    pub fn of_part(&self, name: &str) -> Duration {
        self.parts.iter().filter(|(known, _)| known == name).map(|(_, time)| *time).sum()
    }

    /// Every group with its time.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.times.iter().map(|(name, time)| (name.as_str(), *time))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_command_with_brackets_and_spaces_in_its_name_is_read() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 1 0 99 0 0";
        let expected =
            Stat { parent: 7, own: Duration::from_secs(2), ended_children: Duration::from_millis(500) };
        assert_eq!(parse_stat(text), Some(expected));
        assert_eq!(parse_stat("42 (cut"), None);
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1\n\
            1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 222 1\n\
            2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1\n";
        assert_eq!(listening_inodes(table, 8080), [111]);
    }

    #[test]
    fn a_listener_is_found_by_its_port() {
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port).unwrap(), std::process::id());
    }

    #[test]
    fn work_done_here_is_seen_in_the_reading() {
        let mut watch = Watch::default();
        watch.parse(&format!("me={}", std::process::id())).unwrap();
        let before = watch.read().unwrap();
        let began = Instant::now();
        let mut sum = 0_u64;
        while began.elapsed() < Duration::from_millis(60) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let spent = watch.read().unwrap().since(&before);
        assert!(spent.of("me") > Duration::from_millis(5), "{spent:?}");
        assert_eq!(spent.of("nobody"), Duration::ZERO);
    }

    #[test]
    fn the_work_of_named_threads_is_told_apart() {
        let mut watch = Watch::default();
        watch.add_part("busy", std::process::id(), "toiling");
        watch.add_part("idle", std::process::id(), "no thread");
        let before = watch.read().unwrap();
        let (done, end) = std::sync::mpsc::channel::<()>();
        let worker = std::thread::Builder::new().name("toiling-0".to_owned());
        let worker = worker.spawn(move || {
            let began = Instant::now();
            let mut sum = 0_u64;
            while began.elapsed() < Duration::from_millis(60) {
                sum = std::hint::black_box(sum.wrapping_add(1));
            }
            // Only live threads can be read.
            end.recv().unwrap();
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        while watch.read().unwrap().since(&before).of_part("busy") < Duration::from_millis(5) {
            assert!(Instant::now() < deadline, "its work was never seen");
            std::thread::yield_now();
        }
        assert_eq!(watch.read().unwrap().since(&before).of_part("idle"), Duration::ZERO);
        done.send(()).unwrap();
        worker.unwrap().join().unwrap();
    }

    #[test]
    fn children_that_ended_are_counted_in_the_family() {
        let me = std::process::id();
        let before = of_family(me).unwrap();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        std::process::Command::new("sh").args(["-c", busy]).status().unwrap();
        assert!(of_family(me).unwrap() - before >= Duration::from_millis(20));
    }

    #[test]
    fn the_machine_s_line_is_read() {
        let text = "cpu  100 1 50 900 9 3 2 7 0 0\ncpu0 …";
        let read = parse_machine(text).unwrap();
        assert_eq!(read, (Duration::from_millis(1510), Duration::from_millis(70)));
    }

    #[test]
    fn a_group_that_is_neither_process_nor_port_is_refused() {
        assert!(Watch::default().parse("node").is_err());
        assert!(Watch::default().parse("node=abc").is_err());
    }
}

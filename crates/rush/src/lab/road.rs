//! The road from nodes to Redis, for storms that spoil it: everything takes longer, or nothing passes.
//!
//! A byte is carried as it came; what is late is late by half of the delay in each direction, and is let through at once
//! when the road is mended. Loopback only, in the generator's own process: a run without such a fault has no road.

use std::{
    future::pending,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    select,
    sync::{mpsc, watch},
    time::{sleep, sleep_until},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Read at once.
const PIECE: usize = 16 * 1024;
/// Pieces on their way in one direction of a connection; more are not read.
const ON_THE_WAY: usize = 1024;

/// How the road is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// By how much a round trip takes longer.
    pub(crate) delay: Duration,
    /// Connections are broken, and new ones hung up on.
    pub(crate) cut: bool,
}

/// See the module. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Road {
    pub(crate) port: u16,
    weather: watch::Sender<Weather>,
    _closed: DropGuard,
}

impl Road {
    /// Opens a road to the loopback port `target`, in good weather.
    pub(crate) async fn open(target: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port on loopback")?;
        let port = listener.local_addr()?.port();
        let (weather, seen) = watch::channel(Weather::default());
        let closed = CancellationToken::new();
        TaskTracker::new().spawn(keep(listener, target, seen, closed.clone()));
        Ok(Self { port, weather, _closed: closed.drop_guard() })
    }

    /// From now on.
    pub(crate) fn weather(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn keep(
    listener: TcpListener,
    target: u16,
    weather: watch::Receiver<Weather>,
    closed: CancellationToken,
) {
    let crossings = TaskTracker::new();
    loop {
        let taken = select! {
            () = closed.cancelled() => return,
            taken = listener.accept() => taken,
        };
        match taken {
            Ok(_) if weather.borrow().cut => {}
            Ok((node, _)) => {
                crossings.spawn(cross(node, target, weather.clone(), closed.clone()));
            }
            // Out of open files: accepting again at once would only spin.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn cross(
    node: TcpStream,
    target: u16,
    mut weather: watch::Receiver<Weather>,
    closed: CancellationToken,
) {
    // Redis is down: hung up on, as it would be without a road.
    let Ok(redis) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    for stream in [&node, &redis] {
        let _ = stream.set_nodelay(true);
    }
    let (from_node, to_node) = node.into_split();
    let (from_redis, to_redis) = redis.into_split();
    let (there, back) = (weather.clone(), weather.clone());
    select! {
        () = carry(from_node, to_redis, there) => {}
        () = carry(from_redis, to_node, back) => {}
        _ = weather.wait_for(|weather| weather.cut) => {}
        () = closed.cancelled() => {}
    }
}

/// Until one of the two ends.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
) {
    let (sender, mut on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let taking = async move {
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let piece = buffer.get(..length).unwrap_or_default().to_vec();
            if sender.send((Instant::now(), piece)).await.is_err() {
                break;
            }
        }
        drop(sender);
        // What is still on its way arrives.
        pending::<()>().await;
    };
    let giving = async move {
        while let Some((came, piece)) = on_the_way.recv().await {
            arrival(came, &mut weather).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
    };
    select! {
        () = taking => {}
        () = giving => {}
    }
}

/// Until what came then has arrived, by the weather of now.
async fn arrival(came: Instant, weather: &mut watch::Receiver<Weather>) {
    loop {
        let due = came + weather.borrow_and_update().delay / 2;
        if due <= Instant::now() {
            return;
        }
        select! {
            () = sleep_until(due.into()) => return,
            changed = weather.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says everything back.
    async fn echo() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TaskTracker::new().spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                TaskTracker::new().spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        port
    }

    async fn says_back(stream: &mut TcpStream, said: &[u8]) {
        stream.write_all(said).await.unwrap();
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, said);
    }

    const HOUR: Weather = Weather { delay: Duration::from_secs(3600), cut: false };

    #[tokio::test]
    async fn in_good_weather_everything_passes_as_it_came() {
        let road = Road::open(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", road.port)).await.unwrap();
        says_back(&mut stream, b"PING").await;
        says_back(&mut stream, &[7; 3 * PIECE]).await;
    }

    #[tokio::test]
    async fn what_is_delayed_is_held_and_let_through_when_it_is_mended() {
        let road = Road::open(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", road.port)).await.unwrap();
        says_back(&mut stream, b"PING").await;
        road.weather(HOUR);
        stream.write_all(b"PONG").await.unwrap();
        let mut heard = [0; 4];
        let early = tokio::time::timeout(Duration::from_millis(200), stream.read_exact(&mut heard)).await;
        assert!(early.is_err(), "an hour is not over");
        road.weather(Weather::default());
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"PONG");
    }

    #[tokio::test]
    async fn a_cut_breaks_connections_and_lets_nobody_pass_until_it_is_healed() {
        let road = Road::open(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", road.port)).await.unwrap();
        says_back(&mut stream, b"PING").await;
        road.weather(Weather { cut: true, ..Weather::default() });
        let ended = |read: std::io::Result<usize>| !matches!(read, Ok(1..));
        assert!(ended(stream.read(&mut [0; 4]).await));
        let mut another = TcpStream::connect(("127.0.0.1", road.port)).await.unwrap();
        assert!(ended(another.read(&mut [0; 4]).await));
        road.weather(Weather::default());
        let mut healed = TcpStream::connect(("127.0.0.1", road.port)).await.unwrap();
        says_back(&mut healed, b"PING").await;
    }

    #[tokio::test]
    async fn a_delay_that_ended_holds_nothing() {
        let (sender, mut weather) = watch::channel(HOUR);
        sender.send_replace(Weather::default());
        arrival(Instant::now(), &mut weather).await;
        // What came two hours ago has arrived even so.
        sender.send_replace(HOUR);
        if let Some(long_ago) = Instant::now().checked_sub(HOUR.delay) {
            arrival(long_ago, &mut weather).await;
        }
    }
}

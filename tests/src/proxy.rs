//! A store that can be taken away: a TCP relay that refuses, falls silent, comes back, and counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::TaskTracker;

/// What the relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Carries.
    Up,
    /// Cuts what there is and refuses what comes.
    Cut,
    /// Takes connections and bytes, and carries none.
    Silent,
}

/// A relay in front of a store.
pub struct Relay {
    address: SocketAddr,
    line: watch::Sender<Line>,
    statements: Arc<AtomicU64>,
    tasks: TaskTracker,
}

impl Relay {
    /// In front of `target` (host and port).
    pub async fn before(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (line, seen) = watch::channel(Line::Up);
        let statements = Arc::new(AtomicU64::new(0));
        let tasks = TaskTracker::new();
        let (target, count, spawner) = (target.to_owned(), Arc::clone(&statements), tasks.clone());
        tasks.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *seen.borrow() == Line::Cut {
                    continue;
                }
                spawner.spawn(carry(client, target.clone(), seen.clone(), Arc::clone(&count)));
            }
        });
        Self { address, line, statements, tasks }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the line.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// Statements that PostgreSQL was asked to execute through here, opening and ending of transactions aside.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::SeqCst)
    }

    /// Connections being carried.
    pub fn connections(&self) -> usize {
        // One task accepts.
        self.tasks.len().saturating_sub(1)
    }
}

async fn carry(
    mut client: TcpStream,
    target: String,
    mut line: watch::Receiver<Line>,
    count: Arc<AtomicU64>,
) {
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let mut frames = Frames::default();
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        let now = *line.borrow_and_update();
        if now == Line::Cut {
            return;
        }
        let open = now == Line::Up;
        tokio::select! {
            changed = line.changed() => if changed.is_err() { return },
            read = read(&mut from_client, &mut up), if open => {
                let Some(bytes) = read else { return };
                count.fetch_add(frames.executes(bytes), Ordering::SeqCst);
                if to_server.write_all(bytes).await.is_err() { return }
            }
            read = read(&mut from_server, &mut down), if open => {
                let Some(bytes) = read else { return };
                if to_client.write_all(bytes).await.is_err() { return }
            }
        }
    }
}

async fn read<'a>(from: &mut (impl AsyncRead + Unpin), into: &'a mut [u8]) -> Option<&'a [u8]> {
    match from.read(into).await {
        Ok(0) | Err(_) => None,
        Ok(n) => Some(&into[..n]),
    }
}

const TLS_REQUEST: u32 = 80_877_103;

/// Follows the frames of PostgreSQL's protocol that a client sends, and counts those that execute. (Of Redis it counts
/// nonsense, which nobody reads.)
#[derive(Default)]
struct Frames {
    held: Vec<u8>,
    begun: bool,
}

impl Frames {
    fn executes(&mut self, bytes: &[u8]) -> u64 {
        self.held.extend_from_slice(bytes);
        let (mut executes, mut at) = (0, 0);
        loop {
            // The first frame of a connection has no letter.
            let head = usize::from(self.begun);
            let Some(length) = self.held.get(at + head..at + head + 4) else { break };
            let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
            let end = at + head + length.max(4);
            if self.held.len() < end {
                break;
            }
            executes += u64::from(self.begun && self.held[at] == b'E');
            // "May we speak TLS?" comes before the first frame, and has no letter either.
            self.begun = self.begun || self.held.get(at + 4..end) != Some(&TLS_REQUEST.to_be_bytes());
            at = end;
        }
        self.held.drain(..at);
        executes
    }
}

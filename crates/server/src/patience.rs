//! How long a connection may take over the head of a request, told apart from how long it may rest between two.
//!
//! hyper has one timer for both. With it a node closed what its proxy kept for the next request, now and then in the
//! instant in which one left; and a sign-in is not sent twice, so the person was told that no node was there.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How often a request began and ended to be answered on a connection: odd while one is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<AtomicU32>);

/// A request is being answered until this is dropped.
pub(crate) struct Answering(Turns);

impl Turns {
    /// The head of a request has come whole.
    pub(crate) fn begin(&self) -> Answering {
        self.0.fetch_add(1, Ordering::Relaxed);
        Answering(self.clone())
    }

    fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A socket whose reads fail when the head of a request takes too long from its first byte on, however often a byte comes.
pub(crate) struct Patient<S> {
    socket: S,
    turns: Turns,
    head_within: Duration,
    /// The head that is awaited in this turn: the first from the beginning, the others from their first byte on.
    head: Option<(u32, Pin<Box<Sleep>>)>,
}

impl<S> Patient<S> {
    pub(crate) fn new(socket: S, turns: Turns, head_within: Duration) -> Self {
        let head = Some((turns.now(), Box::pin(sleep(head_within))));
        Self { socket, turns, head_within, head }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let turn = this.turns.now();
        this.head.take_if(|(of, _)| *of != turn);
        let before = buf.filled().len();
        match Pin::new(&mut this.socket).poll_read(cx, buf) {
            Poll::Ready(read) => {
                let is_answering = turn % 2 == 1;
                if this.head.is_none() && !is_answering && buf.filled().len() > before {
                    this.head = Some((turn, Box::pin(sleep(this.head_within))));
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                let Some((_, late)) = &mut this.head else { return Poll::Pending };
                ready!(late.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const WITHIN: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn a_head_that_dribbles_is_cut_off_however_often_a_byte_comes() {
        let (mut client, server) = duplex(64);
        let mut socket = Patient::new(server, Turns::default(), WITHIN);
        let dribbles = async {
            loop {
                if client.write_all(b"x").await.is_err() {
                    return;
                }
                tokio::time::sleep(WITHIN / 4).await;
            }
        };
        let reads = async {
            let mut byte = [0];
            let mut read = 0;
            loop {
                match socket.read_exact(&mut byte).await {
                    Ok(_) => read += 1,
                    Err(error) => return (read, error.kind()),
                }
            }
        };
        let (read, error) = tokio::select! {
            end = reads => end,
            () = dribbles => panic!("the reader ends first"),
        };
        assert!(read > 0, "what came in time was read");
        assert_eq!(error, io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_rest_between_two_requests_is_no_slow_head_and_neither_is_a_slow_answer_or_body() {
        let (mut client, server) = duplex(64);
        let turns = Turns::default();
        let mut socket = Patient::new(server, turns.clone(), WITHIN);
        let mut byte = [0];
        for _ in 0..2 {
            client.write_all(b"h").await.unwrap();
            socket.read_exact(&mut byte).await.unwrap();
            {
                let _answering = turns.begin();
                // Half of a body, a long time, and the rest.
                client.write_all(b"b").await.unwrap();
                socket.read_exact(&mut byte).await.unwrap();
                let body = async {
                    tokio::time::sleep(WITHIN * 4).await;
                    client.write_all(b"b").await
                };
                let (read, sent) = tokio::join!(socket.read_exact(&mut byte), body);
                assert!(read.is_ok() && sent.is_ok());
            }
            let rest = tokio::time::timeout(WITHIN * 4, socket.read_exact(&mut byte)).await;
            assert!(rest.is_err(), "nothing came, and nothing was cut off");
        }
        client.write_all(b"h").await.unwrap();
        socket.read_exact(&mut byte).await.unwrap();
        let late = socket.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut, "the next head is watched like the first");
    }
}

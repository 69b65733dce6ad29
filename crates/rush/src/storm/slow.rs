//! Slow clients: sockets that send a byte of a request every second, or read one of an answer. What matters is what they cost
//! others.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use super::life::End;

const REQUEST: &[u8] = b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
    Content-Length: 2000\r\n\r\n{\"login\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Dribbles until it is hung up on, or the segment ends. `Refused` when it was hung up on.
pub(super) async fn dribble(authority: &str, end: Instant) -> End {
    let Ok(mut stream) = TcpStream::connect(authority).await else { return End::Refused };
    let mut answer = [0_u8; 512];
    for byte in REQUEST.iter().cycle() {
        if Instant::now() >= end {
            return End::CutShort;
        }
        if stream.write_all(&[*byte]).await.is_err() {
            return End::Refused;
        }
        // An answer, or the end: either way the other side has had enough.
        match timeout(Duration::from_millis(1), stream.read(&mut answer)).await {
            Err(_) => {}
            Ok(_) => return End::Refused,
        }
        sleep(Duration::from_secs(1).min(end.saturating_duration_since(Instant::now()))).await;
    }
    End::CutShort
}

/// Pages that a slow reader asks for at once: more than the buffers between it and the node hold.
const PAGES: usize = 64;
/// What a slow reader's kernel takes for it, in bytes; it may take twice that.
const SIP_BUFFER: u32 = 2048;

/// Asks for many pages, and reads a byte a second until it is hung up on, or the segment ends. `Refused` when it was hung up on.
pub(super) async fn sip(authority: &str, end: Instant) -> End {
    let Ok(mut stream) = thirsty(authority).await else { return End::Refused };
    let pages = "GET /connexion HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(PAGES);
    // The other side reads a request when it has answered the one before it: what does not fit is not waited for.
    if let Ok(Err(_)) = timeout(Duration::from_secs(1), stream.write_all(pages.as_bytes())).await {
        return End::Refused;
    }
    let mut byte = [0_u8; 1];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return End::CutShort;
        }
        match timeout(left, stream.read(&mut byte)).await {
            Err(_) => return End::CutShort,
            Ok(Ok(0) | Err(_)) => return End::Refused,
            Ok(Ok(_)) => {}
        }
        sleep(Duration::from_secs(1).min(end.saturating_duration_since(Instant::now()))).await;
    }
}

async fn thirsty(authority: &str) -> std::io::Result<TcpStream> {
    let address = tokio::net::lookup_host(authority).await?.next().ok_or(std::io::ErrorKind::NotFound)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(SIP_BUFFER)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_sipper_leaves_what_was_answered_in_the_buffers_and_stays_until_the_end() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let end = Instant::now() + Duration::from_millis(1_500);
        let (ended, sent) = tokio::join!(sip(&authority, end), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0_u8; 4];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(&asked, b"GET ");
            // Far more than it ever reads: whoever waits for it waits until it has gone.
            let answer = vec![b'a'; 64 << 20];
            stream.write_all(&answer).await
        });
        assert_eq!(ended, End::CutShort);
        assert!(sent.is_err(), "it went with most of the answer unread");
    }

    #[tokio::test]
    async fn a_sipper_that_is_hung_up_on_says_so() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let end = Instant::now() + Duration::from_secs(60);
        let (ended, ()) =
            tokio::join!(sip(&authority, end), async { drop(listener.accept().await.unwrap()) });
        assert_eq!(ended, End::Refused);
    }
}

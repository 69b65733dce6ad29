//! Slow clients: sockets that send a byte of a request every second. What matters is what they cost others.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
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

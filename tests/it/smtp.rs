//! An SMTP server that speaks the protocol and keeps what it is given.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use preau_tests::Sent;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A server on a port of its own, for as long as the test's runtime lives.
#[derive(Clone)]
pub(crate) struct SmtpServer {
    pub(crate) port: u16,
    taken: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    connections: Arc<Mutex<usize>>,
}

impl SmtpServer {
    /// Listens. `answers` are given to the first messages, in turn; the later ones are taken.
    #[expect(clippy::disallowed_methods, reason = "a server of the test's, which ends with its runtime")]
    pub(crate) async fn start(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let this = Self {
            port: listener.local_addr().expect("an address").port(),
            taken: Arc::default(),
            answers: Arc::new(Mutex::new(answers.iter().copied().collect())),
            connections: Arc::default(),
        };
        let server = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *server.connections.lock() += 1;
                let server = server.clone();
                tokio::spawn(async move { drop(server.serve(stream).await) });
            }
        });
        this
    }

    /// What was taken, oldest first.
    pub(crate) fn taken(&self) -> Vec<Sent> {
        self.taken.lock().iter().map(|eml| Sent::parse(eml)).collect()
    }

    /// What was taken, as it travelled.
    pub(crate) fn raw(&self) -> Vec<String> {
        self.taken.lock().clone()
    }

    /// Who came.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock()
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 recette ESMTP\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let verb = line.split(' ').next().unwrap_or_default().to_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => "250-recette\r\n250 8BITMIME",
                "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 ok",
                "DATA" => {
                    write.write_all(b"354 go on\r\n").await?;
                    let mut message = String::new();
                    while let Some(line) = lines.next_line().await? {
                        if line == "." {
                            break;
                        }
                        // A leading dot travels doubled (RFC 5321 §4.5.2).
                        message.push_str(line.strip_prefix('.').unwrap_or(&line));
                        message.push_str("\r\n");
                    }
                    match self.answers.lock().pop_front() {
                        Some(refusal) => refusal,
                        None => {
                            self.taken.lock().push(message);
                            "250 taken"
                        }
                    }
                }
                "QUIT" => {
                    write.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => "502 what?",
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }
}

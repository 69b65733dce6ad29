#![doc = include_str!("../README.md")]

mod mail;
mod queries;
pub mod rules;
mod seal;
mod text;

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use preau_db::{Db, DbError, Tx};
use preau_kernel::{Clock, SchoolId};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    mail::MailDoor,
    rules::{Then, lease},
    seal::Seal,
};

/// Settings, as `config/default.toml` says them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostConfig {
    /// How e-mail leaves.
    pub transport: Transport,
    /// Where `file` writes.
    pub folder: PathBuf,
    /// Whom e-mail comes from, such as `Préau <ne-pas-repondre@ent.example>`.
    pub from: String,
    /// SMTP server.
    pub smtp_host: String,
    /// Its port.
    pub smtp_port: u16,
    /// How the connection is protected.
    pub smtp_security: Security,
    /// User name; empty for none.
    pub smtp_user: String,
    /// Password.
    pub smtp_password: SecretString,
    /// A PEM file of the authority to trust beside the public ones; empty for none.
    pub smtp_authority: PathBuf,
    /// How long a message may take to be handed over, in milliseconds.
    pub deadline_ms: u64,
    /// Messages at most to one recipient within an hour.
    pub recipient_per_hour: i32,
    /// Messages at most on behalf of one school within an hour.
    pub school_per_hour: i32,
    /// Where text messages are posted to; empty for none.
    pub sms_url: String,
    /// The gateway's bearer token.
    pub sms_token: SecretString,
    /// Whom text messages come from.
    pub sms_sender: String,
}

/// How e-mail leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// It does not.
    None,
    /// As files under a folder.
    File,
    /// By an SMTP server.
    Smtp,
}

/// How the connection to the SMTP server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// `STARTTLS`, required.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None: a relay on the same host.
    None,
}

/// An e-mail: plain text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mail {
    /// The recipient's address.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// A text message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Text {
    /// The recipient's number, as `+33…`.
    pub to: String,
    /// The text: 160 characters travel as one message.
    pub text: String,
}

/// Why a message was not taken. Neither variant says to whom.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It may pass: try again.
    #[error("not taken for now: {0}")]
    ForNow(String),
    /// Trying again will not mend it.
    #[error("not taken: {0}")]
    ForGood(String),
}

/// What carries text messages: one implementation posts them to an HTTP gateway, one writes them to files.
pub trait TextGateway: Send + Sync {
    /// Hands one message over. `id` is the same each time, for gateways that dedupe. The caller bounds the time.
    fn send<'a>(&'a self, id: Uuid, text: &'a Text) -> BoxFuture<'a, Result<(), Refused>>;
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Handed over.
    pub sent: usize,
    /// Dropped: a budget was spent, the message had run out, or the server said never.
    pub dropped: usize,
    /// To be tried again.
    pub put_off: usize,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// Which, and why.
    #[error("post.{0}: {1}")]
    Setting(&'static str, String),
}

/// Queues and delivers. Cheap to clone.
#[derive(Clone)]
pub struct Post(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    seal: Seal,
    salt: [u8; 32],
    mail: Option<MailDoor>,
    texts: Option<Box<dyn TextGateway>>,
    deadline: Duration,
    recipient_per_hour: i32,
    school_per_hour: i32,
}

/// What is sealed into a row.
#[derive(Serialize, Deserialize)]
struct Sealed {
    school: Option<SchoolId>,
    message: Message,
}

#[derive(Serialize, Deserialize)]
enum Message {
    Mail(Mail),
    Text(Text),
}

impl Message {
    fn channel(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Text(_) => "sms",
        }
    }

    fn to(&self) -> &str {
        match self {
            Self::Mail(mail) => &mail.to,
            Self::Text(text) => &text.to,
        }
    }
}

/// Messages taken at once by a worker: few enough that their deadlines fit into the shortest lease.
const BATCH: i64 = 8;

impl Post {
    /// The post of an installation. `key` and `salt` are derived from the master key. Nothing connects yet.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new(
        db: Db,
        clock: Clock,
        key: [u8; 32],
        salt: [u8; 32],
        config: &PostConfig,
    ) -> Result<Self, PostError> {
        let deadline = Duration::from_millis(config.deadline_ms);
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            seal: Seal::new(key),
            salt,
            mail: mail::door(config, deadline)?,
            texts: text::gateway(config)?,
            deadline,
            recipient_per_hour: config.recipient_per_hour,
            school_per_hour: config.school_per_hour,
        })))
    }

    /// Whether e-mail can leave at all.
    pub fn carries_mail(&self) -> bool {
        self.0.mail.is_some()
    }

    /// Whether text messages can leave at all.
    pub fn carries_texts(&self) -> bool {
        self.0.texts.is_some()
    }

    /// Whether `address` can be written on an e-mail.
    pub fn is_address(address: &str) -> bool {
        address.len() <= 254 && address.parse::<lettre::Address>().is_ok()
    }

    /// Writes an e-mail into the caller's transaction, to leave after its commit and before `expires_at`. Counts against
    /// the budget of `school`, if any. Nothing is written where no e-mail can leave.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn mail(
        &self,
        tx: &mut impl Tx,
        mail: Mail,
        school: Option<SchoolId>,
        expires_at: DateTime<Utc>,
    ) -> Result<(), DbError> {
        if !self.carries_mail() {
            return Ok(());
        }
        self.put(tx, Sealed { school, message: Message::Mail(mail) }, expires_at).await
    }

    /// The same for a text message.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn text(
        &self,
        tx: &mut impl Tx,
        text: Text,
        school: Option<SchoolId>,
        expires_at: DateTime<Utc>,
    ) -> Result<(), DbError> {
        if !self.carries_texts() {
            return Ok(());
        }
        self.put(tx, Sealed { school, message: Message::Text(text) }, expires_at).await
    }

    async fn put(&self, tx: &mut impl Tx, sealed: Sealed, expires_at: DateTime<Utc>) -> Result<(), DbError> {
        let id: Uuid = self.0.clock.mint();
        let plain = serde_json::to_vec(&sealed).map_err(|_| DbError::Corrupt("a message is not JSON"))?;
        let bytes = self.0.seal.close(id.as_bytes(), &plain)?;
        let now = self.0.clock.now();
        queries::insert(tx, id, sealed.message.channel(), &bytes, now, expires_at).await
    }

    /// Seals bytes for a row of another table under the same key, bound to `name`.
    ///
    /// # Errors
    /// [`DbError::Corrupt`] when the system has no randomness to give.
    pub fn seal(&self, name: &[u8], plain: &[u8]) -> Result<Vec<u8>, DbError> {
        self.0.seal.close(name, plain)
    }

    /// Opens what [`Self::seal`] closed.
    ///
    /// # Errors
    /// [`DbError::Corrupt`] for anything else.
    pub fn unseal(&self, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, DbError> {
        self.0.seal.open(name, sealed)
    }

    /// Sends what is due, until nothing is. Workers of several nodes may do so at once.
    ///
    /// # Errors
    /// Any [`DbError`]; what a server answers is dealt with message by message.
    pub async fn deliver_due(&self) -> Result<Delivered, DbError> {
        let mut all = Delivered::default();
        loop {
            let now = self.0.clock.now();
            let mut tx = self.0.db.lookup().await?;
            let due = queries::claim(&mut tx, now, BATCH).await?;
            tx.commit().await?;
            if due.is_empty() {
                return Ok(all);
            }
            for outcome in futures::future::join_all(due.iter().map(|row| self.handle(row, now))).await {
                match outcome? {
                    Then::Sent => all.sent += 1,
                    Then::Drop(_) => all.dropped += 1,
                    Then::Again(_) => all.put_off += 1,
                }
            }
        }
    }

    async fn handle(&self, row: &queries::Due, now: DateTime<Utc>) -> Result<Then, DbError> {
        let then = self.then(row, now).await?;
        let label = match &then {
            Then::Sent => "sent",
            Then::Drop(why) | Then::Again(why) => why,
        };
        metrics::counter!("preau_post_messages_total", "outcome" => label).increment(1);
        let mut tx = self.0.db.lookup().await?;
        match &then {
            Then::Sent => queries::forget(&mut tx, row.id).await?,
            Then::Drop(why) => {
                queries::forget(&mut tx, row.id).await?;
                metrics::counter!("preau_post_dropped_total", "why" => *why).increment(1);
                tracing::warn!(message.id = %row.id, why, attempts = row.attempts, "message dropped");
            }
            Then::Again(why) => {
                queries::put_off(&mut tx, row.id, now + lease(row.attempts)).await?;
                tracing::info!(message.id = %row.id, why, attempts = row.attempts, "message put off");
            }
        }
        tx.commit().await?;
        Ok(then)
    }

    async fn then(&self, row: &queries::Due, now: DateTime<Utc>) -> Result<Then, DbError> {
        if row.expires_at <= now {
            return Ok(Then::Drop("expired"));
        }
        // Sealed under another master key, or by a later release: nobody can send it.
        let Ok(plain) = self.0.seal.open(row.id.as_bytes(), &row.sealed) else {
            return Ok(Then::Drop("unreadable"));
        };
        let Ok(sealed) = serde_json::from_slice::<Sealed>(&plain) else {
            return Ok(Then::Drop("unreadable"));
        };
        if row.attempts == 1 && !self.within_budgets(&sealed, now).await? {
            return Ok(Then::Drop("budget"));
        }
        let sending = async {
            match (&sealed.message, &self.0.mail, &self.0.texts) {
                (Message::Mail(mail), Some(door), _) => door.send(row.id, mail).await,
                (Message::Text(text), _, Some(gateway)) => gateway.send(row.id, text).await,
                _ => Err(Refused::ForGood("no such transport here".to_owned())),
            }
        };
        let outcome = tokio::time::timeout(self.0.deadline, sending)
            .await
            .unwrap_or_else(|_| Err(Refused::ForNow("it took too long".to_owned())));
        Ok(match outcome {
            Ok(()) => Then::Sent,
            Err(Refused::ForNow(why)) => {
                tracing::debug!(message.id = %row.id, why, "not taken for now");
                Then::Again("refused-for-now")
            }
            Err(Refused::ForGood(why)) => {
                tracing::debug!(message.id = %row.id, why, "not taken");
                Then::Drop("refused")
            }
        })
    }

    /// Takes one message from the budgets of its recipient and of its school, both or neither.
    async fn within_budgets(&self, sealed: &Sealed, now: DateTime<Utc>) -> Result<bool, DbError> {
        let mut buckets =
            vec![(self.bucket("recipient", &sealed.message.to().to_lowercase()), self.0.recipient_per_hour)];
        if let Some(school) = sealed.school {
            buckets.push((self.bucket("school", &school.to_string()), self.0.school_per_hour));
        }
        let mut tx = self.0.db.lookup().await?;
        for (bucket, most) in buckets {
            if !queries::take(&mut tx, &bucket, most, now, now - chrono::Duration::hours(1)).await? {
                return Ok(false);
            }
        }
        tx.commit().await?;
        Ok(true)
    }

    fn bucket(&self, kind: &str, whose: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0.salt);
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(whose.as_bytes());
        hash.finalize().into()
    }

    /// Forgets budgets whose hour is over.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn sweep(&self) -> Result<u64, DbError> {
        let mut tx = self.0.db.lookup().await?;
        let swept = queries::sweep(&mut tx, self.0.clock.now() - chrono::Duration::hours(1)).await?;
        tx.commit().await?;
        Ok(swept)
    }
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post")
            .field("mail", &self.carries_mail())
            .field("texts", &self.carries_texts())
            .finish_non_exhaustive()
    }
}

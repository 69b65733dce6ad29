//! The journal of administrative acts: one hash chain a school or territory, written in the transaction of the act.

use chrono::{DateTime, SubsecRound, Utc};
use preau_kernel::PersonId;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{DbError, Tx};

/// An act to be written down. `detail` holds codes and counts, never names, marks or bodies.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// Who; `None` is the installation's own operator.
    pub actor: Option<PersonId>,
    /// What, as `feature.verb`.
    pub act: &'a str,
    /// On what.
    pub subject: Option<Uuid>,
    /// Codes and counts.
    pub detail: Value,
}

/// A break in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The first row that does not follow from the one before it.
    pub seq: i64,
}

const GENESIS: [u8; 32] = [0; 32];

/// Adds `act` to the chain of the transaction's school or territory.
///
/// # Errors
/// Any [`DbError`].
pub async fn append(tx: &mut impl Tx, at: DateTime<Utc>, act: Act<'_>) -> Result<(), DbError> {
    let chain = tx.scope();
    // PostgreSQL keeps microseconds: what is hashed must be what is stored.
    let at = at.trunc_subsecs(6);
    // The head's row lock is what puts two acts of one school in order.
    let head = sqlx::query!(
        "INSERT INTO journal_head (chain_id, seq, hash) VALUES ($1, 0, $2)
         ON CONFLICT (chain_id) DO UPDATE SET seq = journal_head.seq
         RETURNING seq, hash",
        chain,
        &GENESIS[..],
    )
    .fetch_one(tx.conn())
    .await?;
    let seq = head.seq + 1;
    let hash = link(&head.hash, chain, seq, at, &act);
    sqlx::query!(
        "INSERT INTO journal (chain_id, seq, at, actor_id, act, subject_id, detail, prev_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        chain,
        seq,
        at,
        act.actor.map(PersonId::uuid),
        act.act,
        act.subject,
        act.detail,
        head.hash,
        &hash[..],
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!("UPDATE journal_head SET seq = $2, hash = $3 WHERE chain_id = $1", chain, seq, &hash[..])
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Walks the chain of the transaction's scope and names the first break, a missing tail included.
///
/// # Errors
/// Any [`DbError`].
pub async fn verify(tx: &mut impl Tx) -> Result<Result<i64, Broken>, DbError> {
    let chain = tx.scope();
    let mut before = GENESIS.to_vec();
    let mut seq = 0;
    loop {
        let rows = sqlx::query!(
            "SELECT seq, at, actor_id, act, subject_id, detail, prev_hash, hash
               FROM journal WHERE chain_id = $1 AND seq > $2 ORDER BY seq LIMIT 500",
            chain,
            seq,
        )
        .fetch_all(tx.conn())
        .await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let act = Act {
                actor: row.actor_id.map(PersonId::from),
                act: &row.act,
                subject: row.subject_id,
                detail: row.detail.clone(),
            };
            let hash = link(&before, chain, row.seq, row.at, &act);
            if row.seq != seq + 1 || row.prev_hash != before || row.hash != hash {
                return Ok(Err(Broken { seq: seq + 1 }));
            }
            (seq, before) = (row.seq, row.hash);
        }
    }
    let head = sqlx::query!("SELECT seq, hash FROM journal_head WHERE chain_id = $1", chain)
        .fetch_optional(tx.conn())
        .await?;
    let whole = head.map_or(seq == 0, |head| head.seq == seq && head.hash == before);
    Ok(if whole { Ok(seq) } else { Err(Broken { seq: seq + 1 }) })
}

fn link(before: &[u8], chain: Uuid, seq: i64, at: DateTime<Utc>, act: &Act<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(chain.as_bytes());
    hash.update(seq.to_be_bytes());
    hash.update(at.timestamp_micros().to_be_bytes());
    hash.update(act.actor.map_or(Uuid::nil(), PersonId::uuid).as_bytes());
    hash.update(act.subject.unwrap_or_default().as_bytes());
    hash.update(u64::try_from(act.act.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(act.act.as_bytes());
    // serde_json's map is sorted, as jsonb's text is not: the value is re-serialised, never compared as text.
    hash.update(act.detail.to_string().as_bytes());
    hash.finalize().into()
}

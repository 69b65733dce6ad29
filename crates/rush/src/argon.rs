//! The bare hash: what a sign-in would cost if it cost nothing but Argon2id.
//!
//! Same crate, parameters and arena policy as the product's own pool (19 MiB, two passes, one lane, memory
//! reused and touched beforehand), so that a ratio between the two says only what the rest costs.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{cpu, number::float};

/// KiB of memory, passes, lanes: OWASP's 19 MiB set, DESIGN §5.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What `preau-rush argon` prints.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Hashed {
    pub hashes: u64,
    pub cpu_s: f64,
    pub wall_s: f64,
}

impl Hashed {
    /// CPU seconds of one hash.
    #[must_use]
    pub fn each_s(&self) -> f64 {
        self.cpu_s / float(self.hashes.max(1))
    }
}

/// The memory of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arena {
    /// One for all, as the product's threads have it.
    Kept,
    /// A new one each time, as the algorithm's crate has it by itself: what keeping one saves (overload.md §E, ablations).
    Fresh,
}

/// Hashes for `window` on this thread.
///
/// # Errors
/// The parameters are refused, or this process's CPU time cannot be read.
pub fn hash_for(window: Duration, kind: Arena) -> anyhow::Result<Hashed> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|e| anyhow!("argon2: {e}"))?;
    let blocks = params.block_count();
    let mut arena = vec![Block::default(); blocks];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut out = [0_u8; 32];
    let mut hash = |salt: u64| {
        if kind == Arena::Fresh {
            // Given back first, or there would be two.
            drop(std::mem::take(&mut arena));
            arena = vec![Block::default(); blocks];
        }
        argon
            .hash_password_into_with_memory(b"un mot de passe", &salt.to_be_bytes(), &mut out, &mut arena)
            .map_err(|e| anyhow!("argon2: {e}"))?;
        black_box(&out);
        anyhow::Ok(())
    };
    hash(0)?; // touches every page of the arena
    let me = std::process::id();
    let before = cpu::of_process(me).context("cannot read my own CPU time")?;
    let began = Instant::now();
    let mut hashes = 0;
    while began.elapsed() < window {
        hashes += 1;
        hash(hashes)?;
    }
    let spent = cpu::of_process(me)?.saturating_sub(before);
    Ok(Hashed { hashes, cpu_s: spent.as_secs_f64(), wall_s: began.elapsed().as_secs_f64() })
}

/// The cheapest hash of `password` that the algorithm allows (8 KiB, one pass), as a PHC string: for scale models
/// in a database of one's own, never for people.
///
/// # Errors
/// The password is longer than Argon2 accepts.
pub fn cheap_phc(password: &str) -> anyhow::Result<String> {
    phc(password, 8, 1, LANES)
}

/// A hash of `password` as a PHC string, with so many KiB, passes and lanes: for scale models, never for people.
///
/// # Errors
/// The parameters are refused, or the password is longer than Argon2 accepts.
pub fn phc(password: &str, memory_kib: u32, passes: u32, lanes: u32) -> anyhow::Result<String> {
    let params = Params::new(memory_kib, passes, lanes, None).map_err(|e| anyhow!("argon2: {e}"))?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = b"a scale model";
    let mut out = [0_u8; 32];
    argon.hash_password_into(password.as_bytes(), salt, &mut out).map_err(|e| anyhow!("argon2: {e}"))?;
    let [salt, hash] = [&salt[..], &out[..]].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    Ok(format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_costs_cpu_time() {
        for kind in [Arena::Kept, Arena::Fresh] {
            let found = hash_for(Duration::from_millis(200), kind).unwrap();
            assert!(found.hashes >= 1);
            assert!(found.each_s() > 0.001, "{kind:?}: {found:?}");
        }
    }

    #[test]
    fn the_cheap_hash_is_a_phc_string() {
        let phc = cheap_phc("secret").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{phc}");
        assert_eq!(phc.split('$').count(), 6);
        assert_ne!(phc, cheap_phc("other").unwrap());
    }
}

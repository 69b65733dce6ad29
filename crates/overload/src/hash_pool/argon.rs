//! Argon2id in an arena that is reused.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use secrecy::zeroize::Zeroize;

/// The most that a stored hash may ask for (a hostile row must not take a node down): memory in KiB, passes.
pub fn argon2_limits() -> (u32, u32) {
    (64 * 1024, 6)
}

/// How long an arena may hold what its last hash has left there.
const KEPT: Duration = Duration::from_secs(1);

/// The memory of one thread's hashes.
pub(crate) struct Arena {
    blocks: Vec<Block>,
    /// When it was last written to, while what was written is still there.
    used: Option<Instant>,
}

impl Arena {
    pub(crate) fn new(params: &Params) -> Self {
        Self { blocks: vec![Block::default(); params.block_count()], used: None }
    }

    /// When it is to be wiped, if nothing is hashed in it before.
    pub(crate) fn wipe_at(&self) -> Option<Instant> {
        self.used.map(|used| used + KEPT)
    }

    /// Overwrites what the last hash has left. Not after each: that would be a tenth of the hash (1.5 of 15 ms), and while
    /// others wait the next hash overwrites it all.
    pub(crate) fn wipe(&mut self) {
        self.blocks.iter_mut().zeroize();
        self.used = None;
    }

    fn of(&mut self, blocks: usize) -> Option<&mut [Block]> {
        if self.blocks.len() < blocks {
            // Growing may move it, and what is left behind is nobody's any more.
            self.wipe();
            self.blocks.resize(blocks, Block::default());
        }
        self.used = Some(Instant::now());
        self.blocks.get_mut(..blocks)
    }
}

/// Whether the password matches; `None` when the stored string is not one that we would ever verify.
pub(crate) fn matches(phc: &str, password: &[u8], arena: &mut Arena) -> Option<bool> {
    let stored = PasswordHash::new(phc).ok()?;
    let params = Params::try_from(&stored).ok()?;
    let (most_memory, most_passes) = argon2_limits();
    if stored.algorithm.as_str() != "argon2id"
        || params.m_cost() > most_memory
        || params.t_cost() > most_passes
        || params.p_cost() > 4
    {
        return None;
    }
    let expected = stored.hash.as_ref()?;
    let mut output = vec![0; expected.len()];
    compute(&params, password, stored.salt.as_ref()?, &mut output, arena)?;
    Some(constant_time_eq(expected.as_bytes(), &output))
}

pub(crate) fn encode(params: &Params, password: &[u8], salt: &[u8; 16], arena: &mut Arena) -> Option<String> {
    let mut output = [0; 32];
    compute(params, password, salt, &mut output, arena)?;
    let hash = PasswordHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: argon2::password_hash::phc::ParamsString::try_from(params).ok()?,
        salt: Some(argon2::password_hash::phc::Salt::new(salt).ok()?),
        hash: Some(argon2::password_hash::phc::Output::new(&output).ok()?),
    };
    Some(hash.to_string())
}

fn compute(
    params: &Params,
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
    arena: &mut Arena,
) -> Option<()> {
    let blocks = arena.of(params.block_count())?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password, salt, output, blocks)
        .ok()
}

fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

#[cfg(test)]
impl Arena {
    /// As if what it holds had been there for long.
    pub(crate) fn age(&mut self) {
        self.used = self.used.and_then(|used| used.checked_sub(KEPT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_wiped_whole_whatever_was_hashed_in_it_last() {
        let (small, large) =
            (Params::new(64, 1, 1, Some(32)).unwrap(), Params::new(256, 1, 1, None).unwrap());
        let mut arena = Arena::new(&small);
        assert_eq!(arena.wipe_at(), None, "nothing was hashed yet");
        for params in [&small, &large, &small] {
            encode(params, b"un secret", &[7; 16], &mut arena).unwrap();
            assert!(!is_blank(&arena) && arena.wipe_at().is_some());
        }
        arena.wipe();
        assert!(is_blank(&arena) && arena.wipe_at().is_none());
        assert_eq!(arena.blocks.len(), large.block_count(), "it stays touched");
    }

    fn is_blank(arena: &Arena) -> bool {
        arena.blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0))
    }
}

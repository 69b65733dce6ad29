//! Argon2id in an arena that is reused.

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};

/// The most that a stored hash may ask for (a hostile row must not take a node down): memory in KiB, passes.
pub fn argon2_limits() -> (u32, u32) {
    (64 * 1024, 6)
}

pub(crate) fn arena(params: &Params) -> Vec<Block> {
    vec![Block::default(); params.block_count()]
}

/// Whether the password matches; `None` when the stored string is not one that we would ever verify.
pub(crate) fn matches(phc: &str, password: &[u8], arena: &mut Vec<Block>) -> Option<bool> {
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

pub(crate) fn encode(
    params: &Params,
    password: &[u8],
    salt: &[u8; 16],
    arena: &mut Vec<Block>,
) -> Option<String> {
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
    arena: &mut Vec<Block>,
) -> Option<()> {
    if arena.len() < params.block_count() {
        arena.resize(params.block_count(), Block::default());
    }
    let blocks = arena.get_mut(..params.block_count())?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password, salt, output, blocks)
        .ok()
}

fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

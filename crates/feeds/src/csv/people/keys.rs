//! The keys of people who have no identifier, and what children are looked up by.

use std::fmt::Write as _;

use preau_kernel::fold;
use sha2::{Digest, Sha256};

/// The key of somebody who has no identifier: of school, profile and what else tells them apart, folded so that two programs that
/// write the same name otherwise mean the same person.
pub(super) fn hashed(school: &str, profile: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in [school, profile].into_iter().map(str::to_owned).chain(parts.iter().map(|part| fold(part))) {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut key = format!("{school}:#");
    for byte in hash.finalize().iter().take(16) {
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// A hash of folded words to look children up by: whoever could make two alike could as well write the same name.
pub(super) fn small_hash(parts: &[&str]) -> u64 {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hash = DefaultHasher::new();
    for part in parts {
        hash.write(fold(part).as_bytes());
        hash.write_u8(0);
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashed_identity_names_nobody_and_folds_names() {
        let key = hashed("0750001A", "pupil", &["Lœuillet", "Zoé", "2014-08-13", "CP"]);
        assert_eq!(key, hashed("0750001A", "pupil", &["LOEUILLET", "Zoe ", "2014-08-13", "cp"]));
        assert_ne!(key, hashed("0750001A", "pupil", &["Lœuillet", "Zoé", "2014-08-13", "CE1"]));
        assert_ne!(hashed("0750001A", "pupil", &["ab", "c"]), hashed("0750001A", "pupil", &["a", "bc"]));
        assert!(key.starts_with("0750001A:#") && key.len() == 10 + 32, "{key}");
    }
}

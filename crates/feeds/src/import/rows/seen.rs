//! Who has been met in a delivery: one key for two people, one INE for two pupils.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use crate::record::{Category, Names};

/// People remembered: a region's, in 40 MB. Beyond, nothing is told apart any more, and memory stays flat.
const REMEMBERED: usize = 1_700_000;

/// What is known of a key that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// It comes for the first time.
    New,
    /// The same person comes again.
    Again,
    /// Somebody else comes under it.
    Other,
}

/// Hashes of what has been met; keyed anew each time, so that no file can aim at a collision.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hash: RandomState,
    people: HashMap<u64, u64, Straight>,
    ines: HashSet<u64, Straight>,
}

impl Seen {
    /// Notes a person's key.
    pub(super) fn person(&mut self, category: Category, names: &Names) -> Met {
        let key = self.hash.hash_one((category, names.key.as_str()));
        let name = self.hash.hash_one((names.last_name.as_str(), names.first_name.as_str()));
        match self.people.get(&key) {
            Some(known) if *known == name => Met::Again,
            Some(_) => Met::Other,
            None => {
                if self.people.len() < REMEMBERED {
                    self.people.insert(key, name);
                }
                Met::New
            }
        }
    }

    /// Notes an INE, and answers whether nobody had it.
    pub(super) fn ine(&mut self, ine: &str) -> bool {
        let hash = self.hash.hash_one(ine);
        self.ines.len() >= REMEMBERED && !self.ines.contains(&hash) || self.ines.insert(hash)
    }
}

/// What is hashed is a hash.
#[derive(Clone, Debug, Default)]
pub(super) struct Straight;

impl BuildHasher for Straight {
    type Hasher = Through;

    fn build_hasher(&self) -> Through {
        Through(0)
    }
}

/// The hasher of [`Straight`].
#[derive(Debug)]
pub(super) struct Through(u64);

impl std::hash::Hasher for Through {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_two_people_is_not_a_person_who_comes_twice() {
        let names =
            |key: &str, last: &str| Names { key: key.into(), last_name: last.into(), ..Names::default() };
        let mut seen = Seen::default();
        assert_eq!(seen.person(Category::Pupil, &names("1", "A")), Met::New);
        assert_eq!(seen.person(Category::Pupil, &names("1", "A")), Met::Again);
        assert_eq!(seen.person(Category::Pupil, &names("1", "B")), Met::Other);
        assert_eq!(seen.person(Category::Staff, &names("1", "B")), Met::New);
        assert!(seen.ine("X") && !seen.ine("X") && seen.ine("Y"));
    }
}

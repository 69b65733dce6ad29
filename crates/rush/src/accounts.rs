//! The people behind the virtual users: real accounts of a demo territory, drawn by role.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, bail};
use rand::{Rng as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

/// One line of `accounts.json`. Unknown fields are the file's own business.
#[derive(Clone, Deserialize)]
pub struct Account {
    /// `pupil`, `guardian`, `teacher`, `staff`, `school_admin` or `territory_admin`.
    pub role: String,
    /// Absent for people of the territory.
    #[serde(default)]
    pub school_id: Option<String>,
    pub login: String,
    pub password: String,
    /// Whoever has a second factor is left out: the flows sign in with a password alone.
    #[serde(default)]
    pub totp_secret: Option<String>,
}

/// Reads an accounts file.
///
/// # Errors
/// The file is absent, malformed, or holds nobody who signs in with a password alone.
pub fn read(path: &Path) -> anyhow::Result<Vec<Account>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the accounts file {}", path.display()))?;
    let all: Vec<Account> =
        serde_json::from_str(&text).with_context(|| format!("malformed accounts file {}", path.display()))?;
    let usable: Vec<_> = all.into_iter().filter(|account| account.totp_secret.is_none()).collect();
    if usable.is_empty() {
        bail!("{} holds no account to sign in with", path.display());
    }
    Ok(usable)
}

/// Draws accounts by the weights of their roles, without repeating one before its role is used up.
pub struct Cast {
    decks: Vec<Deck>,
    total: f64,
    rng: ChaCha8Rng,
    /// Roles of the mix that the file has nobody for; the report says so.
    pub missing: Vec<String>,
}

struct Deck {
    weight: f64,
    cards: Vec<Account>,
    next: usize,
}

impl Cast {
    /// # Errors
    /// No role of `mix` has an account.
    pub fn new(accounts: &[Account], mix: &BTreeMap<String, f64>, seed: u64) -> anyhow::Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1); // apart from the arrivals, which use stream 0 of the same seed
        let mut decks = Vec::new();
        let mut missing = Vec::new();
        for (role, weight) in mix {
            let mut cards: Vec<_> =
                accounts.iter().filter(|account| account.role == *role).cloned().collect();
            if cards.is_empty() {
                missing.push(role.clone());
                continue;
            }
            cards.shuffle(&mut rng);
            decks.push(Deck { weight: *weight, cards, next: 0 });
        }
        let total = decks.iter().map(|deck| deck.weight).sum();
        if decks.is_empty() || total <= 0.0 {
            bail!("no account has a role of the mix");
        }
        Ok(Self { decks, total, rng, missing })
    }

    /// The next person to arrive.
    pub fn draw(&mut self) -> Option<Account> {
        let mut left = self.rng.random::<f64>() * self.total;
        let last = self.decks.len().checked_sub(1)?;
        for (index, deck) in self.decks.iter_mut().enumerate() {
            if left < deck.weight || index == last {
                return deck.deal(&mut self.rng);
            }
            left -= deck.weight;
        }
        None
    }
}

impl Deck {
    fn deal(&mut self, rng: &mut ChaCha8Rng) -> Option<Account> {
        if self.next == self.cards.len() {
            self.cards.shuffle(rng);
            self.next = 0;
        }
        let card = self.cards.get(self.next).cloned();
        self.next += 1;
        card
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn accounts(role: &str, count: usize) -> Vec<Account> {
        (0..count)
            .map(|n| Account {
                role: role.to_owned(),
                school_id: None,
                login: format!("{role}.{n}"),
                password: "secret".to_owned(),
                totp_secret: None,
            })
            .collect()
    }

    fn mix(weights: &[(&str, f64)]) -> BTreeMap<String, f64> {
        weights.iter().map(|(role, weight)| ((*role).to_owned(), *weight)).collect()
    }

    #[test]
    fn nobody_comes_twice_before_everybody_came() {
        let pupils = accounts("pupil", 40);
        let mut cast = Cast::new(&pupils, &mix(&[("pupil", 1.0)]), 1).unwrap();
        let first: HashSet<_> = (0..40).map(|_| cast.draw().unwrap().login).collect();
        assert_eq!(first.len(), 40);
        assert!(first.contains(&cast.draw().unwrap().login));
    }

    #[test]
    fn the_mix_is_respected_and_absent_roles_are_named() {
        let mut all = accounts("pupil", 100);
        all.extend(accounts("teacher", 10));
        let weights = mix(&[("pupil", 78.0), ("teacher", 22.0), ("guardian", 14.0)]);
        let mut cast = Cast::new(&all, &weights, 5).unwrap();
        assert_eq!(cast.missing, ["guardian"]);
        let teachers = (0..2000).filter(|_| cast.draw().unwrap().role == "teacher").count();
        assert!((360..520).contains(&teachers), "{teachers}");
    }

    #[test]
    fn the_same_seed_draws_the_same_people() {
        let all = accounts("pupil", 30);
        let weights = mix(&[("pupil", 1.0)]);
        let draw = |seed| {
            let mut cast = Cast::new(&all, &weights, seed).unwrap();
            (0..60).map(|_| cast.draw().unwrap().login).collect::<Vec<_>>()
        };
        assert_eq!(draw(9), draw(9));
        assert_ne!(draw(9), draw(10));
    }

    #[test]
    fn people_with_a_second_factor_are_left_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = r#"[{"role":"pupil","school_id":null,"school_name":"x","login":"a","password":"b"},
                       {"role":"staff","login":"c","password":"d","totp_secret":"e"}]"#;
        std::fs::write(file.path(), text).unwrap();
        let found = read(file.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].login, "a");
    }
}

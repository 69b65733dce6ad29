//! Passphrases that a child can read, type and remember.

use std::sync::LazyLock;

/// French nouns without accents, 3 to 10 letters: our own list.
static WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| include_str!("words_fr.txt").lines().collect());

/// Four words and three hyphens: 1,243⁴, that is 41 bits. At 20 guesses an hour (`rules::wait_after`), a year of guessing
/// finds it with a probability under 10⁻⁷. `None` when the system has no randomness to give.
pub fn passphrase() -> Option<String> {
    words(4)
}

/// Three words, for a card that a young pupil copies: 30 bits, a year of guessing under 10⁻⁴. The card is for one class.
pub fn young_passphrase() -> Option<String> {
    words(3)
}

fn words(count: usize) -> Option<String> {
    let mut chosen = Vec::with_capacity(count);
    for _ in 0..count {
        chosen.push(one()?);
    }
    Some(chosen.join("-"))
}

/// One word, each as likely as another.
fn one() -> Option<&'static str> {
    let count = u32::try_from(WORDS.len()).ok()?;
    let limit = u32::MAX - u32::MAX % count;
    loop {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).ok()?;
        let drawn = u32::from_be_bytes(bytes);
        if drawn < limit {
            return WORDS.get(usize::try_from(drawn % count).ok()?).copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_is_what_the_entropy_says() {
        let distinct: BTreeSet<_> = WORDS.iter().collect();
        assert_eq!((WORDS.len(), distinct.len()), (1243, 1243));
        assert!(
            WORDS
                .iter()
                .all(|word| (3..=10).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase()))
        );
    }

    #[test]
    fn a_passphrase_is_accepted_by_the_rules_of_everybody() {
        for _ in 0..50 {
            let phrase = passphrase().unwrap();
            assert_eq!(phrase.split('-').count(), 4);
            crate::rules::password(&phrase, 12, &["preau"]).unwrap_or_else(|why| panic!("{phrase}: {why:?}"));
        }
        assert_eq!(young_passphrase().unwrap().split('-').count(), 3);
        assert_ne!(passphrase(), passphrase());
    }
}

//! Licence expressions, as much of SPDX as registries use: `A OR B`, `A AND B`, `A WITH X`, brackets, and the old
//! `A/B` for OR. OR binds loosest, then AND, then WITH.

use anyhow::{Result, bail};

/// Whether a choice among the licences of `expression` exists that uses only `allowed` ones.
///
/// An exception (`A WITH X`) must be listed as a whole, as cargo-deny asks.
pub(crate) fn satisfied(expression: &str, allowed: &[String]) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = any(&mut words, allowed)?;
    match words.next() {
        None => Ok(verdict),
        Some(word) => bail!("licence expression {expression:?}: unexpected {word:?}"),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &[String]) -> Result<bool> {
    let mut verdict = all(words, allowed)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("or")).is_some() {
        verdict |= all(words, allowed)?;
    }
    Ok(verdict)
}

fn all(words: &mut Words<'_>, allowed: &[String]) -> Result<bool> {
    let mut verdict = one(words, allowed)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("and")).is_some() {
        verdict &= one(words, allowed)?;
    }
    Ok(verdict)
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> Result<bool> {
    match words.next() {
        Some("(") => {
            let verdict = any(words, allowed)?;
            match words.next() {
                Some(")") => Ok(verdict),
                other => bail!("licence expression: expected a closing bracket, found {other:?}"),
            }
        }
        Some(word) if word != ")" => {
            let mut licence = word.to_owned();
            if words.next_if(|word| word.eq_ignore_ascii_case("with")).is_some() {
                licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
            }
            Ok(allowed.contains(&licence))
        }
        other => bail!("licence expression: expected a licence, found {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(expression: &str) -> bool {
        let allowed =
            ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-3-Clause"].map(str::to_owned);
        satisfied(expression, &allowed).unwrap()
    }

    #[test]
    fn one_allowed_choice_is_enough_and_every_conjunct_counts() {
        assert!(ok("MIT"));
        assert!(ok("GPL-2.0 OR MIT"));
        assert!(ok("MIT/GPL-3.0"));
        assert!(ok("(MIT OR GPL-2.0) AND BSD-3-Clause"));
        assert!(ok("GPL-2.0-only OR Apache-2.0 WITH LLVM-exception"));
        assert!(!ok("MIT AND GPL-2.0"));
        assert!(!ok("(MIT OR Apache-2.0) AND SSPL-1.0"));
        assert!(!ok("GPL-3.0 WITH Classpath-exception-2.0"));
        assert!(ok("GPL-2.0 AND GPL-3.0 OR MIT"), "AND binds tighter than OR");
    }

    #[test]
    fn nonsense_is_an_error() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT MIT"] {
            assert!(satisfied(expression, &["MIT".to_owned()]).is_err(), "{expression:?}");
        }
    }
}

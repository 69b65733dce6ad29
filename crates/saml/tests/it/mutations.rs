//! A valid answer changed at random says what it said, or nothing.

use crate::support::{keys, says, verdict};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

/// Pieces of XML and of SAML that mean something to a reader.
const PIECES: &[&str] = &[
    "<",
    ">",
    "/",
    "\"",
    "'",
    "&",
    "&amp;",
    "&#65;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?x?>",
    "<!DOCTYPE a>",
    "ID=\"a_r1\"",
    "xmlns=\"\"",
    "xmlns:saml=\"urn:x\"",
    "</saml:Assertion>",
    "<saml:Assertion>",
    "<ds:Signature>",
    "#_r1",
    "{AAF}07|x|7654321",
    "\u{0}",
    "\r",
    " ",
    "é",
    "</samlp:Response>",
];

#[test]
fn no_mutation_says_anything_else() {
    let mut random = ChaCha8Rng::seed_from_u64(20_261_121);
    let key = keys().0.signing();
    let (mut believed, mut refused) = (0, 0);
    for valid in [says().response(&key).unwrap(), says().signed_response(&key).unwrap()] {
        let honest = verdict(&valid).unwrap();
        let letters: Vec<char> = valid.chars().collect();
        for _ in 0..1500 {
            let mut changed = letters.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..changed.len());
                let until = (at + random.random_range(1..60)).min(changed.len());
                match random.random_range(0..5) {
                    0 => _ = changed.splice(at..at, PIECES.choose(&mut random).unwrap().chars()).count(),
                    1 => _ = changed.splice(at..until, std::iter::empty()).count(),
                    2 => {
                        let piece: Vec<char> = changed[at..until].to_vec();
                        let to = random.random_range(0..changed.len());
                        _ = changed.splice(to..to, piece).count();
                    }
                    3 => changed[at] = char::from(random.random_range(32..127_u8)),
                    _ => {
                        let other = random.random_range(0..changed.len());
                        changed.swap(at, other);
                    }
                }
            }
            match verdict(&changed.into_iter().collect::<String>()) {
                Ok(who) => {
                    believed += 1;
                    assert_eq!(who, honest);
                }
                Err(_) => refused += 1,
            }
        }
    }
    // Some mutations change nothing that counts (a space in a tag, a comment, the certificate in KeyInfo).
    assert!(refused > 2000, "{refused} refused, {believed} believed");
}

//! Names folded to plain ASCII: for search, and for login names.

/// `text` in lower case without accents: `Éloïse Lœuillet` → `eloise loeuillet`. What has no Latin base is dropped;
/// runs of anything but letters and digits become one space.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        // Almost all letters, of which no table needs to be asked.
        if letter.is_ascii_alphanumeric() {
            out.push(letter.to_ascii_lowercase());
            continue;
        }
        fold_other(letter, &mut out);
    }
    out.truncate(out.trim_end().len());
    out
}

fn fold_other(letter: char, out: &mut String) {
    for char in letter.to_lowercase() {
        match base(char) {
            Some(plain) => out.push_str(plain),
            None if char.is_ascii_alphanumeric() => out.push(char),
            None if char.is_alphabetic() || is_mark(char) => {}
            None if !out.is_empty() && !out.ends_with(' ') => out.push(' '),
            None => {}
        }
    }
}

/// Combining marks carry an accent that the base letter has just given without it.
fn is_mark(char: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&char)
}

fn base(char: char) -> Option<&'static str> {
    Some(match char {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' => "o",
        'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

/// The login name that two names ask for, before any number (DESIGN §5): `prenom.nom`, at most 60 characters.
/// Falls back on `compte` when nothing of the names can be written in ASCII.
pub fn login_stem(first_name: &str, last_name: &str) -> String {
    let part = |name: &str| fold(name).replace(' ', "-");
    let (first, last) = (part(first_name), part(last_name));
    let mut stem = match (first.is_empty(), last.is_empty()) {
        (false, false) => format!("{first}.{last}"),
        (false, true) => first,
        (true, false) => last,
        (true, true) => "compte".to_owned(),
    };
    stem.truncate(60);
    stem
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn french_names_fold() {
        assert_eq!(fold("  Éloïse  Lœuillet-D'Arc "), "eloise loeuillet d arc");
        assert_eq!(fold("e\u{301}te\u{301}"), "ete");
        assert_eq!(login_stem("Anne-Laure", "Le Goff"), "anne-laure.le-goff");
        assert_eq!(login_stem("李", "王"), "compte");
    }

    proptest! {
        #[test]
        fn a_stem_is_always_a_login(first in ".{0,80}", last in ".{0,80}") {
            let stem = login_stem(&first, &last);
            prop_assert!(!stem.is_empty() && stem.len() <= 60);
            prop_assert!(stem.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-'));
            prop_assert!(stem.as_bytes()[0].is_ascii_alphanumeric());
        }
    }
}

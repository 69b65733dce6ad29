//! The words of the pages: French first, English for those whose browser asks for it. The catalogue is shared with
//! the browser program (`i18n/*.json`); `build.rs` makes a field of each key.

include!(concat!(env!("OUT_DIR"), "/words.rs"));

/// A language that Préau speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lang {
    /// Français.
    French,
    /// English.
    English,
}

impl Lang {
    /// The language of an `Accept-Language` header: English only if it stands before any French.
    pub fn asked(header: Option<&str>) -> Self {
        let mut ranges: Vec<(&str, f32)> = header
            .unwrap_or("")
            .split(',')
            .map(|range| {
                let (tag, quality) = range.split_once(";q=").unwrap_or((range, "1"));
                (tag.trim(), quality.trim().parse().unwrap_or(0.0))
            })
            .filter(|(_, quality)| *quality > 0.0)
            .collect();
        ranges.sort_by(|a, b| b.1.total_cmp(&a.1));
        let known = ranges.iter().find_map(|(tag, _)| match tag.get(..2) {
            Some("fr") => Some(Self::French),
            Some("en") => Some(Self::English),
            _ => None,
        });
        known.unwrap_or(Self::French)
    }

    /// The code for `<html lang>`.
    pub fn code(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// The sentences of the language.
    pub fn words(self) -> &'static Words {
        match self {
            Self::French => &FRENCH,
            Self::English => &ENGLISH,
        }
    }

    /// Chooses between the forms of a counted noun; French counts zero as one.
    pub fn counted(self, n: u64, one: &str, other: &str) -> String {
        let singular = match self {
            Self::French => n < 2,
            Self::English => n == 1,
        };
        fill(if singular { one } else { other }, &[("n", &n.to_string())])
    }

    /// A wait in words, rounded up so that it is never too short.
    pub fn wait(self, seconds: u64) -> String {
        let words = self.words();
        if seconds < 60 {
            self.counted(seconds.max(1), words.second_one, words.second_other)
        } else {
            self.counted(seconds.div_ceil(60), words.minute_one, words.minute_other)
        }
    }
}

/// A sentence with its `{name}` holes filled.
pub fn fill(sentence: &str, holes: &[(&str, &str)]) -> String {
    let mut out = sentence.to_owned();
    for (name, value) in holes {
        out = out.replace(&format!("{{{name}}}"), value);
    }
    out
}

/// The overseas name of a zone, or nothing for metropolitan France.
pub fn zone_name(words: &Words, tz: &str) -> Option<String> {
    let known = words.zones.iter().find_map(|zone| zone.strip_prefix(tz)?.strip_prefix('='));
    match known {
        Some(name) => Some(name.to_owned()),
        None if tz == "Europe/Paris" => None,
        None => Some(tz.rsplit('/').next().unwrap_or(tz).replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn french_unless_english_is_preferred() {
        assert_eq!(Lang::asked(None), Lang::French);
        assert_eq!(Lang::asked(Some("en-GB,en;q=0.9,fr;q=0.8")), Lang::English);
        assert_eq!(Lang::asked(Some("fr;q=0.9,en;q=0.5")), Lang::French);
        assert_eq!(Lang::asked(Some("de,en;q=0.3")), Lang::English);
        assert_eq!(Lang::asked(Some("de")), Lang::French);
        assert_eq!(Lang::asked(Some("é,;q=,en;q=0")), Lang::French);
    }

    #[test]
    fn a_wait_is_never_shorter_than_asked() {
        assert_eq!(Lang::French.wait(0), "1\u{a0}seconde");
        assert_eq!(Lang::French.wait(59), "59\u{a0}secondes");
        assert_eq!(Lang::French.wait(61), "2\u{a0}minutes");
    }

    #[test]
    fn overseas_zones_have_their_name() {
        assert_eq!(zone_name(&FRENCH, "Indian/Reunion").as_deref(), Some("La Réunion"));
        assert_eq!(zone_name(&FRENCH, "Europe/Paris"), None);
        assert_eq!(zone_name(&FRENCH, "America/New_York").as_deref(), Some("New York"));
    }
}

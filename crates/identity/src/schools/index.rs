//! Schools by the beginnings of their words. Pure.

use preau_kernel::fold;

use super::queries::SchoolRow;

/// Words of a question beyond these say nothing more.
const MOST_WORDS: usize = 6;
/// Letters of a question, and of its shortest form.
const LONGEST: usize = 60;
const SHORTEST: usize = 2;
/// How many places in the list are looked at for one question: a fraction of a millisecond. What lies behind them is found by
/// saying more.
const LOOKS: usize = 4_000;

/// Schools, sorted by town and name, and every word of each, sorted.
#[derive(Debug, Default)]
pub(super) struct Index {
    rows: Vec<Entry>,
    /// Which school, and from which letter of its text.
    words: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Entry {
    row: SchoolRow,
    /// Name, town and code, folded, a space before each word.
    text: String,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) schools: Vec<&'a SchoolRow>,
    /// Whether there are more.
    pub(super) more: bool,
}

impl Index {
    pub(super) fn of(rows: Vec<SchoolRow>) -> Self {
        let mut keyed: Vec<_> = rows.into_iter().map(|row| (fold(&row.city), fold(&row.name), row)).collect();
        keyed.sort_by(|a, b| (&a.0, &a.1, &a.2.uai).cmp(&(&b.0, &b.1, &b.2.uai)));
        let rows: Vec<Entry> = keyed
            .into_iter()
            .map(|(city, name, row)| Entry { text: format!(" {name} {city} {}", fold(&row.uai)), row })
            .collect();
        let mut words: Vec<(usize, usize)> = rows
            .iter()
            .enumerate()
            .flat_map(|(at, entry)| entry.text.match_indices(' ').map(move |(space, _)| (at, space + 1)))
            .collect();
        words.sort_by(|a, b| rest(&rows, *a).cmp(rest(&rows, *b)).then(a.cmp(b)));
        Self { rows, words }
    }

    /// At most `most` schools of which every word of `text` begins one: by town, then by name.
    pub(super) fn search(&self, text: &str, most: usize) -> Found<'_> {
        let asked: String = text.chars().take(LONGEST).collect();
        let asked = fold(&asked);
        let asked: Vec<&str> = asked.split(' ').filter(|word| !word.is_empty()).take(MOST_WORDS).collect();
        let nothing = Found { schools: Vec::new(), more: false };
        if asked.iter().map(|word| word.len()).max().unwrap_or(0) < SHORTEST {
            return nothing;
        }
        // The rarest word leads.
        let Some(leads) = asked.iter().map(|word| self.beginning(word)).min_by_key(|it| it.len()) else {
            return nothing;
        };
        let mut found: Vec<usize> = leads
            .iter()
            .take(LOOKS)
            .map(|(at, _)| *at)
            .filter(|at| {
                self.rows.get(*at).is_some_and(|entry| asked.iter().all(|word| has(&entry.text, word)))
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        let more = found.len() > most || leads.len() > LOOKS;
        let schools = found.iter().take(most).filter_map(|at| Some(&self.rows.get(*at)?.row)).collect();
        Found { schools, more }
    }

    /// The words that begin so.
    fn beginning(&self, word: &str) -> &[(usize, usize)] {
        let first = self.words.partition_point(|at| rest(&self.rows, *at) < word);
        let behind = self.words.get(first..).unwrap_or_default();
        let many = behind.partition_point(|at| rest(&self.rows, *at).starts_with(word));
        behind.get(..many).unwrap_or_default()
    }
}

fn rest(rows: &[Entry], (at, from): (usize, usize)) -> &str {
    rows.get(at).and_then(|entry| entry.text.get(from..)).unwrap_or_default()
}

/// Whether a word of `text` begins so. Each word has a space before it.
fn has(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| text.as_bytes().get(at.wrapping_sub(1)) == Some(&b' '))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn school(n: u128, uai: &str, name: &str, city: &str) -> SchoolRow {
        SchoolRow {
            school_id: Uuid::from_u128(n).into(),
            uai: uai.to_owned(),
            name: name.to_owned(),
            city: city.to_owned(),
        }
    }

    fn index() -> Index {
        Index::of(vec![
            school(1, "0590001A", "Collège Rosa-Parks", "Roubaix"),
            school(2, "0590002B", "École élémentaire Jean-Jaurès", "Lille"),
            school(3, "0690003C", "Lycée Jean Jaurès", "Lyon"),
            school(4, "0690004D", "Collège Éluard", "Saint-Étienne"),
        ])
    }

    fn found(text: &str) -> Vec<String> {
        index().search(text, 8).schools.into_iter().map(|row| row.uai.clone()).collect()
    }

    #[test]
    fn a_school_is_found_by_name_by_town_and_by_code() {
        assert_eq!(found("rosa parks"), ["0590001A"]);
        assert_eq!(found("PARKS Rosa"), ["0590001A"], "in any order");
        assert_eq!(found("jaures"), ["0590002B", "0690003C"], "by town: Lille, Lyon");
        assert_eq!(found("Jaurès Lyon"), ["0690003C"]);
        assert_eq!(found("0690003c"), ["0690003C"]);
        assert_eq!(found("06900"), ["0690003C", "0690004D"]);
        assert_eq!(found("saint etienne"), ["0690004D"]);
        assert_eq!(found("elu"), ["0690004D"], "the beginning of a word");
    }

    #[test]
    fn what_says_nothing_finds_nothing() {
        for nothing in ["", " ", "a", "e l", "…", "marseille", "oubaix", "rosa lyon"] {
            assert_eq!(found(nothing), [""; 0], "{nothing:?}");
        }
        assert_eq!(Index::default().search("rosa", 8).schools.len(), 0);
    }

    #[test]
    fn few_are_shown_and_the_rest_is_said() {
        let many =
            (0..20).map(|n| school(n, &format!("07500{n:02}Z"), &format!("École {n}"), "Paris")).collect();
        let index = Index::of(many);
        let found = index.search("ecole paris", 8);
        assert_eq!((found.schools.len(), found.more), (8, true));
        let one = index.search("0750007z", 8);
        assert_eq!((one.schools.len(), one.more), (1, false));
    }

    #[test]
    fn each_word_finds_it_by_its_first_letters_and_no_text_breaks_it() {
        let names =
            ["Groupe scolaire L'Île-aux-Cœurs", "EREA Françoise Dolto", "LP  «Ampère»", "A. B. Ça", "Éa"];
        for name in names {
            let index = Index::of(vec![school(9, "0010001X", name, "Bourg")]);
            for word in fold(name).split(' ').filter(|word| word.len() >= 2) {
                for letters in 2..=word.len() {
                    assert_eq!(index.search(&word[..letters], 8).schools.len(), 1, "{name}: {word}");
                }
            }
            for text in [&"e".repeat(5_000), &"bourg ".repeat(500), "\0%_'\"", "ÿ\u{301}Ω李 \u{a0}", "b%"]
            {
                assert!(index.search(text, 8).schools.len() <= 1);
            }
        }
    }
}

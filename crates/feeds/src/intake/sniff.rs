//! What a file is, by its first bytes. Its name only decides for one that is too short to say anything.

use crate::csv::{self, Columns};
use crate::decode;
use crate::record::Category;

/// What a file of a delivery is, in reading order: what others refer to comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Objects of an academy's directory, of this kind.
    Aaf(Category),
    /// Pupils of a school (`BEE_ELEVES`).
    SieclePupils,
    /// Persons related to them (`BEE_RESPONSABLES`).
    SiecleRelatives,
    /// A table of people.
    Csv(csv::Profile),
}

/// What the file of this name is, by the first bytes of it; `None` for what is no directory.
pub(super) fn kind(name: &str, head: &[u8]) -> Option<Kind> {
    let text = decode::head(head);
    let by_name = || category_of_name(name).map(Kind::Aaf);
    let text = text.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
    if text.is_empty() {
        return by_name();
    }
    let Some(markup) = text.strip_prefix('<') else {
        let columns = Columns::of_head(text);
        let table = columns.profile().map(Kind::Csv);
        // A table that nobody knows is refused with words about its columns, not passed over.
        let named = extension(name).is_some_and(|end| ["csv", "txt", "tsv"].contains(&end.as_str()));
        return table.or_else(by_name).or(named.then_some(Kind::Csv(csv::Profile::Unknown)));
    };
    match root(markup) {
        Some("ficAlimMENESR") => {
            let category = category_of_content(text).or_else(|| category_of_name(name));
            Some(Kind::Aaf(category.unwrap_or(Category::Pupil)))
        }
        Some("BEE_ELEVES") => Some(Kind::SieclePupils),
        Some("BEE_RESPONSABLES") => Some(Kind::SiecleRelatives),
        _ => by_name(),
    }
}

/// The name of the first element, past prolog, comments and DOCTYPE.
fn root(markup: &str) -> Option<&str> {
    let mut rest = markup;
    loop {
        let end = match rest.chars().next()? {
            '?' => "?>",
            '!' if rest.starts_with("!--") => "-->",
            '!' => ">",
            _ => return rest.split(|letter: char| letter.is_whitespace() || "/>".contains(letter)).next(),
        };
        let (_, after) = rest.split_once(end)?;
        let (_, next) = after.split_once('<')?;
        rest = next;
    }
}

/// The kind of the first object.
fn category_of_content(text: &str) -> Option<Category> {
    let (_, after) = text.split_once("\"categorie").or_else(|| text.split_once("'categorie"))?;
    let (_, after) = after.split_once("<value>")?;
    let (value, _) = after.split_once('<')?;
    Category::of_value(value.trim())
}

fn extension(name: &str) -> Option<String> {
    name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase())
}

/// The kind of objects in a file named `…_<Type>_<four digits>.xml`, by any prefix.
fn category_of_name(name: &str) -> Option<Category> {
    let (stem, extension) = name.rsplit_once('.')?;
    if !extension.eq_ignore_ascii_case("xml") {
        return None;
    }
    let (rest, number) = stem.rsplit_once('_')?;
    if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kind = rest.rsplit('_').next()?;
    Category::ALL.into_iter().find(|category| category.suffix().eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_says_what_a_file_is_and_a_name_only_when_there_is_none() {
        let aaf = b"<?xml version='1.0'?><!-- degre=\"1D\" --><!DOCTYPE ficAlimMENESR SYSTEM 'x.dtd'>\n<ficAlimMENESR>\
                    <addRequest><operationalAttributes><attr name=\"categoriePersonne\"><value> Eleve</value>";
        assert_eq!(kind("export.bin", aaf), Some(Kind::Aaf(Category::Pupil)));
        assert_eq!(kind("x_Eleve_0000.xml", b"<ficAlimMENESR/>"), Some(Kind::Aaf(Category::Pupil)));
        assert_eq!(kind("x_Eleve_0000.xml", b""), Some(Kind::Aaf(Category::Pupil)));
        assert_eq!(kind("x.xml", b"<BEE_ELEVES VERSION=\"2.1\">"), Some(Kind::SieclePupils));
        assert_eq!(kind("x.xml", b"<BEE_RESPONSABLES>"), Some(Kind::SiecleRelatives));
        assert_eq!(kind("x.csv", b"Couleur;Taille\n"), Some(Kind::Csv(csv::Profile::Unknown)));
        assert_eq!(kind("x.xml", b"<html>"), None);
        assert_eq!(kind("x.dtd", b"<!ELEMENT ficAlimMENESR (a)*>"), None);
        assert_eq!(kind("photo.jpg", b"\xff\xd8\xff\xe0"), None);
    }
}

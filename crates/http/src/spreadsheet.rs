//! Tables for spreadsheets, as CSV that none of them runs: semicolons, as in French, and no cell that is a formula.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};

/// What a file begins with, so that spreadsheets read it as UTF-8.
pub const MARK: &str = "\u{feff}";

/// A line of cells: always quoted, semicolons between.
pub fn line(cells: &[impl AsRef<str>]) -> String {
    let mut line = String::new();
    for (at, text) in cells.iter().enumerate() {
        if at > 0 {
            line.push(';');
        }
        line.push('"');
        line.push_str(&cell(text.as_ref()).replace('"', "\"\""));
        line.push('"');
    }
    line.push_str("\r\n");
    line
}

/// A cell that no spreadsheet takes for a formula, whatever it takes for a separator: a quote stands before each sign that
/// would begin one, at the start of the cell and after anything that may end one.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 2);
    let mut begins = true;
    for char in text.chars() {
        let char = if matches!(char, '\n' | '\r') { ' ' } else { char };
        let trigger = matches!(char, '=' | '+' | '-' | '@' | '\t' | '＝' | '＋' | '－' | '＠');
        if begins && trigger {
            safe.push('\'');
        }
        begins = matches!(char, ',' | ';' | '\t' | '|' | '"')
            || begins && (char.is_whitespace() || char == '\u{feff}');
        safe.push(char);
    }
    safe
}

/// The answer that a browser saves under that name, and nobody keeps on the way. The name is ASCII without quotes.
pub fn file(name: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    let saved = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    headers.insert(header::CONTENT_DISPOSITION, saved.unwrap_or(HeaderValue::from_static("attachment")));
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_are_words() {
        for (text, safe) in [
            ("=1+1", "'=1+1"),
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+33612345678", "'+33612345678"),
            ("-Paul", "'-Paul"),
            ("@x", "'@x"),
            ("Jean-Paul", "Jean-Paul"),
            (" =x", " '=x"),
            ("\u{feff}=x", "\u{feff}'=x"),
            ("a;=x", "a;'=x"),
            ("a\n=x", "a =x"),
        ] {
            assert_eq!(cell(text), safe);
        }
        assert_eq!(line(&["=1+1", "a\"b", "nœud-1"]), "\"'=1+1\";\"a\"\"b\";\"nœud-1\"\r\n");
    }

    proptest! {
        #[test]
        fn no_cell_begins_a_formula_in_any_locale(
            text in "[a-z=+@\t\r\n;,|\" \\-]{0,24}", next in "[=+@a-z\\-]{0,6}",
        ) {
            let written = line(&[text.as_str(), next.as_str()]);
            for separator in *b";,\t|" {
                let mut reader = csv::ReaderBuilder::new()
                    .has_headers(false).flexible(true).delimiter(separator).from_reader(written.as_bytes());
                for record in reader.records() {
                    for cell in record.unwrap().iter() {
                        let begins = cell.trim_start().chars().next();
                        prop_assert!(!begins.is_some_and(|char| "=+-@".contains(char)), "{separator} {cell:?} in {written:?}");
                    }
                }
            }
        }

        /// A program that ignores quotes and splits at the separator, then trims.
        #[test]
        fn nor_for_whoever_ignores_quotes(text in "[=+@\t\r\n ;,|\"a-]{0,12}", separator in "[;,|\t]") {
            let written = line(&[text.as_str()]);
            for part in written.split(separator.chars().next().unwrap()) {
                let part = part.trim_matches(['"', ' ', '\r', '\n', '\u{a0}']);
                prop_assert!(!part.starts_with(['=', '+', '-', '@']), "{written:?} {part:?}");
            }
        }

        #[test]
        fn nor_any_text_at_all(text in ".{0,40}") {
            prop_assert!(!cell(&text).starts_with(['=', '+', '-', '@', '\t', '\r']));
        }
    }
}

//! Just enough of SQL's lexical rules to lint a migration without being fooled by a comment or a string.

/// The statements of `text`, lower case, one space between words, without comments; string literals are empty,
/// bodies between dollar quotes stay (their semicolons do not part statements).
pub(crate) fn statements(text: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut current = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("--") {
            rest = after.find('\n').map_or("", |end| after.split_at(end).1);
        } else if let Some(after) = rest.strip_prefix("/*") {
            rest = after.split_once("*/").map_or("", |(_, after)| after);
        } else if let Some(after) = rest.strip_prefix('\'') {
            current.push_str("''");
            rest = after.split_once('\'').map_or("", |(_, after)| after);
        } else if let Some((body, after)) = dollar_quoted(rest) {
            current.push_str(&statements(body).join(" "));
            rest = after;
        } else {
            let after = rest.split_at(next.len_utf8()).1;
            if next == ';' {
                done.push(std::mem::take(&mut current));
            } else {
                current.extend(next.to_lowercase());
            }
            rest = after;
        }
    }
    done.push(current);
    done.iter()
        .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|it| !it.is_empty())
        .collect()
}

/// `$tag$body$tag$rest` as body and rest.
fn dollar_quoted(text: &str) -> Option<(&str, &str)> {
    let after = text.strip_prefix('$')?;
    let (tag, after) = after.split_once('$')?;
    if !tag.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
        || tag.starts_with(|it: char| it.is_ascii_digit())
    {
        return None;
    }
    after.split_once(&format!("${tag}$"))
}

/// The words of a statement: identifiers and keywords, without quotes or punctuation.
pub(crate) fn words(statement: &str) -> impl Iterator<Item = &str> {
    statement.split(|it: char| !(it.is_alphanumeric() || it == '_')).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_bodies_do_not_part_statements() {
        let text = "-- a; comment\nSELECT 'a;''b', 1; /* x; */ DO $$ BEGIN a; -- c\n b; END $$;\nCREATE  Table\nt (x int)";
        assert_eq!(statements(text), ["select '''', 1", "do begin a b end", "create table t (x int)"]);
    }

    #[test]
    fn a_parameter_is_not_a_dollar_quote() {
        assert_eq!(statements("SELECT $1, $2; SELECT $a$;$a$"), ["select $1, $2", "select"]);
    }
}

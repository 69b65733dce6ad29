//! Escaping, as the canonical form writes it: which is also right anywhere else.

/// Adds `value` to what stands between quotation marks.
pub fn attribute(value: &str, to: &mut String) {
    for letter in value.chars() {
        match letter {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '"' => to.push_str("&quot;"),
            '\t' => to.push_str("&#x9;"),
            '\n' => to.push_str("&#xA;"),
            '\r' => to.push_str("&#xD;"),
            other => to.push(other),
        }
    }
}

/// Adds `value` to what stands between tags.
pub fn text(value: &str, to: &mut String) {
    for letter in value.chars() {
        match letter {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '\r' => to.push_str("&#xD;"),
            other => to.push(other),
        }
    }
}

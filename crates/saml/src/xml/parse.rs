//! The strict reader. Any doubt is a refusal.

use std::{collections::HashSet, sync::Arc};

use super::{Attribute, Binding, Element, Node, XML, XmlFault};

/// An honest answer of a desk holds some 10 kB; one with twenty children some 20.
const MOST_BYTES: usize = 256 * 1024;
const MOST_DEPTH: usize = 32;
const MOST_ELEMENTS: usize = 4096;
const MOST_ATTRIBUTES: usize = 64;

/// Reads a whole document.
///
/// # Errors
/// Any [`XmlFault`].
pub fn parse(document: &str) -> Result<Element, XmlFault> {
    if document.len() > MOST_BYTES {
        return Err(XmlFault::TooLarge);
    }
    // The standard's first step: line ends are one character, whatever they were.
    let document = document.replace("\r\n", "\n").replace('\r', "\n");
    if !document.chars().all(is_character) {
        return Err(XmlFault::Malformed);
    }
    let mut reader = Reader {
        rest: document.strip_prefix('\u{feff}').unwrap_or(&document),
        left: MOST_ELEMENTS,
        ids: HashSet::new(),
    };
    reader.declaration()?;
    reader.between()?;
    let scope = Arc::new(vec![(Arc::from("xml"), Arc::from(XML)), (Arc::from(""), Arc::from(""))]);
    reader.take("<")?;
    let root = reader.element(&scope, 1)?;
    reader.between()?;
    if reader.rest.is_empty() { Ok(root) } else { Err(XmlFault::Malformed) }
}

struct Reader<'a> {
    rest: &'a str,
    left: usize,
    ids: HashSet<String>,
}

type Read<T> = Result<T, XmlFault>;

impl<'a> Reader<'a> {
    fn take(&mut self, mark: &str) -> Read<()> {
        self.rest = self.rest.strip_prefix(mark).ok_or(XmlFault::Malformed)?;
        Ok(())
    }

    fn takes(&mut self, mark: &str) -> bool {
        let after = self.rest.strip_prefix(mark);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Everything up to `mark`, which is passed over.
    fn until(&mut self, mark: &str) -> Read<&'a str> {
        let (before, after) = self.rest.split_once(mark).ok_or(XmlFault::Malformed)?;
        self.rest = after;
        Ok(before)
    }

    fn space(&mut self) -> bool {
        let after = self.rest.trim_start_matches([' ', '\t', '\n']);
        let passed = after.len() < self.rest.len();
        self.rest = after;
        passed
    }

    fn declaration(&mut self) -> Read<()> {
        if !self.rest.starts_with("<?xml ") && !self.rest.starts_with("<?xml\n") {
            return Ok(());
        }
        let said = self.until("?>")?.to_ascii_lowercase().replace('\'', "\"");
        let known = said.contains("version=\"1.0\"")
            && (!said.contains("encoding") || said.contains("encoding=\"utf-8\""));
        if known { Ok(()) } else { Err(XmlFault::Malformed) }
    }

    /// Space and comments, outside of the root.
    fn between(&mut self) -> Read<()> {
        loop {
            self.space();
            if !self.comment()? {
                return self.no_other_markup();
            }
        }
    }

    fn comment(&mut self) -> Read<bool> {
        if !self.takes("<!--") {
            return Ok(false);
        }
        // "--" only ever ends a comment.
        self.until("--")?;
        self.take(">")?;
        Ok(true)
    }

    fn no_other_markup(&self) -> Read<()> {
        if self.rest.starts_with("<!D") {
            Err(XmlFault::DocumentType)
        } else if self.rest.starts_with("<?") {
            Err(XmlFault::Instruction)
        } else {
            Ok(())
        }
    }

    fn name(&mut self) -> Read<(&'a str, &'a str)> {
        let end = self
            .rest
            .find(|it: char| !(it.is_ascii_alphanumeric() || matches!(it, ':' | '_' | '-' | '.')))
            .ok_or(XmlFault::Malformed)?;
        let (name, after) = self.rest.split_at_checked(end).ok_or(XmlFault::Malformed)?;
        self.rest = after;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let starts = |part: &str| part.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
        let fits = starts(local) && !local.contains(':') && (starts(prefix) || !name.contains(':'));
        if fits { Ok((prefix, local)) } else { Err(XmlFault::Malformed) }
    }

    /// An element whose `<` has been read.
    fn element(&mut self, outer: &Arc<Vec<Binding>>, depth: usize) -> Read<Element> {
        self.left = self.left.checked_sub(1).ok_or(XmlFault::TooLarge)?;
        if depth > MOST_DEPTH {
            return Err(XmlFault::TooLarge);
        }
        let (prefix, local) = self.name()?;
        let mut said: Vec<(&str, &str, String)> = Vec::new();
        let empty = loop {
            let spaced = self.space();
            if self.takes("/>") {
                break true;
            }
            if self.takes(">") {
                break false;
            }
            if !spaced {
                return Err(XmlFault::Malformed);
            }
            if said.len() == MOST_ATTRIBUTES {
                return Err(XmlFault::TooLarge);
            }
            let (prefix, local) = self.name()?;
            self.space();
            self.take("=")?;
            self.space();
            let quote = if self.takes("\"") {
                "\""
            } else {
                self.take("'")?;
                "'"
            };
            let value = attribute_value(self.until(quote)?)?;
            said.push((prefix, local, value));
        };
        let scope = declared(&said, outer)?;
        let mut attributes = Vec::with_capacity(said.len());
        for (prefix, local, value) in said {
            if prefix == "xmlns" || (prefix.is_empty() && local == "xmlns") {
                continue;
            }
            // An attribute without a prefix has no namespace, whatever the default.
            let (prefix, namespace) =
                if prefix.is_empty() { (Arc::from(""), Arc::from("")) } else { find(&scope, prefix)? };
            let clash = |it: &Attribute| it.namespace == namespace && *it.local == *local;
            if attributes.iter().any(clash) {
                return Err(XmlFault::Malformed);
            }
            let names = (prefix.is_empty() || *namespace == *XML) && local.eq_ignore_ascii_case("id")
                || local == "AssertionID";
            if names && !self.ids.insert(value.clone()) {
                return Err(XmlFault::DuplicateId);
            }
            attributes.push(Attribute { prefix, local: local.into(), namespace, value });
        }
        let (bound, namespace) = find(&scope, prefix)?;
        let children = if empty { Vec::new() } else { self.content(&scope, depth, (prefix, local))? };
        Ok(Element { prefix: bound, local: local.into(), namespace, attributes, children, scope })
    }

    fn content(&mut self, scope: &Arc<Vec<Binding>>, depth: usize, name: (&str, &str)) -> Read<Vec<Node>> {
        let mut children = Vec::new();
        let mut words = String::new();
        loop {
            let end = self.rest.find(['<', '&']).ok_or(XmlFault::Malformed)?;
            let (plain, after) = self.rest.split_at_checked(end).ok_or(XmlFault::Malformed)?;
            if plain.contains("]]>") {
                return Err(XmlFault::Malformed);
            }
            words.push_str(plain);
            self.rest = after;
            if self.takes("&") {
                words.push(reference(self.until(";")?)?);
            } else if self.takes("<![CDATA[") {
                words.push_str(self.until("]]>")?);
            } else if self.comment()? {
            } else {
                self.no_other_markup()?;
                if !words.is_empty() {
                    children.push(Node::Text(std::mem::take(&mut words)));
                }
                self.take("<")?;
                if self.takes("/") {
                    let closing = self.name()?;
                    self.space();
                    self.take(">")?;
                    return if closing == name { Ok(children) } else { Err(XmlFault::Malformed) };
                }
                children.push(Node::Element(self.element(scope, depth + 1)?));
            }
        }
    }
}

/// The bindings in force inside an element that says `said`.
fn declared(said: &[(&str, &str, String)], outer: &Arc<Vec<Binding>>) -> Read<Arc<Vec<Binding>>> {
    let mut own: Vec<Binding> = Vec::new();
    for (prefix, local, namespace) in said {
        let bound = match (*prefix, *local) {
            ("xmlns", "xml" | "xmlns") => return Err(XmlFault::Malformed),
            ("xmlns", _) if namespace.is_empty() => return Err(XmlFault::Malformed),
            ("xmlns", bound) => bound,
            ("", "xmlns") => "",
            _ => continue,
        };
        if own.iter().any(|(already, _)| **already == *bound) || namespace == XML {
            return Err(XmlFault::Malformed);
        }
        own.push((Arc::from(bound), Arc::from(namespace.as_str())));
    }
    if own.is_empty() {
        return Ok(Arc::clone(outer));
    }
    Ok(Arc::new(outer.iter().cloned().chain(own).collect()))
}

fn find(scope: &[Binding], prefix: &str) -> Read<Binding> {
    scope.iter().rev().find(|(bound, _)| **bound == *prefix).cloned().ok_or(XmlFault::Malformed)
}

fn attribute_value(raw: &str) -> Read<String> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['<', '&', '\t', '\n']) {
        let (plain, after) = rest.split_at_checked(at).ok_or(XmlFault::Malformed)?;
        value.push_str(plain);
        if let Some(after) = after.strip_prefix('&') {
            let (name, after) = after.split_once(';').ok_or(XmlFault::Malformed)?;
            value.push(reference(name)?);
            rest = after;
        } else if let Some(after) = after.strip_prefix(['\t', '\n']) {
            value.push(' ');
            rest = after;
        } else {
            return Err(XmlFault::Malformed);
        }
    }
    value.push_str(rest);
    Ok(value)
}

/// `name` of `&name;`: one of the five, or a character's number.
fn reference(name: &str) -> Read<char> {
    let number = match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => name.strip_prefix('#').ok_or(XmlFault::Malformed)?,
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    // `from_str_radix` also takes a sign.
    if !digits.starts_with(|it: char| it.is_ascii_hexdigit()) || digits.len() > 8 {
        return Err(XmlFault::Malformed);
    }
    let code = u32::from_str_radix(digits, radix).map_err(|_| XmlFault::Malformed)?;
    char::from_u32(code).filter(|it| is_character(*it)).ok_or(XmlFault::Malformed)
}

fn is_character(it: char) -> bool {
    matches!(it, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::canonical;

    fn canon(document: &str) -> String {
        canonical(&parse(document).unwrap(), None, &[])
    }

    #[test]
    fn the_canonical_form_is_the_standards() {
        assert_eq!(canon("<a  b='1' a=\"2\"/>"), r#"<a a="2" b="1"></a>"#);
        assert_eq!(
            canon(r#"<p:a xmlns:p="u" xmlns:q="v" xmlns="w"><b/><q:c q:x="1" y="&lt;&#10;"/></p:a>"#),
            r#"<p:a xmlns:p="u"><b xmlns="w"></b><q:c xmlns:q="v" y="&lt;&#xA;" q:x="1"></q:c></p:a>"#
        );
        assert_eq!(canon("<a xmlns='u'><b xmlns=''/></a>"), r#"<a xmlns="u"><b xmlns=""></b></a>"#);
        assert_eq!(canon("<a>x<!-- y -->z<![CDATA[<&]]>&gt;\r\n</a>"), "<a>xz&lt;&amp;&gt;\n</a>");
    }

    #[test]
    fn prefixes_that_are_asked_for_are_written_where_they_are_in_force() {
        let root = parse(r#"<a xmlns:xs="s" xmlns:no="n"><b/></a>"#).unwrap();
        assert_eq!(canonical(&root, None, &["xs"]), r#"<a xmlns:xs="s"><b></b></a>"#);
    }

    #[test]
    fn what_is_not_plain_is_refused() {
        for (bad, fault) in [
            ("<!DOCTYPE a><a/>", XmlFault::DocumentType),
            ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", XmlFault::DocumentType),
            ("<a>&x;</a>", XmlFault::Malformed),
            ("<a><?php x ?></a>", XmlFault::Instruction),
            ("<a ID='1'><b ID='1'/></a>", XmlFault::DuplicateId),
            ("<a ID='1'><b Id='1'/></a>", XmlFault::DuplicateId),
            ("<a b='1' b='2'/>", XmlFault::Malformed),
            ("<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", XmlFault::Malformed),
            ("<p:a/>", XmlFault::Malformed),
            ("<a></b>", XmlFault::Malformed),
            ("<a/><b/>", XmlFault::Malformed),
            ("<a/>x", XmlFault::Malformed),
            ("x<a/>", XmlFault::Malformed),
            ("<a b=<c/>/>", XmlFault::Malformed),
            ("<a>\u{1}</a>", XmlFault::Malformed),
            ("<a>&#1;</a>", XmlFault::Malformed),
            ("<a>&#x+41;</a>", XmlFault::Malformed),
            ("<a><!-- a -- b --></a>", XmlFault::Malformed),
            ("<?xml version='1.0' encoding='UTF-16'?><a/>", XmlFault::Malformed),
            ("", XmlFault::Malformed),
        ] {
            assert_eq!(parse(bad).map(|_| ()), Err(fault), "{bad}");
        }
        let deep = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
        assert_eq!(parse(&deep).map(|_| ()), Err(XmlFault::TooLarge));
        let wide = format!("<a b='{}'/>", "x".repeat(1 << 20));
        assert_eq!(parse(&wide).map(|_| ()), Err(XmlFault::TooLarge));
    }

    #[test]
    fn a_comment_does_not_split_a_text() {
        let root = parse("<a>admin@x.fr<!---->.evil.fr</a>").unwrap();
        assert_eq!(root.text().unwrap(), "admin@x.fr.evil.fr");
    }
}

//! An attribute as almost all of them are written, read where it stands in the buffer.
//!
//! `<attr name="sn"><value>Martin</value></attr>`, blanks between the elements, nothing to resolve. Half of what reading a
//! delivery costs is the parser's five steps for each of these. Whatever is written in any other way, or does not stand in the
//! buffer whole, is left to the parser, which alone decides what is well-formed: a test reads the same documents both ways.

/// Longest name looked for; the annexes' longest has 37 letters.
const NAME: usize = 64;

/// The name of the attribute that `bytes` begin with, and how many bytes it takes with the blanks before it. Its values are
/// written to `values` as the ranges of their text. `None` when it must be left to the parser.
pub(super) fn attribute<'a>(
    bytes: &'a [u8],
    longest: usize,
    values: &mut Vec<(usize, usize)>,
) -> Option<(&'a str, usize)> {
    values.clear();
    let start = after(bytes, blanks(bytes, 0), b"<attr name=\"")?;
    let rest = bytes.get(start..)?;
    let end = start + memchr::memchr(b'"', rest.get(..rest.len().min(NAME))?)?;
    let name = bytes.get(start..end).filter(|name| name.iter().all(u8::is_ascii_alphanumeric))?;
    let name = std::str::from_utf8(name).ok()?;
    let mut at = after(bytes, end, b"\">")?;
    loop {
        at = blanks(bytes, at);
        if let Some(start) = after(bytes, at, b"<value>") {
            let end = start + memchr::memchr(b'<', bytes.get(start..)?)?;
            if end - start > longest
                || bytes.get(start..end)?.iter().fold(false, |any, byte| any | is_odd(*byte))
            {
                return None;
            }
            values.push((start, end));
            at = after(bytes, end, b"</value>")?;
        } else if let Some(next) = after(bytes, at, b"<value/>") {
            values.push((at, at));
            at = next;
        } else {
            return Some((name, after(bytes, at, b"</attr>")?));
        }
    }
}

/// A byte that means something else than itself: references, line ends that XML rewrites, controls that it forbids, and the
/// beginning of the letters beyond ASCII that it forbids.
const fn is_odd(byte: u8) -> bool {
    byte == b'&' || byte == 0xef || byte < b' ' && byte != b'\n' && byte != b'\t'
}

fn blanks(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\t')).count()
}

/// Where what follows `tag` begins, if it stands at `at`.
fn after(bytes: &[u8], at: usize, tag: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(tag).then_some(at + tag.len())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::super::reader::Reader;
    use super::*;
    use crate::fault::{Code, Fault};
    use crate::limits::Limits;
    use crate::record::Item;
    use crate::report::Report;

    fn one(text: &str) -> Option<(&str, usize, Vec<&str>)> {
        let mut values = Vec::new();
        let (name, length) = attribute(text.as_bytes(), 40, &mut values)?;
        Some((name, length, values.into_iter().map(|(start, end)| &text[start..end]).collect()))
    }

    #[test]
    fn what_almost_all_look_like_is_read_at_once() {
        let text = "\n <attr name=\"mail\">\n\t<value>é@x</value><value/> <value></value></attr><attr";
        assert_eq!(one(text), Some(("mail", text.len() - 5, vec!["é@x", "", ""])));
        assert_eq!(one("<attr name=\"sn\"></attr>"), Some(("sn", 23, vec![])));
    }

    #[test]
    fn everything_else_is_left_to_the_parser() {
        for text in [
            "",
            "<attr name='sn'><value>x</value></attr>",
            "<attr  name=\"sn\"><value>x</value></attr>",
            "<attr name=\"sn\" x=\"y\"><value>x</value></attr>",
            "<attr name=\"s&#110;\"><value>x</value></attr>",
            "<attr name=\"sn\"><value>x</value>y</attr>",
            "<attr name=\"sn\"><value>D&apos;Arc</value></attr>",
            "<attr name=\"sn\"><value>x<!-- --></value></attr>",
            "<attr name=\"sn\"><value><![CDATA[x]]></value></attr>",
            "<attr name=\"sn\"><value>x\r\ny</value></attr>",
            "<attr name=\"sn\"><value>\u{1}</value></attr>",
            "<attr name=\"sn\"><value>\u{ffff}</value></attr>",
            "<attr name=\"sn\"><value>x</value></attr",
            "<attr name=\"sn\"><value>x</val",
            "<attr name=\"sn\"><value>x</attr>",
            "<attr name=\"sn\"><value>more than forty bytes, which this caller refuses</value></attr>",
            "</attributes>",
        ] {
            assert_eq!(one(text), None, "{text}");
        }
    }

    /// A few bytes a read: nothing ever stands in the buffer whole.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let few = buf.len().min(5);
            self.0.read(&mut buf[..few])
        }
    }

    type Outcome = (Vec<Item>, Report, Option<Code>);

    fn outcome(source: impl Read, limits: &Limits) -> Outcome {
        let mut report = Report::default();
        let mut items = Vec::new();
        let read = || -> Result<(), Fault> {
            let mut reader = Reader::new(source, "x_Eleve_0000.xml", limits)?;
            while let Some(item) = reader.next(&mut report)? {
                items.push(item);
            }
            report.files.push(reader.into_facts());
            Ok(())
        };
        let code = read().err().map(|fault| fault.code);
        (items, report, code)
    }

    fn piece() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            "[a-zé0-9$ ./]{0,12}",
            Just("10$3e B".to_owned()),
            Just("8$10$1$1$1$1".to_owned()),
            Just("D&apos;Arc".to_owned()),
            Just("\u{1}".to_owned()),
            Just("a\r\nb".to_owned()),
            Just("<![CDATA[x]]>".to_owned()),
            Just("<b>x</b>".to_owned()),
            Just("&unknown;".to_owned()),
            Just("0123456789".repeat(12)),
        ];
        let values = prop::collection::vec(value, 0..4).prop_map(|values| {
            let written = values.iter().map(|value| match value.as_str() {
                "" => "<value/>".to_owned(),
                value => format!("<value>{value}</value>\n"),
            });
            written.collect::<String>()
        });
        let name = prop_oneof![
            Just("sn"),
            Just("givenName"),
            Just("ENTEleveClasses"),
            Just("ENTElevePersRelEleve"),
            Just("ENTPersonNom"),
            Just("ENTPersonJointure"),
            Just("street"),
            Just("ENTEleveHologramme"),
        ];
        let attribute =
            (name, values).prop_map(|(name, values)| format!("<attr name=\"{name}\">{values}</attr>\n"));
        prop_oneof![
            20 => attribute,
            1 => Just("<attr/>".to_owned()),
            1 => Just("<!-- x=\"y\" -->".to_owned()),
            1 => Just("<other><value>x</value></other>".to_owned()),
            1 => Just("text".to_owned()),
            1 => Just("</attr>".to_owned()),
            1 => Just("<attr name=\"sn\"><value>x".to_owned()),
            1 => Just("</attributes><attributes/>".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn both_ways_of_reading_agree(records in prop::collection::vec(prop::collection::vec(piece(), 0..12), 1..5)) {
            // Longer than the bytes that are looked at first, so that they hold no record.
            let mut xml = format!("<!--{}--><ficAlimMENESR>", " ".repeat(1_100));
            for pieces in records {
                xml.push_str(
                    "<addRequest><operationalAttributes><attr name=\"categoriePersonne\"><value>Eleve</value></attr>\
                     </operationalAttributes><identifier><id>7</id></identifier><attributes>\
                     <attr name=\"ENTPersonJointure\"><value>7</value></attr><attr name=\"sn\"><value>M</value></attr>\n",
                );
                xml.extend(pieces);
                xml.push_str("</attributes></addRequest>\n");
            }
            xml.push_str("</ficAlimMENESR>");
            for limits in [Limits::default(), Limits { value_bytes: 100, values: 2, ..Limits::default() }] {
                let (at_once, step_by_step) =
                    (outcome(xml.as_bytes(), &limits), outcome(Drops(xml.as_bytes()), &limits));
                prop_assert_eq!(at_once.0, step_by_step.0);
                prop_assert_eq!(at_once.2, step_by_step.2);
                if at_once.2.is_none() {
                    prop_assert_eq!(format!("{:?}", at_once.1), format!("{:?}", step_by_step.1));
                }
            }
        }
    }
}

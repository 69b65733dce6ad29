//! Rows in PostgreSQL's COPY text format, gathered a table.

use std::fmt::Write as _;

/// The staging tables, named without their `stage_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::import) enum Table {
    School,
    Person,
    Division,
    ChildRef,
    Subject,
    Mef,
}

impl Table {
    pub(in crate::import) const ALL: [Self; 6] =
        [Self::School, Self::Person, Self::Division, Self::ChildRef, Self::Subject, Self::Mef];

    pub(in crate::import) const fn name(self) -> &'static str {
        match self {
            Self::School => "school",
            Self::Person => "person",
            Self::Division => "division",
            Self::ChildRef => "child_ref",
            Self::Subject => "subject",
            Self::Mef => "mef",
        }
    }

    /// The columns of a row, in their order in COPY.
    pub(in crate::import) const fn columns(self) -> &'static str {
        match self {
            Self::School => "op, present, file_no, line, school_key, uai, name, kind, tz, holiday_zone, city",
            Self::Person => {
                "op, present, file_no, line, kind, join_key, last_name, first_name, title, birth_on, ine, siecle_id, email, \
                 mobile, mef_code, level, login_stem, search, sts_ids"
            }
            Self::Division => "school_key, kind, name, listed",
            Self::ChildRef => "school_key, guardian_key, pupil_search, class_name, file_no, line",
            Self::Subject => "subject_code, label, op",
            Self::Mef => "mef_code, label, stat11, op",
        }
    }

    const fn at(self) -> usize {
        match self {
            Self::School => 0,
            Self::Person => 1,
            Self::Division => 2,
            Self::ChildRef => 3,
            Self::Subject => 4,
            Self::Mef => 5,
        }
    }
}

/// A value of a row.
pub(super) enum Field<'a> {
    Text(&'a str),
    Maybe(Option<&'a str>),
    Number(i64),
    Bool(bool),
    List(&'a [String]),
}

/// Rows gathered for one COPY a table.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    texts: [String; Table::ALL.len()],
    rows: u64,
}

impl Buffers {
    /// Adds a row.
    pub(super) fn row(&mut self, table: Table, fields: &[Field<'_>]) {
        let Some(buffer) = self.texts.get_mut(table.at()) else { return };
        self.rows += 1;
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                buffer.push('\t');
            }
            match field {
                Field::Text(text) | Field::Maybe(Some(text)) => escape(buffer, text),
                Field::Maybe(None) => buffer.push_str("\\N"),
                Field::Number(number) => digits(buffer, *number),
                Field::Bool(yes) => buffer.push(if *yes { 't' } else { 'f' }),
                Field::List([]) => buffer.push_str("{}"),
                Field::List(values) => {
                    let quoted: Vec<String> = values
                        .iter()
                        .map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
                        .collect();
                    escape(buffer, &format!("{{{}}}", quoted.join(",")));
                }
            }
        }
        buffer.push('\n');
    }

    /// Rows added so far.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether some table has at least `least` bytes of rows.
    pub(super) fn is_full(&self, least: usize) -> bool {
        self.texts.iter().any(|text| text.len() >= least)
    }

    /// Takes the rows of every table that has at least `least` bytes of them, and some.
    pub(super) fn take(&mut self, least: usize) -> Vec<(Table, String)> {
        let full = Table::ALL.into_iter().filter_map(|table| {
            let text =
                self.texts.get_mut(table.at()).filter(|text| !text.is_empty() && text.len() >= least)?;
            let room = String::with_capacity(text.capacity());
            Some((table, std::mem::replace(text, room)))
        });
        full.collect()
    }
}

fn digits(buffer: &mut String, number: i64) {
    // Most are one digit.
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => buffer.push(char::from(b'0' + digit)),
        _ => {
            let _ = write!(buffer, "{number}");
        }
    }
}

/// COPY's own escapes: backslash, tab and line ends. Almost no value has any.
fn escape(buffer: &mut String, text: &str) {
    // All bytes are looked at together, which is faster than stopping at the first.
    if !text.bytes().fold(false, |any, byte| any | matches!(byte, b'\\' | b'\t' | b'\n' | b'\r')) {
        buffer.push_str(text);
        return;
    }
    for letter in text.chars() {
        match letter {
            '\\' => buffer.push_str("\\\\"),
            '\t' => buffer.push_str("\\t"),
            '\n' => buffer.push_str("\\n"),
            '\r' => buffer.push_str("\\r"),
            other => buffer.push(other),
        }
    }
}

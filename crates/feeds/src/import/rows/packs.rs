//! What a delivery says about who is what in a school, packed by school: one row of the database holds what hundreds did.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::super::roster::{StagedLink, StagedMember, StagedMembership};

/// Between the fields of a row, and behind each row: characters that XML forbids and nothing else writes.
const FIELD: char = '\u{1f}';
const ROW: char = '\u{1e}';
/// What remembering one more school costs besides its rows, about.
const SCHOOL_BYTES: usize = 256;

/// What a pack says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::import) enum What {
    /// Who is what in the school.
    Membership,
    /// Who is in which class or group.
    Member,
    /// Who is who to a pupil.
    Link,
}

impl What {
    const ALL: [Self; 3] = [Self::Membership, Self::Member, Self::Link];

    /// As stored.
    pub(in crate::import) const fn name(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::Member => "member",
            Self::Link => "link",
        }
    }
}

/// Rows of one school.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Pack {
    /// Structure join key; empty for what holds wherever the pupil is.
    pub(in crate::import) school: String,
    /// What the rows say.
    pub(in crate::import) what: What,
    /// How many they are.
    pub(in crate::import) times: i32,
    /// The rows.
    pub(in crate::import) content: String,
}

/// Packs that are being filled.
#[derive(Debug, Default)]
pub(in crate::import) struct Packs {
    open: HashMap<String, [(i32, String); What::ALL.len()]>,
    bytes: usize,
    rows: u64,
}

impl Packs {
    /// Adds who is what in a school.
    pub(in crate::import) fn membership(
        &mut self,
        school: &str,
        key: &str,
        [kind, role, function]: [&str; 3],
    ) {
        self.row(school, What::Membership, &[key, kind, role, function]);
    }

    /// Adds who is in which class or group of a school.
    pub(super) fn member(
        &mut self,
        school: &str,
        (kind, name): (&str, &str),
        key: &str,
        [role, subject]: [&str; 2],
    ) {
        self.row(school, What::Member, &[kind, name, key, role, subject]);
    }

    /// Adds who is who to a pupil.
    pub(in crate::import) fn link(&mut self, school: &str, link: &StagedLink) {
        let mut numbers = String::with_capacity(12);
        let financial = u8::from(link.financial);
        let (kind, legal, order) = (link.kind, link.legal, link.contact_order);
        let _ = write!(numbers, "{kind}{FIELD}{legal}{FIELD}{order}{FIELD}{financial}");
        // The numbers are fields already.
        self.fields(school, What::Link, &[&link.pupil_key, &link.guardian_key], &numbers);
    }

    fn row(&mut self, school: &str, what: What, fields: &[&str]) {
        let (last, before) = fields.split_last().map_or(("", fields), |(last, before)| (*last, before));
        let clean = without_marks(last);
        self.fields(school, what, before, clean.as_deref().unwrap_or(last));
    }

    fn fields(&mut self, school: &str, what: What, fields: &[&str], last: &str) {
        if !self.open.contains_key(school) {
            self.bytes += school.len() + SCHOOL_BYTES;
            self.open.insert(school.to_owned(), Default::default());
        }
        let Some((times, content)) =
            self.open.get_mut(school).and_then(|packs| packs.get_mut(usize::from(what.at())))
        else {
            return;
        };
        let before = content.len();
        for field in fields {
            content.push_str(without_marks(field).as_deref().unwrap_or(field));
            content.push(FIELD);
        }
        content.push_str(last);
        content.push(ROW);
        *times += 1;
        self.bytes += content.len() - before;
        self.rows += 1;
    }

    /// Rows added so far.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether they hold at least so many bytes.
    pub(super) const fn is_full(&self, least: usize) -> bool {
        self.bytes >= least
    }

    /// Takes all packs that hold something.
    pub(in crate::import) fn take(&mut self) -> Vec<Pack> {
        self.bytes = 0;
        let mut taken: Vec<Pack> = self
            .open
            .drain()
            .flat_map(|(school, packs)| {
                What::ALL.into_iter().zip(packs).filter(|(_, (times, _))| *times > 0).map(
                    move |(what, (times, content))| Pack { school: school.clone(), what, times, content },
                )
            })
            .collect();
        taken.sort_unstable_by(|a, b| (&a.school, a.what).cmp(&(&b.school, b.what)));
        taken
    }
}

impl What {
    const fn at(self) -> u8 {
        match self {
            Self::Membership => 0,
            Self::Member => 1,
            Self::Link => 2,
        }
    }
}

/// A text without the two characters that mean something here, if it has any.
fn without_marks(text: &str) -> Option<String> {
    let has = text.bytes().fold(false, |any, byte| any | matches!(byte, 0x1e | 0x1f));
    has.then(|| text.replace([FIELD, ROW], " "))
}

/// Packs of one school, opened.
#[derive(Clone, Debug, Default)]
pub(in crate::import) struct Opened {
    pub(in crate::import) memberships: Vec<StagedMembership>,
    pub(in crate::import) members: Vec<StagedMember>,
    pub(in crate::import) links: Vec<StagedLink>,
}

impl Opened {
    /// Adds the rows of a pack; one of a kind that this release does not know is left out.
    pub(in crate::import) fn add(&mut self, what: &str, content: &str) {
        let rows = content.split_terminator(ROW).map(|row| row.split(FIELD));
        if what == What::Membership.name() {
            self.memberships.extend(rows.map(|mut fields| {
                let mut next = || fields.next().unwrap_or_default().to_owned();
                StagedMembership { join_key: next(), kind: next(), role: next(), function: next() }
            }));
        } else if what == What::Member.name() {
            self.members.extend(rows.map(|mut fields| {
                let mut next = || fields.next().unwrap_or_default().to_owned();
                StagedMember {
                    kind: next(),
                    name: next(),
                    join_key: next(),
                    role: next(),
                    subject_code: next(),
                }
            }));
        } else if what == What::Link.name() {
            self.links.extend(rows.map(|mut fields| {
                let mut next = || fields.next().unwrap_or_default();
                let (pupil_key, guardian_key) = (next().to_owned(), next().to_owned());
                let mut number = || next().parse::<i16>().unwrap_or_default();
                StagedLink {
                    pupil_key,
                    guardian_key,
                    kind: number(),
                    legal: number(),
                    contact_order: number(),
                    financial: number() == 1,
                }
            }));
        }
    }

    /// Each membership once; links in the order in which the first of two counts.
    pub(in crate::import) fn in_order(mut self) -> Self {
        fn all(row: &StagedMembership) -> [&str; 4] {
            [&row.join_key, &row.kind, &row.role, &row.function]
        }
        self.memberships.sort_unstable_by(|a, b| all(a).cmp(&all(b)));
        self.memberships.dedup_by(|a, b| all(a) == all(b));
        self.links.sort_by(|a, b| {
            (&a.pupil_key, &a.guardian_key, b.legal, a.contact_order).cmp(&(
                &b.pupil_key,
                &b.guardian_key,
                a.legal,
                b.contact_order,
            ))
        });
        self
    }
}

/// Join keys of a pack of memberships that make more of somebody than a contact.
pub(in crate::import) fn named(content: &str) -> impl Iterator<Item = &str> {
    content.split_terminator(ROW).filter_map(|row| {
        let mut fields = row.split(FIELD);
        let (key, _kind, role) = (fields.next()?, fields.next()?, fields.next()?);
        (role != "contact").then_some(key)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(pupil: &str, guardian: &str, legal: i16, order: i16) -> StagedLink {
        let (pupil_key, guardian_key) = (pupil.to_owned(), guardian.to_owned());
        StagedLink { pupil_key, guardian_key, kind: 10, legal, contact_order: order, financial: order == 1 }
    }

    #[test]
    fn what_is_packed_is_what_is_opened() {
        let mut packs = Packs::default();
        packs.membership("10", "7", ["guardian", "guardian", ""]);
        packs.membership("10", "7", ["guardian", "guardian", ""]);
        packs.membership("10", "8", ["guardian", "contact", ""]);
        packs.membership("11", "9", ["staff", "teacher", "ENS"]);
        packs.member("10", ("class", "3e \u{1f}B\t\u{1e}\n"), "7", ["pupil", ""]);
        packs.link("10", &link("7", "2", 0, 1));
        packs.link("10", &link("7", "2", 1, 2));
        packs.link("", &link("7", "1", 0, 3));
        assert_eq!(packs.rows(), 8);
        assert!(packs.is_full(300) && !packs.is_full(10_000));
        let taken = packs.take();
        assert!(packs.take().is_empty() && !packs.is_full(1));
        let at: Vec<_> = taken.iter().map(|pack| (pack.school.as_str(), pack.what, pack.times)).collect();
        assert_eq!(
            at,
            [
                ("", What::Link, 1),
                ("10", What::Membership, 3),
                ("10", What::Member, 1),
                ("10", What::Link, 2),
                ("11", What::Membership, 1)
            ]
        );
        let mut opened = Opened::default();
        for pack in taken.iter().filter(|pack| pack.school == "10") {
            opened.add(pack.what.name(), &pack.content);
        }
        opened.add("seal", "abc");
        let opened = opened.in_order();
        let roles: Vec<_> =
            opened.memberships.iter().map(|row| (row.join_key.as_str(), row.role.as_str())).collect();
        assert_eq!(roles, [("7", "guardian"), ("8", "contact")], "each once");
        assert_eq!(opened.members[0].name, "3e  B\t \n");
        let links: Vec<_> =
            opened.links.iter().map(|row| (row.legal, row.contact_order, row.financial)).collect();
        assert_eq!(links, [(1, 2, false), (0, 1, true)], "a legal guardian first");
        assert_eq!(named(&taken[1].content).collect::<Vec<_>>(), ["7", "7"]);
    }
}

//! Who may write to whom, as values (`reference/features.md` §B3). A new role does not compile until each question here is
//! answered for it.
#![warn(clippy::wildcard_enum_match_arm)]

use preau_kernel::{Role, RoleSet};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rules::{DIRECTION, SCHOOL_LIFE};

/// How far people of one profile reach people of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Nobody.
    #[default]
    None,
    /// Those of one's own classes and teaching groups: where one is a pupil, where one's child is, where one teaches.
    OwnClasses,
    /// Those of the whole school.
    School,
}

/// Whom the people of one profile may write to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CommunicationReach)]
pub struct Row {
    /// Pupils.
    pub pupils: Reach,
    /// Guardians.
    pub guardians: Reach,
    /// Teachers.
    pub teachers: Reach,
    /// Guests; of one's own classes, those who come for them.
    pub guests: Reach,
    /// Staff who live with the classes: education (CPE), supervision, assistants.
    pub school_life: bool,
    /// The direction of the school.
    pub direction: bool,
    /// The rest of the staff.
    pub other_staff: bool,
}

/// Between a child and their own guardians, whatever the other rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Each may write to the other.
    Both,
    /// The guardian to the child.
    ToChild,
    /// The child to the guardian.
    ToGuardian,
    /// Neither, here: they have better ways.
    Off,
}

/// Who may write to whom in a school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, from = "Written")]
pub struct CommunicationRules {
    /// Pupils.
    pub pupil: Row,
    /// Guardians.
    pub guardian: Row,
    /// Teachers.
    pub teacher: Row,
    /// Staff and administrators.
    pub staff: Row,
    /// Guests.
    pub guest: Row,
    /// Between a child and their own guardians.
    pub family: Family,
    /// In a crisis those who work in the school may write, and the others only reply.
    pub crisis: bool,
}

/// Rules as they are written. Those of before there were guests say nothing of them: who works in the school reaches them, and
/// they reach nobody.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    pupil: WrittenRow,
    guardian: WrittenRow,
    teacher: WrittenRow,
    staff: WrittenRow,
    guest: Option<WrittenRow>,
    family: Family,
    crisis: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRow {
    pupils: Reach,
    guardians: Reach,
    teachers: Reach,
    guests: Option<Reach>,
    school_life: bool,
    direction: bool,
    other_staff: bool,
}

impl WrittenRow {
    fn or_guests(self, guests: Reach) -> Row {
        Row {
            pupils: self.pupils,
            guardians: self.guardians,
            teachers: self.teachers,
            guests: self.guests.unwrap_or(guests),
            school_life: self.school_life,
            direction: self.direction,
            other_staff: self.other_staff,
        }
    }
}

impl From<Written> for CommunicationRules {
    fn from(written: Written) -> Self {
        Self {
            pupil: written.pupil.or_guests(Reach::None),
            guardian: written.guardian.or_guests(Reach::None),
            teacher: written.teacher.or_guests(Reach::School),
            staff: written.staff.or_guests(Reach::School),
            guest: written.guest.map(|row| row.or_guests(Reach::None)).unwrap_or_default(),
            family: written.family,
            crisis: written.crisis,
        }
    }
}

/// A kind of school, as its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// École.
    Primary,
    /// Collège.
    College,
    /// Lycée.
    Lycee,
    /// Anything else.
    Other,
}

impl Kind {
    /// From the word of the database.
    pub fn of(word: &str) -> Self {
        match word {
            "primary" => Self::Primary,
            "college" => Self::College,
            "lycee" => Self::Lycee,
            _ => Self::Other,
        }
    }
}

const EVERYBODY: Row = Row {
    pupils: Reach::School,
    guardians: Reach::School,
    teachers: Reach::School,
    guests: Reach::School,
    school_life: true,
    direction: true,
    other_staff: true,
};

/// The rules of a school that has set none. Among pupils and among guardians nothing is open in a collège, and a guardian
/// reaches no other family's child anywhere. Those who work in the school write to its guests, who write to nobody.
pub fn default_rules(kind: Kind) -> CommunicationRules {
    let peers = match kind {
        Kind::College => Reach::None,
        Kind::Primary | Kind::Lycee | Kind::Other => Reach::OwnClasses,
    };
    CommunicationRules {
        pupil: Row { pupils: peers, teachers: Reach::OwnClasses, school_life: true, ..Row::default() },
        guardian: Row {
            guardians: peers,
            teachers: Reach::OwnClasses,
            school_life: true,
            direction: true,
            ..Row::default()
        },
        teacher: EVERYBODY,
        staff: EVERYBODY,
        guest: Row::default(),
        family: Family::Both,
        crisis: false,
    }
}

impl CommunicationRules {
    /// The row of a role.
    pub fn row(&self, role: Role) -> &Row {
        match role {
            Role::Pupil => &self.pupil,
            Role::Guardian => &self.guardian,
            Role::Teacher => &self.teacher,
            Role::Staff | Role::SchoolAdmin => &self.staff,
            Role::Guest => &self.guest,
        }
    }
}

impl Row {
    /// How far it reaches the people of a profile.
    pub fn to(&self, profile: Profile) -> Reach {
        match profile {
            Profile::Pupil => self.pupils,
            Profile::Guardian => self.guardians,
            Profile::Teacher => self.teachers,
            Profile::Guest => self.guests,
        }
    }

    fn has_staff(&self) -> bool {
        self.school_life || self.direction || self.other_staff
    }

    fn widest(&self) -> Reach {
        let staff = if self.has_staff() { Reach::School } else { Reach::None };
        self.pupils.max(self.guardians).max(self.teachers).max(self.guests).max(staff)
    }
}

/// The profiles that belong to classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CommunicationProfile)]
pub enum Profile {
    /// Pupils.
    Pupil,
    /// Guardians.
    Guardian,
    /// Teachers.
    Teacher,
    /// Guests.
    Guest,
}

impl Profile {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Pupil, Self::Guardian, Self::Teacher, Self::Guest];

    /// The role that makes one.
    pub fn role(self) -> Role {
        match self {
            Self::Pupil => Role::Pupil,
            Self::Guardian => Role::Guardian,
            Self::Teacher => Role::Teacher,
            Self::Guest => Role::Guest,
        }
    }
}

/// What one capacity reaches in its own classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Near {
    /// Their pupils.
    pub pupils: bool,
    /// The guardians of those.
    pub guardians: bool,
    /// Their teachers.
    pub teachers: bool,
    /// The guests who come for them.
    pub guests: bool,
}

/// Whom somebody reaches, as the one statement takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Everybody. The rest is then of no matter.
    pub everybody: bool,
    /// Whoever has one of these roles in the school.
    pub whole: Vec<&'static str>,
    /// I am a pupil here, and reach these of my classes.
    pub as_pupil: Option<Near>,
    /// I am a guardian here, and reach these of my children's classes.
    pub as_guardian: Option<Near>,
    /// I teach here, and reach these of my classes.
    pub as_teacher: Option<Near>,
    /// I am a guest here, and reach these of the classes that I come for.
    pub as_guest: Option<Near>,
    /// Staff who live with the classes.
    pub school_life: bool,
    /// Direction.
    pub direction: bool,
    /// Other staff.
    pub other_staff: bool,
    /// My children.
    pub to_child: bool,
    /// My guardians.
    pub to_guardian: bool,
}

/// Whom these roles may write to. Roles add up: a teacher who is also a parent is both.
pub fn reached(rules: &CommunicationRules, roles: RoleSet) -> Reached {
    let mut reached = Reached::default();
    for role in roles.iter() {
        let row = rules.row(role);
        reached.everybody |= *row == EVERYBODY;
        for profile in Profile::ALL {
            let word = profile.role().as_str();
            if row.to(profile) == Reach::School && !reached.whole.contains(&word) {
                reached.whole.push(word);
            }
        }
        reached.school_life |= row.school_life;
        reached.direction |= row.direction;
        reached.other_staff |= row.other_staff;
        let near = Near {
            pupils: row.pupils >= Reach::OwnClasses,
            guardians: row.guardians >= Reach::OwnClasses,
            teachers: row.teachers >= Reach::OwnClasses,
            guests: row.guests >= Reach::OwnClasses,
        };
        match role {
            Role::Pupil => {
                reached.as_pupil = Some(near);
                reached.to_guardian = matches!(rules.family, Family::Both | Family::ToGuardian);
            }
            Role::Guardian => {
                reached.as_guardian = Some(near);
                reached.to_child = matches!(rules.family, Family::Both | Family::ToChild);
            }
            Role::Teacher => reached.as_teacher = Some(near),
            Role::Guest => reached.as_guest = Some(near),
            Role::Staff | Role::SchoolAdmin => {}
        }
    }
    reached
}

/// Whom these roles find in the directory: whom they may write to, their own family always, and for administrators
/// everybody, whom they administer.
pub fn found(rules: &CommunicationRules, roles: RoleSet) -> Reached {
    let mut found = reached(rules, roles);
    found.everybody |= roles.has(Role::SchoolAdmin);
    found.to_child = roles.has(Role::Guardian);
    found.to_guardian = roles.has(Role::Pupil);
    found
}

/// When somebody writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Of their own accord.
    First,
    /// To somebody who has written to them.
    Reply,
}

/// Whether these roles may write at all now, whoever it is to.
pub fn may_begin(rules: &CommunicationRules, roles: RoleSet, occasion: Occasion) -> bool {
    match occasion {
        Occasion::Reply => true,
        Occasion::First => !rules.crisis || roles.meets(RoleSet::ADULTS),
    }
}

/// What is wrong with rules, whoever sets them: stable codes.
pub fn faults(rules: &CommunicationRules) -> Vec<&'static str> {
    let mut faults = Vec::new();
    if rules.teacher.pupils < Reach::OwnClasses || rules.teacher.guardians < Reach::OwnClasses {
        faults.push("communication-too-narrow");
    }
    if Profile::ALL.iter().any(|profile| rules.staff.to(*profile) == Reach::OwnClasses) {
        faults.push("communication-no-class");
    }
    faults
}

/// The groups whose direction only the territory changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Guarded {
    /// All pupils of the school.
    SchoolPupils,
    /// All guardians of the school.
    SchoolGuardians,
    /// All pupils of a class.
    ClassPupils,
    /// All guardians of a class.
    ClassGuardians,
}

impl Guarded {
    /// Every one.
    pub const ALL: [Self; 4] =
        [Self::SchoolPupils, Self::SchoolGuardians, Self::ClassPupils, Self::ClassGuardians];

    fn profile(self) -> Profile {
        match self {
            Self::SchoolPupils | Self::ClassPupils => Profile::Pupil,
            Self::SchoolGuardians | Self::ClassGuardians => Profile::Guardian,
        }
    }

    fn at_least(self) -> Reach {
        match self {
            Self::SchoolPupils | Self::SchoolGuardians => Reach::School,
            Self::ClassPupils | Self::ClassGuardians => Reach::OwnClasses,
        }
    }
}

/// Which way messages go through a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Neither way.
    None,
    /// Its members are written to.
    In,
    /// Its members write.
    Out,
    /// Both.
    Both,
}

/// Which way messages go through a guarded group.
pub fn way(rules: &CommunicationRules, group: Guarded) -> Way {
    let (profile, least) = (group.profile(), group.at_least());
    let out = rules.row(profile.role()).widest() >= least;
    let into = [&rules.pupil, &rules.guardian, &rules.teacher, &rules.staff, &rules.guest]
        .iter()
        .any(|row| row.to(profile) >= least);
    match (into, out) {
        (true, true) => Way::Both,
        (true, false) => Way::In,
        (false, true) => Way::Out,
        (false, false) => Way::None,
    }
}

/// Why an administrator of the school alone may not go from one set of rules to another: stable codes. The territory's may.
pub fn refused_to_school(before: &CommunicationRules, after: &CommunicationRules) -> Vec<&'static str> {
    let mut refused = Vec::new();
    let families = [Profile::Pupil, Profile::Guardian];
    let opens = families.iter().any(|from| {
        families.iter().any(|to| {
            let reach = |rules: &CommunicationRules| rules.row(from.role()).to(*to);
            reach(after) == Reach::School && reach(before) < Reach::School
        })
    });
    if opens {
        refused.push("communication-opens-school");
    }
    // Between people from outside and families nothing is opened by one school alone, whichever way and however little.
    let meets = families.iter().any(|family| {
        let wider = |from: Role, to: Profile| after.row(from).to(to) > before.row(from).to(to);
        wider(Role::Guest, *family) || wider(family.role(), Profile::Guest)
    });
    if meets {
        refused.push("communication-guests-meet-families");
    }
    if Guarded::ALL.iter().any(|group| way(before, *group) != way(after, *group)) {
        refused.push("communication-turns-everybody");
    }
    refused
}

/// What a member of the staff is, by the function of the national directory.
pub fn staff_functions() -> (&'static str, [&'static str; 3]) {
    (DIRECTION, SCHOOL_LIFE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Reach::{None as No, OwnClasses as Own, School as All};

    /// From, in which kind of school, to pupils, guardians, teachers, guests, school life, direction, other staff.
    type Line = (Role, Kind, Reach, Reach, Reach, Reach, bool, bool, bool);

    #[rustfmt::skip]
    const MATRIX: &[Line] = &[
        (Role::Pupil,       Kind::College, No,  No,  Own, No,  true, false, false),
        (Role::Pupil,       Kind::Lycee,   Own, No,  Own, No,  true, false, false),
        (Role::Pupil,       Kind::Primary, Own, No,  Own, No,  true, false, false),
        (Role::Guardian,    Kind::College, No,  No,  Own, No,  true, true,  false),
        (Role::Guardian,    Kind::Lycee,   No,  Own, Own, No,  true, true,  false),
        (Role::Guardian,    Kind::Primary, No,  Own, Own, No,  true, true,  false),
        (Role::Teacher,     Kind::College, All, All, All, All, true, true,  true),
        (Role::Staff,       Kind::College, All, All, All, All, true, true,  true),
        (Role::SchoolAdmin, Kind::Primary, All, All, All, All, true, true,  true),
        (Role::Guest,       Kind::Lycee,   No,  No,  No,  No,  false, false, false),
        (Role::Guest,       Kind::Primary, No,  No,  No,  No,  false, false, false),
    ];

    #[test]
    fn the_matrix_is_as_decided() {
        for (role, kind, pupils, guardians, teachers, guests, school_life, direction, other_staff) in MATRIX {
            let decided = Row {
                pupils: *pupils,
                guardians: *guardians,
                teachers: *teachers,
                guests: *guests,
                school_life: *school_life,
                direction: *direction,
                other_staff: *other_staff,
            };
            let rules = default_rules(*kind);
            assert_eq!(*rules.row(*role), decided, "{role} in {kind:?}");
            assert_eq!(faults(&rules), [""; 0]);
        }
    }

    #[test]
    fn a_school_opens_a_class_and_never_itself() {
        let before = default_rules(Kind::College);
        let with = |change: &dyn Fn(&mut CommunicationRules)| {
            let mut after = before;
            change(&mut after);
            refused_to_school(&before, &after)
        };
        assert_eq!(with(&|rules| rules.pupil.pupils = Own), [""; 0]);
        assert_eq!(with(&|rules| rules.guardian.guardians = Own), [""; 0]);
        assert_eq!(with(&|rules| rules.family = Family::Off), [""; 0]);
        assert_eq!(with(&|rules| rules.crisis = true), [""; 0]);
        assert_eq!(with(&|rules| rules.pupil.pupils = All), ["communication-opens-school"]);
        assert_eq!(with(&|rules| rules.guardian.guardians = All), ["communication-opens-school"]);
        assert_eq!(with(&|rules| rules.guardian.pupils = All), ["communication-opens-school"]);
        let to_staff = |rules: &mut CommunicationRules| {
            rules.guest =
                Row { teachers: All, school_life: true, direction: true, other_staff: true, ..rules.guest };
        };
        assert_eq!(with(&to_staff), [""; 0]);
        assert_eq!(with(&|rules| rules.guest.guests = Own), [""; 0]);
        let met: [&dyn Fn(&mut CommunicationRules); 5] = [
            &|rules: &mut CommunicationRules| rules.guest.pupils = Own,
            &|rules: &mut CommunicationRules| rules.guest.guardians = Own,
            &|rules: &mut CommunicationRules| rules.guest.pupils = All,
            &|rules: &mut CommunicationRules| rules.pupil.guests = Own,
            &|rules: &mut CommunicationRules| rules.guardian.guests = All,
        ];
        for met in met {
            assert!(with(met).contains(&"communication-guests-meet-families"));
        }
        // Silencing all pupils, or all guardians, turns their group round.
        let silent = |rules: &mut CommunicationRules| {
            rules.pupil = Row::default();
            rules.pupil.teachers = No;
        };
        assert_eq!(with(&silent), ["communication-turns-everybody"]);
        assert_eq!(with(&|rules| rules.guardian = Row::default()), ["communication-turns-everybody"]);
        // Nobody writes to all guardians any more.
        let shy = |rules: &mut CommunicationRules| {
            rules.teacher.guardians = Own;
            rules.staff.guardians = No;
        };
        assert_eq!(with(&shy), ["communication-turns-everybody"]);
    }

    #[test]
    fn in_a_crisis_families_reply() {
        let mut rules = default_rules(Kind::College);
        let of = |role| RoleSet::of(&[role]);
        assert!(may_begin(&rules, of(Role::Pupil), Occasion::First));
        rules.crisis = true;
        assert!(!may_begin(&rules, of(Role::Pupil), Occasion::First));
        assert!(!may_begin(&rules, of(Role::Guardian), Occasion::First));
        assert!(may_begin(&rules, of(Role::Pupil), Occasion::Reply));
        assert!(!may_begin(&rules, of(Role::Guest), Occasion::First));
        assert!(may_begin(&rules, of(Role::Teacher), Occasion::First));
    }

    #[test]
    fn rules_of_before_guests_are_read() {
        let rules = default_rules(Kind::Lycee);
        let now = serde_json::to_value(rules).unwrap();
        assert_eq!(serde_json::from_value::<CommunicationRules>(now.clone()).unwrap(), rules);
        let mut before = now;
        before.as_object_mut().unwrap().remove("guest");
        for row in ["pupil", "guardian", "teacher", "staff"] {
            before[row].as_object_mut().unwrap().remove("guests");
        }
        assert_eq!(serde_json::from_value::<CommunicationRules>(before.clone()).unwrap(), rules);
        before["pupil"]["visitors"] = serde_json::json!("none");
        assert!(serde_json::from_value::<CommunicationRules>(before).is_err());
    }

    #[test]
    fn teachers_are_never_cut_from_their_classes() {
        let mut rules = default_rules(Kind::Lycee);
        rules.teacher.pupils = No;
        rules.staff.teachers = Own;
        assert_eq!(faults(&rules), ["communication-too-narrow", "communication-no-class"]);
    }

    fn any_reach() -> impl Strategy<Value = Reach> {
        prop_oneof![Just(No), Just(Own), Just(All)]
    }

    prop_compose! {
        fn any_row()(
            (pupils, guardians) in (any_reach(), any_reach()), (teachers, guests) in (any_reach(), any_reach()), staff in 0_u8..8,
        ) -> Row {
            Row { pupils, guardians, teachers, guests, school_life: staff & 1 > 0, direction: staff & 2 > 0, other_staff: staff & 4 > 0 }
        }
    }

    proptest! {
        #[test]
        fn more_roles_never_reach_fewer(
            (pupil, guardian, teacher, staff, guest) in (any_row(), any_row(), any_row(), any_row(), any_row()),
            bits in proptest::collection::vec(0_usize..6, 0..6), more in 0_usize..6,
        ) {
            let rules = CommunicationRules { pupil, guardian, teacher, staff, guest, family: Family::Both, crisis: false };
            let roles: RoleSet = bits.into_iter().map(|bit| Role::ALL[bit]).collect();
            let (less, wider) = (reached(&rules, roles), reached(&rules, roles.with(Role::ALL[more])));
            prop_assert!(!less.everybody || wider.everybody);
            prop_assert!(less.whole.iter().all(|role| wider.whole.contains(role)));
            prop_assert!(less.direction <= wider.direction && less.school_life <= wider.school_life);
            prop_assert!(less.to_child <= wider.to_child && less.to_guardian <= wider.to_guardian);
        }

        #[test]
        fn what_a_school_may_do_opens_no_school(
            (pupil, guardian, teacher, staff, guest) in (any_row(), any_row(), any_row(), any_row(), any_row()),
        ) {
            let before = default_rules(Kind::College);
            let after = CommunicationRules { pupil, guardian, teacher, staff, guest, family: Family::Both, crisis: false };
            if refused_to_school(&before, &after).is_empty() {
                for row in [after.pupil, after.guardian] {
                    prop_assert!(row.pupils < All && row.guardians < All && row.guests == No);
                }
                prop_assert!(after.guest.pupils == No && after.guest.guardians == No);
                for group in Guarded::ALL {
                    prop_assert_eq!(way(&before, group), way(&after, group));
                }
            }
        }
    }
}

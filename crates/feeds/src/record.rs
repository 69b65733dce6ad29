//! What one record of a feed says, typed, whatever its format. Only what Préau uses is kept: addresses, transport, meals and
//! grants are not.

use chrono::NaiveDate;

/// What a record asks for. A *complet* holds only additions; a delta all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The object as it now is.
    Add,
    /// Some attributes of the object as they now are.
    Modify,
    /// The object has left the directory.
    Delete,
}

/// The kinds of objects, in the order in which the others may refer to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// `EtabEducNat`
    School,
    /// `MefEducNat`: national codes of what a pupil studies.
    Mef,
    /// `MatEducNat` (the file says `MatiereEducNat`).
    Subject,
    /// `PersEducNat`: teachers and all other staff.
    Staff,
    /// `PersRelEleve`: parents and other persons in charge of pupils.
    Relative,
    /// `Eleve`
    Pupil,
    /// A school's guests, who stand in tables of its own and in no file of the academy.
    Guest,
}

impl Category {
    /// The kinds of the academy's files, in reading order.
    pub const ALL: [Self; 6] =
        [Self::School, Self::Mef, Self::Subject, Self::Staff, Self::Relative, Self::Pupil];

    /// As counted in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::School => "school",
            Self::Mef => "mef",
            Self::Subject => "subject",
            Self::Staff => "staff",
            Self::Relative => "relative",
            Self::Pupil => "pupil",
            Self::Guest => "guest",
        }
    }

    /// As written in file names.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::School => "EtabEducNat",
            Self::Mef => "MefEducNat",
            Self::Subject => "MatiereEducNat",
            Self::Staff => "PersEducNat",
            Self::Relative => "PersRelEleve",
            Self::Pupil => "Eleve",
            Self::Guest => "Invites",
        }
    }

    /// As written inside the files.
    pub(crate) fn of_value(value: &str) -> Option<Self> {
        match value {
            "EtabEducNat" | "EcoleEducNat" => Some(Self::School),
            "MefEducNat" => Some(Self::Mef),
            "MatEducNat" | "MatiereEducNat" => Some(Self::Subject),
            "PersEducNat" => Some(Self::Staff),
            "PersRelEleve" => Some(Self::Relative),
            "Eleve" => Some(Self::Pupil),
            _ => None,
        }
    }
}

/// Which attributes a row speaks about, as bits of `stage_person.present` and `stage_school.present`.
///
/// A bit that is set: the attribute as it now is, empty included. One that is not: nothing is said, what is there stays.
pub mod present {
    /// Family name; of a school its name.
    pub const LAST_NAME: i32 = 1;
    /// Given name.
    pub const FIRST_NAME: i32 = 1 << 1;
    /// `M.`, `Mme`.
    pub const TITLE: i32 = 1 << 2;
    /// Day of birth.
    pub const BIRTH: i32 = 1 << 3;
    /// National identifier.
    pub const INE: i32 = 1 << 4;
    /// SIECLE identifier.
    pub const SIECLE_ID: i32 = 1 << 5;
    /// Address for e-mail.
    pub const EMAIL: i32 = 1 << 6;
    /// Mobile telephone.
    pub const MOBILE: i32 = 1 << 7;
    /// MEF.
    pub const MEF: i32 = 1 << 8;
    /// Level of training.
    pub const LEVEL: i32 = 1 << 9;
    /// STS identifiers.
    pub const STS_IDS: i32 = 1 << 10;
    /// School of attachment.
    pub const SCHOOL: i32 = 1 << 11;
    /// A pupil's classes; of a school its list of classes.
    pub const CLASSES: i32 = 1 << 12;
    /// A pupil's groups; of a school its list of groups.
    pub const GROUPS: i32 = 1 << 13;
    /// Who is who to a pupil.
    pub const RELATIONS: i32 = 1 << 14;
    /// Functions of staff.
    pub const FUNCTIONS: i32 = 1 << 15;
    /// Classes taught.
    pub const TAUGHT_CLASSES: i32 = 1 << 16;
    /// Groups taught.
    pub const TAUGHT_GROUPS: i32 = 1 << 17;
    /// Classes headed.
    pub const HEAD_OF: i32 = 1 << 18;
    /// Whether somebody teaches, stated rather than concluded from functions.
    pub const TEACHER: i32 = 1 << 19;
    /// Name of a school.
    pub const NAME: i32 = LAST_NAME;
    /// Kind of a school.
    pub const KIND: i32 = FIRST_NAME;
    /// Town of a school.
    pub const CITY: i32 = TITLE;
    /// UAI of a school.
    pub const UAI: i32 = BIRTH;
    /// The whole object.
    pub const ALL: i32 = -1;
    /// Nothing: a deletion.
    pub const NONE: i32 = 0;
}

/// One record, what it asks for, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Whether the object is given whole, patched or gone.
    pub operation: Operation,
    /// What it speaks about: bits of [`present`].
    pub present: i32,
    /// Line of the file, from 1.
    pub line: u64,
    /// The record.
    pub record: Record,
}

/// One record of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A school.
    School(School),
    /// A school that a file only names by its UAI, which is also its key.
    Named(String),
    /// A pupil.
    Pupil(Pupil),
    /// A person related to pupils.
    Relative(Relative),
    /// A teacher or another member of staff.
    Staff(Staff),
    /// A guest.
    Guest(Guest),
    /// A subject.
    Subject(Subject),
    /// A MEF.
    Mef(Mef),
    /// Classes and groups of a pupil given elsewhere in the delivery.
    Places(Places),
    /// Who is who to a pupil given elsewhere in the delivery.
    Link(Link),
    /// A parent's child that the file names without a key, and that the delivery does not hold.
    ChildRef(ChildRef),
}

impl Record {
    /// The kind of object, for those that are objects of their own.
    pub const fn category(&self) -> Option<Category> {
        match self {
            Self::School(_) => Some(Category::School),
            Self::Pupil(_) => Some(Category::Pupil),
            Self::Relative(_) => Some(Category::Relative),
            Self::Staff(_) => Some(Category::Staff),
            Self::Guest(_) => Some(Category::Guest),
            Self::Subject(_) => Some(Category::Subject),
            Self::Mef(_) => Some(Category::Mef),
            Self::Named(_) | Self::Places(_) | Self::Link(_) | Self::ChildRef(_) => None,
        }
    }
}

/// Classes and groups of a pupil.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Join key of the pupil.
    pub pupil: String,
    /// Classes.
    pub classes: Vec<InSchool>,
    /// Teaching groups.
    pub groups: Vec<InSchool>,
}

/// A relation that stands apart from its pupil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Structure join key.
    pub school: String,
    /// Join key of the pupil.
    pub pupil: String,
    /// The person and what they are to the pupil.
    pub relation: Relation,
}

/// A child by names and class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildRef {
    /// Structure join key.
    pub school: String,
    /// Join key of the parent.
    pub guardian: String,
    /// `nom prenom` of the child, folded.
    pub search: String,
    /// Class of the child, when given.
    pub class: String,
}

/// A class or group, by the structure's key and its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InSchool {
    /// Structure join key.
    pub school: String,
    /// Name of the class or group.
    pub name: String,
}

impl InSchool {
    /// The same, taught, in no subject in particular.
    pub fn taught(self) -> InClass {
        InClass { school: self.school, class: self.name, subject: None }
    }
}

/// A class or group that somebody teaches, with the subject when given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InClass {
    /// Structure join key.
    pub school: String,
    /// Name of the class or group.
    pub class: String,
    /// Subject code.
    pub subject: Option<String>,
}

/// A function of a member of staff in a school.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Structure join key.
    pub school: String,
    /// `ENS`, `DOC`, `DIR`, `EDU`, `AED`, `ORI`, `ADF`…
    pub code: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// Discipline or position code.
    pub position: Option<String>,
    /// Its label.
    pub position_label: Option<String>,
}

/// What a person is to a pupil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Join key of the person.
    pub person: String,
    /// Kind of link; 1, 2, 10 and 20 are parents.
    pub link: u8,
    /// Pays for the pupil.
    pub financial: u8,
    /// 1 legal guardian, 2 person in charge, 0 neither.
    pub legal: u8,
    /// Order in which to call, 1 first; 0 when not given.
    pub contact: u8,
    /// Receives payments.
    pub payment: u8,
}

/// A school.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct School {
    /// Structure join key, unique in its academy.
    pub key: String,
    /// UAI, when given.
    pub uai: Option<String>,
    /// Usual name: the readable parts of `TYPE$NAME$CITY`.
    pub name: String,
    /// `COLLEGE`, `LYCEE GENERAL`, `ECOLE`… as delivered.
    pub kind: Option<String>,
    /// Code of the kind; 340 is a collège.
    pub kind_code: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// Two-digit code of the academy, when given.
    pub academy: Option<String>,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Names of its groups.
    pub groups: Vec<String>,
}

/// What every person has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Join key, unique in its academy.
    pub key: String,
    /// Usual family name.
    pub last_name: String,
    /// Given name.
    pub first_name: String,
    /// `M.` or `Mme`.
    pub title: Option<String>,
    /// Address for e-mail.
    pub email: Option<String>,
}

/// A pupil.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pupil {
    /// Names and key.
    pub names: Names,
    /// National identifier.
    pub ine: Option<String>,
    /// SIECLE identifier (`ENTEleveStructRattachId`).
    pub siecle_id: Option<String>,
    /// Day of birth.
    pub born_on: Option<NaiveDate>,
    /// The school the pupil belongs to.
    pub school: Option<String>,
    /// Classes; one in practice.
    pub classes: Vec<InSchool>,
    /// Teaching groups.
    pub groups: Vec<InSchool>,
    /// Who is who to the pupil.
    pub relations: Vec<Relation>,
    /// MEF code.
    pub mef: Option<String>,
    /// Level of training, as delivered (`6EME`…).
    pub level: Option<String>,
}

/// A person related to pupils.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relative {
    /// Names and key.
    pub names: Names,
    /// Mobile telephone, for absences.
    pub mobile: Option<String>,
}

/// A teacher or another member of staff.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staff {
    /// Names and key.
    pub names: Names,
    /// Teaches: stated, else in front of pupils, else has the function ENS or DOC somewhere.
    pub teacher: bool,
    /// The school of attachment, when given.
    pub school: Option<String>,
    /// Functions, possibly in many schools.
    pub functions: Vec<Function>,
    /// Classes taught.
    pub classes: Vec<InClass>,
    /// Groups taught.
    pub groups: Vec<InClass>,
    /// Classes whose head teacher this is (professeur principal).
    pub head_of: Vec<InSchool>,
    /// STS identifiers (`ENTPersonSTSId`), by which timetables name teachers.
    pub sts_ids: Vec<String>,
}

/// Somebody from outside whom a school lets in (invité).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// Names and key.
    pub names: Names,
    /// Structure join key of the school.
    pub school: String,
    /// Classes that the guest comes for.
    pub classes: Vec<InSchool>,
}

/// A subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// National code.
    pub code: String,
    /// Label, as delivered.
    pub label: String,
}

/// A MEF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mef {
    /// Code of 11 characters.
    pub code: String,
    /// Label, as delivered.
    pub label: String,
    /// Statistical code.
    pub stat11: Option<String>,
}

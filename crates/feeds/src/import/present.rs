//! Which attributes a staged row speaks about: set means "as it now is, empty included", unset means "not said".

pub(super) const LAST_NAME: i32 = 1;
pub(super) const FIRST_NAME: i32 = 1 << 1;
pub(super) const TITLE: i32 = 1 << 2;
pub(super) const BIRTH: i32 = 1 << 3;
pub(super) const INE: i32 = 1 << 4;
pub(super) const SIECLE_ID: i32 = 1 << 5;
pub(super) const EMAIL: i32 = 1 << 6;
pub(super) const MOBILE: i32 = 1 << 7;
pub(super) const MEF: i32 = 1 << 8;
pub(super) const LEVEL: i32 = 1 << 9;
pub(super) const STS_IDS: i32 = 1 << 10;
/// The school of attachment.
pub(super) const SCHOOL: i32 = 1 << 11;
/// A pupil's classes; of a school, its list of classes.
pub(super) const CLASSES: i32 = 1 << 12;
/// A pupil's groups; of a school, its list of groups.
pub(super) const GROUPS: i32 = 1 << 13;
pub(super) const RELATIONS: i32 = 1 << 14;
pub(super) const FUNCTIONS: i32 = 1 << 15;
pub(super) const TAUGHT_CLASSES: i32 = 1 << 16;
pub(super) const TAUGHT_GROUPS: i32 = 1 << 17;
pub(super) const HEAD_OF: i32 = 1 << 18;
/// Whether somebody teaches was said in so many words.
pub(super) const TEACHER: i32 = 1 << 19;
/// Of a school.
pub(super) const SCHOOL_NAME: i32 = 1;
pub(super) const SCHOOL_KIND: i32 = 1 << 1;
pub(super) const SCHOOL_CITY: i32 = 1 << 2;

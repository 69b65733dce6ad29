//! Whether an account may be entered.

/// What an account's state says to somebody whom a desk has identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// In use.
    Open,
    /// Never entered: a desk's word is enough to begin.
    New,
    /// Blocked by the school, or shut out with its whole profile.
    Blocked,
    /// On its way to be deleted, deleted, or merged into another.
    Gone,
}

impl AccountState {
    pub(super) fn of(word: &str) -> Self {
        match word {
            "active" => Self::Open,
            "imported" => Self::New,
            "blocked" => Self::Blocked,
            _ => Self::Gone,
        }
    }
}

//! Types whose values are words: in the database, in JSON, in URLs.

/// A text that is none of the words of a type.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a {of}")]
pub struct UnknownWord {
    /// The text.
    pub text: String,
    /// What it was to be.
    pub of: &'static str,
}

/// `Display` and `FromStr` of a type by its `as_str` and its `ALL`.
macro_rules! words {
    ($type:ty, $of:literal) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let unknown = || crate::UnknownWord { text: text.to_owned(), of: $of };
                Self::ALL.into_iter().find(|word| word.as_str() == text).ok_or_else(unknown)
            }
        }
    };
}

pub(crate) use words;

//! Identifiers: a UUIDv7 each, of its own type, minted by the [`Clock`](crate::Clock).

/// Declares an identifier: a transparent newtype over a private [`uuid::Uuid`].
macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, sqlx::Type, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// The bare value, for a key or a log field.
            pub fn uuid(self) -> uuid::Uuid {
                self.0
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(value: uuid::Uuid) -> Self {
                Self(value)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

id! {
    /// A territory (académie, département, région): owns schools, and is a bulkhead.
    TerritoryId,
    /// A school (établissement): the tenant, and the first column of every key.
    SchoolId,
    /// A person: one master record, whatever the number of schools.
    PersonId,
    /// A class (classe, division).
    ClassId,
    /// A teaching group (groupe).
    GroupId,
    /// One occurrence of a lesson (cours).
    LessonId,
    /// A session family: one signed-in device.
    FamilyId,
    /// A long piece of work.
    JobId,
    /// A file received for a feed.
    UploadId,
    /// A program that speaks for a school or a territory.
    ClientId,
}

//! JSON Merge Patch (RFC 7396): absent leaves, null clears.

use serde::{Deserialize, Deserializer};

/// A field that is there, null or not; `#[serde(default)]` makes of an absent one `None`.
pub(super) fn there<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Patch {
        #[serde(default, deserialize_with = "there")]
        email: Option<Option<String>>,
    }

    #[test]
    fn absent_null_and_value_are_three_things() {
        let of = |text: &str| serde_json::from_str::<Patch>(text).unwrap().email;
        assert_eq!(of("{}"), None);
        assert_eq!(of("{\"email\": null}"), Some(None));
        assert_eq!(of("{\"email\": \"a@b.fr\"}"), Some(Some("a@b.fr".to_owned())));
    }
}

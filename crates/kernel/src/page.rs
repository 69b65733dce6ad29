//! The envelope of every list, and its bound.

use serde::{Deserialize, Serialize};

/// A page of a list: `{items, next_cursor}` (DESIGN §8).
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// At most `limit` items, in the list's order.
    pub items: Vec<T>,
    /// Where to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page from `rows`, of which one more than `limit` was asked for: the extra one only says that there is a
    /// next page, which begins after the last item kept.
    pub fn cut(mut rows: Vec<T>, limit: Limit, cursor_after: impl FnOnce(&T) -> String) -> Self {
        let more = rows.len() > limit.rows();
        rows.truncate(limit.rows());
        let next_cursor = if more { rows.last().map(cursor_after) } else { None };
        Self { items: rows, next_cursor }
    }

    /// The same page with each item changed.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next_cursor: self.next_cursor }
    }
}

/// How many items a list gives at most: 1 to 200, 50 when nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "u16")]
#[schema(value_type = u16, minimum = 1, maximum = 200, default = 50)]
pub struct Limit(u8);

impl Limit {
    /// Rows to show.
    pub fn rows(self) -> usize {
        usize::from(self.0)
    }

    /// Rows to ask of the database: one more, to know whether there is a next page.
    pub fn rows_and_one(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<u16> for Limit {
    type Error = &'static str;

    fn try_from(value: u16) -> Result<Self, Self::Error> {
        match u8::try_from(value) {
            Ok(rows @ 1..=200) => Ok(Self(rows)),
            _ => Err("limit must be 1 to 200"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extra_row_only_says_there_is_more() {
        let limit = Limit::try_from(2).unwrap();
        let page = Page::cut(vec![1, 2, 3], limit, |last| format!("after {last}"));
        assert_eq!((page.items, page.next_cursor.as_deref()), (vec![1, 2], Some("after 2")));
        assert_eq!(Page::cut(vec![1, 2], limit, |_| String::new()).next_cursor, None);
        assert!(Limit::try_from(0).is_err() && Limit::try_from(201).is_err());
    }
}

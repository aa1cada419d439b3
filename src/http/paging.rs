//! Lists, page by page: `limit` items, then an opaque `next_cursor` for those after them.
//!
//! A cursor names the last item shown, not a number of items, so people who come or go between two pages neither
//! repeat nor hide others.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Kind, Problem};
use crate::limits::{LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX};

/// How many items a page has at most: 1 to [`LIST_LIMIT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(usize);

impl Default for Limit {
    fn default() -> Self {
        Self(LIST_LIMIT_DEFAULT)
    }
}

impl Limit {
    pub const fn items(self) -> usize {
        self.0
    }

    /// One more than a page holds, to see whether there is another page.
    pub const fn and_one(self) -> usize {
        self.0 + 1
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = String::deserialize(deserializer)?.parse().ok();
        let limit = limit.filter(|limit| (1..=LIST_LIMIT_MAX).contains(limit));
        limit.map(Self).ok_or_else(|| D::Error::custom(format!("must be a whole number from 1 to {LIST_LIMIT_MAX}")))
    }
}

/// Where the next page begins, as the client got it from the page before.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// The cursor after an item of one kind of list.
    pub fn after(list: &str, key: impl Display) -> String {
        URL_SAFE_NO_PAD.encode(format!("{list}:{key}"))
    }

    /// The key of the item it stands after.
    ///
    /// # Errors
    /// A problem when it is no cursor of such a list.
    pub fn read<T>(&self, list: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let key = text.as_ref().and_then(|text| text.strip_prefix(list)?.strip_prefix(':'));
        let wrong = || Problem::at(Kind::BadRequest, "cursor", "not a cursor of this list");
        key.and_then(parse).ok_or_else(wrong)
    }
}

/// The parameters of a list without filters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    pub cursor: Option<Cursor>,
    /// Items a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    pub limit: Limit,
}

impl ListQuery {
    pub fn after<T>(&self, list: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        self.cursor.as_ref().map(|cursor| cursor.read(list, parse)).transpose()
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a page out of what was found, at most one more than the page holds. `cursor` is given the last item.
    pub fn cut(mut found: Vec<T>, limit: Limit, cursor: impl FnOnce(&T) -> String) -> Self {
        let more = found.len() > limit.0;
        found.truncate(limit.0);
        let next_cursor = found.last().filter(|_| more).map(cursor);
        Self { items: found, next_cursor }
    }

    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// Shapes every item; those that are gone since they were found are left out.
    pub fn try_filter_map<U>(self, mut shape: impl FnMut(T) -> Result<Option<U>, Problem>) -> Result<Page<U>, Problem> {
        let items = self.items.into_iter().filter_map(|item| shape(item).transpose()).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: self.next_cursor })
    }

    pub fn map<U>(self, shape: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(shape).collect(), next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_of_one_list() {
        let cursor = Cursor(Cursor::after("user", 42));
        assert_eq!(cursor.read("user", |key| key.parse::<u32>().ok()).unwrap(), 42);
        for (cursor, list) in [(cursor.0.as_str(), "run"), ("", "user"), ("%%%", "user"), ("dXNlcg", "user")] {
            let cursor = Cursor(cursor.to_owned());
            assert!(cursor.read(list, |key| key.parse::<u32>().ok()).is_err(), "{cursor:?}");
        }
    }

    #[test]
    fn a_page_knows_whether_it_is_the_last() {
        let cut = |found: Vec<u32>| Page::cut(found, Limit(2), u32::to_string);
        assert_eq!((cut(vec![]).items, cut(vec![]).next_cursor), (vec![], None));
        assert_eq!((cut(vec![1, 2]).items, cut(vec![1, 2]).next_cursor), (vec![1, 2], None));
        assert_eq!((cut(vec![1, 2, 3]).items, cut(vec![1, 2, 3]).next_cursor), (vec![1, 2], Some("2".into())));
    }

    #[test]
    fn limits_are_bounded() {
        let read = |text: &str| serde_json::from_value::<Limit>(text.into()).ok();
        assert_eq!((read("1"), read("1000")), (Some(Limit(1)), Some(Limit(1000))));
        for bad in ["0", "1001", "-1", "", "ten", "18446744073709551616"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

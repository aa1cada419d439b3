//! Headers as texts.

use reqwest::header::{AsHeaderName, HeaderMap};

/// The first value of a header, if it is text.
pub(super) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

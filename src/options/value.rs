//! Names and values of a query string, and their types.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use percent_encoding::percent_decode;

use super::Planned;

/// The headers that a query string may change.
const HEADERS: &str = "cache-control content-encoding content-type retry-after x-accel-buffering";

/// Parses digits and nothing else: `parse` takes a plus sign too.
#[must_use]
pub fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A decoded name or value, as bytes and as text. Both borrow from the request where nothing was
/// encoded.
#[derive(Debug)]
pub(super) struct Value<'a> {
    bytes: Cow<'a, [u8]>,
    /// The text; bytes that are not UTF-8 are U+FFFD.
    pub(super) text: Cow<'a, str>,
}

impl<'a> Value<'a> {
    /// Decodes `application/x-www-form-urlencoded` (URL 5.1), to bytes first.
    pub(super) fn of(encoded: &'a str) -> Self {
        let bytes = if encoded.contains('+') {
            percent_decode(encoded.replace('+', " ").as_bytes()).collect()
        } else {
            Cow::from(percent_decode(encoded.as_bytes()))
        };
        let text = match &bytes {
            Cow::Borrowed(_) => Cow::Borrowed(encoded),
            Cow::Owned(bytes) => String::from_utf8_lossy(bytes).into_owned().into(),
        };
        Self { bytes, text }
    }

    /// The bytes, if there are at most `most`.
    pub(super) fn bytes(&self, most: usize) -> Option<Bytes> {
        (self.bytes.len() <= most).then(|| self.bytes.to_vec().into())
    }

    /// The text, if it is allowed.
    pub(super) fn text(&self, is_allowed: impl FnOnce(&str) -> bool) -> Option<String> {
        is_allowed(&self.text).then(|| self.text.to_string())
    }

    /// The text as the name of an event: 1 to 64 characters on one line.
    pub(super) fn name(&self) -> Option<String> {
        let fits = (1..=64).contains(&self.text.chars().count());
        self.text(|text| fits && !text.contains(['\n', '\r', '\0']))
    }

    pub(super) fn number<T: FromStr + PartialOrd>(&self, range: RangeInclusive<T>) -> Option<T> {
        number(&self.text).filter(|number| range.contains(number))
    }

    pub(super) fn milliseconds(&self, range: RangeInclusive<u64>) -> Option<Duration> {
        self.number(range).map(Duration::from_millis)
    }

    pub(super) fn flag(&self) -> Option<bool> {
        self.choice([("", true), ("true", true), ("false", false)])
    }

    pub(super) fn choice<T, const N: usize>(&self, choices: [(&str, T); N]) -> Option<T> {
        let mut choices = choices.into_iter();
        choices.find_map(|(name, value)| (name == self.text).then_some(value))
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.number(200..=599)?).ok()
    }

    /// The items of `responses`, 1 to 16.
    pub(super) fn responses(&self) -> Option<Vec<Planned>> {
        let items = self.text.split(',').map(|item| match item {
            "drop" => Some(Planned::Drop),
            status => Value::of(status).status().map(Planned::Status),
        });
        let items = items.collect::<Option<Vec<_>>>()?;
        (items.len() <= 16).then_some(items)
    }

    /// The lines of `header`, 1 to 5; an empty value removes the header.
    pub(super) fn header_lines(&self) -> Option<Vec<(HeaderName, Option<HeaderValue>)>> {
        let mut headers = Vec::<(HeaderName, _)>::new();
        for line in self.text.split('\n') {
            let (name, value) = line.split_once(':')?;
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let is_known = HEADERS.split(' ').any(|known| name == known);
            let is_printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            let fits = value.len() <= 128 && value.trim_matches(' ') == value;
            let is_repeated = headers.iter().any(|(other, _)| *other == name);
            if !is_known || !is_printable || !fits || is_repeated {
                return None;
            }
            let value = HeaderValue::from_str(value).ok()?;
            headers.push((name, Some(value).filter(|value| !value.is_empty())));
        }
        (headers.len() <= 5).then_some(headers)
    }

    /// Returns whether the value is allowed as a key.
    pub(super) fn is_key(&self) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=64).contains(&self.text.len()) && self.text.bytes().all(allowed)
    }
}

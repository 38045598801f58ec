//! A name or a value of a query string, and what it may stand for.

use std::ops::{Deref, RangeInclusive};

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use percent_encoding::percent_decode;

/// A name or a value as it was meant: its bytes, and the text that they are.
#[derive(Debug)]
pub(super) struct Value {
    bytes: Bytes,
    text: String,
}

impl Value {
    /// Decodes `application/x-www-form-urlencoded` (URL 5.1), to bytes first.
    pub(super) fn of(encoded: &str) -> Self {
        let spaced = encoded.replace('+', " ");
        let bytes: Bytes = percent_decode(spaced.as_bytes()).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Self { bytes, text }
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A number of digits alone.
    pub(super) fn number(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let digits = self.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = self.text.parse().ok().filter(|_| digits)?;
        range.contains(&number).then_some(number)
    }

    pub(super) fn milliseconds(&self, range: RangeInclusive<u64>) -> Option<Duration> {
        self.number(range).map(Duration::from_millis)
    }

    pub(super) fn flag(&self) -> Option<bool> {
        self.choice([("", true), ("true", true), ("false", false)])
    }

    pub(super) fn choice<T, const N: usize>(&self, choices: [(&str, T); N]) -> Option<T> {
        let mut choices = choices.into_iter();
        choices
            .find(|(name, _)| *name == self.text)
            .map(|(_, value)| value)
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        let code = u16::try_from(self.number(200..=599)?).ok()?;
        StatusCode::from_u16(code).ok()
    }

    /// Whether it may name a stream.
    pub(super) fn is_key(&self) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=64).contains(&self.text.len()) && self.text.bytes().all(allowed)
    }
}

/// What is not UTF-8 becomes U+FFFD.
impl Deref for Value {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

//! A name or a value of a query string, decoded.

use std::ops::Deref;

use bytes::Bytes;
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
        let bytes = Bytes::from_iter(percent_decode(spaced.as_bytes()));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Self { bytes, text }
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// What is not UTF-8 becomes U+FFFD.
impl Deref for Value {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

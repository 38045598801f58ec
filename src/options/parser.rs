//! Reads the options and their values from a query string, or returns the error text.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use percent_encoding::percent_decode;

use super::table::{CONFLICTS, KEY, Parameter, parameters};
use super::{Options, Planned};

/// The most characters of a bad name or value in an error text.
const REPEATED: usize = 64;

/// The headers that a query string may change.
const HEADERS: &str = "cache-control content-encoding content-type retry-after x-accel-buffering";

/// A parameter that is not allowed, as one line that says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadParameter(String);

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadParameter {}

impl BadParameter {
    fn new(name: &str, given: &Value<'_>, allowed: &str) -> Self {
        let cut = |text: &str| text.escape_debug().take(REPEATED).collect::<String>();
        let (name, given) = (cut(name), cut(&given.text));
        Self(format!("{name}: given \"{given}\", allowed {allowed}\n"))
    }
}

impl Options {
    /// Reads the options of `request`; without a query string those of the Node example.
    ///
    /// # Errors
    ///
    /// If a name is unknown or repeated, a value is not allowed, or two parameters conflict.
    pub fn of<B>(request: &Request<B>) -> Result<Self, BadParameter> {
        let mut options = Self::default();
        let mut seen = Vec::<(&Parameter, Value<'_>)>::new();
        for (name, value) in query(request) {
            let Some(parameter) = parameters().find(|known| known.name == name) else {
                let names: Vec<_> = parameters().map(|known| known.name).collect();
                return Err(BadParameter::new(&name, &value, &names.join(", ")));
            };
            if seen.iter().any(|(known, _)| known.name == parameter.name) {
                return Err(BadParameter::new(&name, &value, "once"));
            }
            (parameter.set)(&mut options, &value)
                .ok_or_else(|| BadParameter::new(&name, &value, parameter.allowed))?;
            seen.push((parameter, value));
        }
        for (names, allowed, is_broken) in CONFLICTS {
            let given = |name: &&str| seen.iter().find(|(known, _)| known.name == *name);
            let given = names.iter().find_map(given);
            if let Some((known, given)) = given.filter(|_| is_broken(&options)) {
                let allowed = allowed.unwrap_or(known.allowed);
                return Err(BadParameter::new(known.name, given, allowed));
            }
        }
        options.any = !seen.is_empty();
        Ok(options)
    }
}

/// Returns the key in the query string of `/stats`.
///
/// # Errors
///
/// If there is more than one key, a bad one, or any other parameter.
pub fn key<B>(request: &Request<B>) -> Result<Option<String>, BadParameter> {
    let mut key = None;
    for (name, value) in query(request) {
        if name != "key" || key.is_some() || !value.is_key() {
            return Err(BadParameter::new(&name, &value, &format!("one key: {KEY}")));
        }
        key = Some(value.text.to_string());
    }
    Ok(key)
}

/// Checks a key.
///
/// # Errors
///
/// If it is none.
pub fn check_key(key: &str) -> Result<(), BadParameter> {
    let value = Value::of(key);
    if value.is_key() && !key.contains('%') {
        return Ok(());
    }
    Err(BadParameter::new("key", &value, KEY))
}

/// Returns whether the query string has `credentials`, even if the whole query string is not allowed.
pub fn asks_for_credentials<B>(request: &Request<B>) -> bool {
    let given = query(request).find(|(name, _)| name == "credentials");
    given.is_some_and(|(_, value)| value.flag() == Some(true))
}

/// The parameters; names that begin with `_` belong to the client and are left out.
fn query<B>(request: &Request<B>) -> impl Iterator<Item = (Cow<'_, str>, Value<'_>)> {
    let parameters = pairs(request).map(|(_, name, value)| (name, value));
    parameters.filter(|(name, _)| !name.starts_with('_'))
}

/// All parameters: each as it is, its name and its value.
fn pairs<B>(request: &Request<B>) -> impl Iterator<Item = (&str, Cow<'_, str>, Value<'_>)> {
    let query = request.uri().query().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (pair, Value::of(name).text, Value::of(value))
    })
}

/// Returns where a `redirect` leads: the path and the other parameters, byte for byte.
///
/// # Panics
///
/// Never: a URI has no control characters.
pub fn location<B>(request: &Request<B>) -> HeaderValue {
    let others = pairs(request).filter(|(_, name, _)| name != "redirect");
    let others = others.map(|(pair, ..)| pair).collect::<Vec<_>>().join("&");
    let mark = if others.is_empty() { "" } else { "?" };
    let location = format!("{}{mark}{others}", request.uri().path());
    HeaderValue::try_from(location).expect("a URI has no control characters")
}

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

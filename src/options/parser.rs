//! Reads the options from a query string, or returns the error text.

use std::borrow::Cow;
use std::fmt;

use hyper::Request;
use hyper::header::HeaderValue;

use super::Options;
use super::table::{CONFLICTS, KEY, Parameter, parameters};
use super::value::Value;

/// The most characters of a bad name or value in an error text.
const REPEATED: usize = 64;

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

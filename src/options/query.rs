//! Reads the options from a request, or says what is wrong with them.

use std::fmt;

use hyper::header::HeaderName;
use hyper::{Method, Request, StatusCode};

use super::Options;
use super::table::{KEY, PARAMETERS, Parameter, is_key};

/// The header by which a client goes on where it was cut off, HTML 9.2.4.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The most characters of a bad value that an error repeats.
const REPEATED: usize = 64;

/// A parameter that cannot be followed, as a line that says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadParameter(String);

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadParameter {}

impl BadParameter {
    fn new(name: &str, given: &str, allowed: &str) -> Self {
        let cut = |text: &str| text.escape_debug().take(REPEATED).collect::<String>();
        let (name, given) = (cut(name), cut(given));
        Self(format!("{name}: given \"{given}\", allowed {allowed}\n"))
    }
}

impl Options {
    /// The options of a stream; those of the Node example when there is no query string.
    ///
    /// # Errors
    ///
    /// When a name is unknown or given twice, or a value is not allowed.
    pub fn of<B>(request: &Request<B>) -> Result<Self, BadParameter> {
        let mut options = Self::default();
        let mut seen = Vec::new();
        for (name, value) in parameters(request) {
            let Some(parameter) = PARAMETERS.iter().find(|known| known.name == name) else {
                let names: Vec<_> = PARAMETERS.iter().map(|known| known.name).collect();
                return Err(BadParameter::new(&name, &value, &names.join(", ")));
            };
            if seen
                .iter()
                .any(|(known, _): &(&Parameter, _)| known.name == name)
            {
                return Err(BadParameter::new(&name, &value, "once"));
            }
            (parameter.set)(&mut options, &value)
                .ok_or_else(|| BadParameter::new(&name, &value, parameter.allowed))?;
            seen.push((parameter, value));
        }
        let end = seen.iter().find(|(known, _)| known.name == "end");
        if let (None, Some((end, given))) = (options.count, end) {
            return Err(BadParameter::new(end.name, given, end.allowed));
        }
        options.asked = !seen.is_empty();
        if request.method() == Method::HEAD {
            // It is no stream, and leaves no trace.
            options.key = None;
        }

        let ids = request.headers().get_all(LAST_EVENT_ID).iter();
        let mut ids = ids
            .filter(|id| !id.is_empty())
            .map(|id| String::from_utf8_lossy(id.as_bytes()));
        let (id, other) = (ids.next(), ids.next());
        let comes_back = id.is_some();
        options.last_event_id = match (id, other) {
            (None, _) => options.last_event_id,
            (Some(id), None) => Some(id.into_owned()),
            // Two say nothing.
            _ => None,
        };
        let then = options.then.filter(|_| comes_back);
        let status = then.or(options.head.status);
        options.head.status = status.filter(|status| *status != StatusCode::OK);
        Ok(options)
    }
}

/// The key of the streams that `/stats` is asked for.
///
/// # Errors
///
/// When there is more than one key, a bad one, or any other parameter.
pub fn key<B>(request: &Request<B>) -> Result<Option<String>, BadParameter> {
    let mut key = None;
    for (name, value) in parameters(request) {
        if name != "key" || key.is_some() || !is_key(&value) {
            return Err(BadParameter::new(&name, &value, &format!("one key: {KEY}")));
        }
        key = Some(value.into_owned());
    }
    Ok(key)
}

fn parameters<B>(request: &Request<B>) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
}

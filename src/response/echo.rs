//! The request as JSON of bounded length.

use hyper::Request;
use hyper::header::{HeaderMap, HeaderName};
use serde::{Serialize, Serializer};

/// The most bytes of the JSON.
pub(super) const MAX_ECHO: usize = 4096;

/// The headers that are shown with their values. The value of any other header may identify a user:
/// a proxy may have added it, and any page may request an echo.
const SHOWN: &str = "accept accept-language cache-control content-length content-type host \
    last-event-id origin referer user-agent";

/// The prefixes of further names that are shown with their values.
const SHOWN_PREFIXES: [&str; 2] = ["sec-fetch-", "x-test-"];

/// What is added to the JSON if something is missing.
const MARK: &str = ",\"cut\":true";

/// The JSON of a request with an empty body, and whether headers or the target were shortened.
pub(super) struct Echo {
    json: String,
    cut: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    method: &'a str,
    target: String,
    #[serde(serialize_with = "as_map")]
    headers: Vec<(&'a str, String)>,
    body: &'static str,
}

impl Echo {
    /// Returns the echo of `request`. If it leaves no room for the mark, the last headers are left out first, then
    /// the end of the target.
    pub(super) fn of(request: &Request<()>) -> Self {
        let target = request.uri().path_and_query();
        let mut shown = Shown {
            method: request.method().as_str(),
            target: target.map_or_else(String::new, ToString::to_string),
            headers: visible(request.headers()),
            body: "",
        };
        let mut cut = false;
        loop {
            let json = json(&shown);
            let mut excess = (json.len() + MARK.len()).saturating_sub(MAX_ECHO);
            if excess == 0 {
                return Self { json, cut };
            }
            cut = true;
            if shown.headers.is_empty() {
                shorten(&mut shown.target, excess);
            }
            while excess > 0
                && let Some((name, value)) = shown.headers.pop()
            {
                excess = excess.saturating_sub(length(name) + length(&value) + ":,".len());
            }
        }
    }

    /// Returns the JSON with `content`, which is shortened before anything else.
    pub(super) fn with(self, content: &[u8]) -> String {
        let head = self.json.strip_suffix("\"\"}").unwrap_or_default();
        if self.cut {
            return format!("{head}\"\"{MARK}}}");
        }
        let mut body = String::from_utf8_lossy(content).into_owned();
        let excess = (head.len() + length(&body) + "}".len()).saturating_sub(MAX_ECHO);
        let mark = if excess > 0 { MARK } else { "" };
        shorten(&mut body, excess + mark.len());
        format!("{head}{}{mark}}}", json(&body))
    }
}

/// Returns the headers, repeated ones joined, and without their values those that may be secret.
fn visible(headers: &HeaderMap) -> Vec<(&str, String)> {
    let is_shown = |name: &str| {
        let mut prefixes = SHOWN_PREFIXES.iter();
        SHOWN.split(' ').any(|shown| shown == name) || prefixes.any(|it| name.starts_with(it))
    };
    let header = |name: &HeaderName| {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        if is_shown(name.as_str()) {
            values.collect::<Vec<_>>().join(", ")
        } else {
            "…".to_owned()
        }
    };
    let names = headers.keys();
    names.map(|name| (name.as_str(), header(name))).collect()
}

fn as_map<S: Serializer>(headers: &[(&str, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(headers.iter().map(|(name, value)| (name, value)))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Returns the bytes that `text` takes in JSON.
fn length(text: &str) -> usize {
    json(&text).len()
}

/// Removes characters from the end until at least `excess` bytes of their JSON are gone.
fn shorten(text: &mut String, excess: usize) {
    let mut freed = 0;
    while freed < excess
        && let Some(last) = text.pop()
    {
        freed += json(&last).len() - "\"\"".len();
    }
}

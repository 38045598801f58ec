//! The request as JSON of bounded length.

use std::borrow::Cow;

use hyper::Request;
use hyper::header::HeaderMap;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The most bytes of the JSON.
pub(super) const MAX_ECHO: usize = 4096;

/// The headers that are shown with their values. The value of any other header may identify a user: a proxy
/// may have added it, and any page may request an echo.
const SHOWN: [&str; 10] = [
    "accept",
    "accept-language",
    "cache-control",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "origin",
    "referer",
    "user-agent",
];

/// The prefixes of further names that are shown with their values.
const SHOWN_BEGINNINGS: [&str; 2] = ["sec-fetch-", "x-test-"];

/// The JSON of a request without its content, and the same shortened where that is needed.
pub(super) struct Echo {
    whole: Option<String>,
    cut: Option<String>,
}

impl Echo {
    /// Returns the echo of `request`. If it is too long, the last headers are left out first, then the
    /// end of the target.
    pub(super) fn of(request: &Request<()>) -> Self {
        let headers = visible(request.headers());
        let shown = Shown {
            method: request.method().as_str(),
            target: request.uri().path_and_query().map_or("", |it| it.as_str()),
            headers: Headers(&headers),
            body: "",
            cut: false,
        };
        let whole = json(&shown);
        let cut = Shown { cut: true, ..shown };
        Self {
            cut: (json(&cut).len() > MAX_ECHO).then(|| shortened(cut, &headers)),
            whole: Some(whole).filter(|whole| whole.len() <= MAX_ECHO),
        }
    }

    /// Returns the JSON with `content`, which is cut before anything else.
    pub(super) fn with(self, content: &[u8]) -> String {
        let text = String::from_utf8_lossy(content);
        let body = |text: &str| serde_json::to_string(text).unwrap_or_default();
        let Some(whole) = self.whole else {
            return self.cut.unwrap_or_default();
        };
        let head = whole.strip_suffix("\"\"}").unwrap_or_default();
        let full = format!("{head}{}}}", body(&text));
        if full.len() <= MAX_ECHO {
            return full;
        }
        self.cut.unwrap_or_else(|| {
            let mark = ",\"cut\":true";
            let text = beginning(&text, MAX_ECHO - whole.len() - mark.len());
            format!("{head}{}{mark}}}", body(text))
        })
    }
}

#[derive(Clone, Copy, serde::Serialize)]
struct Shown<'a> {
    method: &'a str,
    target: &'a str,
    headers: Headers<'a>,
    body: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

#[derive(Clone, Copy)]
struct Headers<'a>(&'a [(&'a str, String)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Returns `shown` with as many `headers` as fit, or with none and the beginning of its target.
fn shortened<'a>(shown: Shown<'a>, headers: &'a [(&'a str, String)]) -> String {
    let with = |kept: usize| {
        let headers = Headers(&headers[..kept]);
        json(&Shown { headers, ..shown })
    };
    let counts: Vec<usize> = (1..=headers.len()).collect();
    let kept = with(counts.partition_point(|kept| with(*kept).len() <= MAX_ECHO));
    if kept.len() <= MAX_ECHO {
        return kept;
    }
    let (target, headers) = ("", Headers(&[]));
    let bare = Shown {
        target,
        headers,
        ..shown
    };
    let target = beginning(shown.target, MAX_ECHO - json(&bare).len());
    json(&Shown { target, ..bare })
}

/// Returns the headers, repeated ones joined, and without their values those that may be secret.
fn visible(headers: &HeaderMap) -> Vec<(&str, String)> {
    let is_shown = |name: &str| {
        let mut beginnings = SHOWN_BEGINNINGS.iter();
        SHOWN.contains(&name) || beginnings.any(|beginning| name.starts_with(beginning))
    };
    let value = |name: &str| {
        if !is_shown(name) {
            return "…".to_owned();
        }
        let values = headers.get_all(name).iter();
        let values: Vec<Cow<'_, str>> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        values.join(", ")
    };
    headers
        .keys()
        .map(|name| (name.as_str(), value(name.as_str())))
        .collect()
}

fn json(shown: &Shown<'_>) -> String {
    serde_json::to_string(shown).unwrap_or_default()
}

/// Returns the longest beginning of `text` that takes at most `room` bytes in JSON.
fn beginning(text: &str, room: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, letter)| {
        taken += match letter {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            _ => letter.len_utf8(),
        };
        taken > room
    });
    end.map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::beginning;

    #[test]
    fn a_beginning_takes_what_it_takes_in_json() {
        for letter in ('\0'..='\u{2000}').chain(['🕒']) {
            let text = letter.to_string();
            let length = serde_json::to_string(&text).unwrap().len() - 2;
            assert_eq!(beginning(&text, length), text, "{letter:?}");
            assert_eq!(beginning(&text, length - 1), "", "{letter:?}");
        }
        assert_eq!(beginning("a\"éb", 5), "a\"é");
    }
}

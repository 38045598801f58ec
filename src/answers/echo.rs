//! What a client has sent, as JSON of bounded length.

use std::borrow::Cow;

use hyper::Request;
use hyper::header::HeaderMap;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The most bytes of the JSON.
pub(super) const MOST: usize = 4096;

/// What a name contains whose value is nobody's business: cookies do not know ports, a proxy may
/// add its own, and any page may ask.
const SECRETS: [&str; 7] = [
    "cookie",
    "auth",
    "token",
    "jwt",
    "secret",
    "key",
    "forwarded",
];

#[derive(Clone, Copy, serde::Serialize)]
struct Echo<'a> {
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

/// `request` with its `content` as JSON. Where it is too long, the end of the content goes first,
/// then the last headers, then the end of the target, and `cut` says so.
pub(super) fn echo(request: &Request<()>, content: &[u8]) -> String {
    let headers = told(request.headers());
    let body = String::from_utf8_lossy(content);
    let whole = Echo {
        method: request.method().as_str(),
        target: request.uri().path_and_query().map_or("", |it| it.as_str()),
        headers: Headers(&headers),
        body: &body,
        cut: false,
    };
    let json = json(&whole);
    if json.len() <= MOST {
        return json;
    }
    cut(whole, &headers)
}

fn cut<'a>(mut echo: Echo<'a>, headers: &'a [(&'a str, String)]) -> String {
    let (target, body) = (echo.target, echo.body);
    (echo.cut, echo.body) = (true, "");
    let room = |echo: &Echo<'_>| MOST.saturating_sub(json(echo).len());
    let fits = |kept: &usize| {
        let headers = Headers(&headers[..*kept]);
        json(&Echo { headers, ..echo }).len() <= MOST
    };
    let kept = (0..=headers.len()).rev().find(fits).unwrap_or(0);
    echo.headers = Headers(&headers[..kept]);
    if kept == headers.len() {
        echo.body = beginning(body, room(&echo));
    } else if kept == 0 {
        echo.target = "";
        echo.target = beginning(target, room(&echo));
    }
    json(&echo)
}

/// The headers, repeated ones joined, and those that may be secret without their values.
fn told(headers: &HeaderMap) -> Vec<(&str, String)> {
    let value = |name: &str| {
        if SECRETS.iter().any(|secret| name.contains(secret)) {
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

fn json(echo: &Echo<'_>) -> String {
    serde_json::to_string(echo).unwrap_or_default()
}

/// The longest beginning of `text` that takes no more than `room` in JSON.
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

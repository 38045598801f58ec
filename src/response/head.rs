//! The response head.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// Returns the headers of a list.
///
/// # Panics
///
/// If one of them is malformed: they are constants of the program.
pub fn headers<'a>(list: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let header = |(name, value): (&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("our names are tokens");
        let value = HeaderValue::from_str(value).expect("our values are visible ASCII");
        (name, value)
    };
    list.into_iter().map(header).collect()
}

/// Returns a response; Node: `res.writeHead(status, head)`.
#[must_use]
pub fn write_head<B>(status: StatusCode, head: &HeaderMap, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    // hyper keeps the map as long as the connection lives, and a clone has no spare capacity.
    response.headers_mut().clone_from(head);
    response
}

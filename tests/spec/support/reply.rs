//! A raw response: its head, and its body with the framing.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Body, Bytes};
use sse_clock::service::respond;
use sse_clock::stream::time::{self, to_locale_time_string};
use tokio::time::{Instant, timeout};

use crate::support::{Client, DEADLINE, Server, Serves};

/// A whole response, up to the end of the connection.
#[derive(Debug)]
pub struct Reply {
    pub head: String,
    pub chunks: Vec<Vec<u8>>,
    /// Whether the terminating chunk, or all of the Content-Length, was received.
    pub complete: bool,
}

impl Reply {
    /// The response to `request`, sent with `Connection: close`.
    pub fn to(server: &Server, request: &str) -> Self {
        let request = request.replacen("\r\n", "\r\nHost: clock\r\nConnection: close\r\n", 1);
        Self::read(server.send(request))
    }

    pub fn read(mut client: Client) -> Self {
        let head = client.head();
        let mut rest = Vec::new();
        client
            .0
            .read_to_end(&mut rest)
            .expect("the connection ends before the deadline");
        if !head.contains("Transfer-Encoding: chunked\r\n") {
            let length = number_after(&head, "Content-Length: ");
            let complete = length.is_none_or(|length| length == rest.len());
            let chunks = vec![rest];
            return Self {
                head,
                chunks,
                complete,
            };
        }
        let (mut chunks, mut rest) = (Vec::new(), rest.as_slice());
        let complete = loop {
            let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
                break false;
            };
            let size = std::str::from_utf8(&rest[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            let chunk = &rest[end + 2..end + 2 + size];
            assert_eq!(&rest[end + 2 + size..][..2], b"\r\n");
            rest = &rest[end + size + 4..];
            if size == 0 {
                assert_eq!(rest, b"", "bytes after the terminating chunk");
                break true;
            }
            chunks.push(chunk.to_vec());
        };
        Self {
            head,
            chunks,
            complete,
        }
    }

    /// The status line without the version.
    pub fn status(&self) -> &str {
        let line = self.head.lines().next().unwrap();
        line.strip_prefix("HTTP/1.1 ").expect("HTTP/1.1")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let value = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        value.map(|(_, value)| value)
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("UTF-8")
    }
}

/// A GET of `target`, which may have a query string.
pub fn get(server: &Server, target: &str) -> Reply {
    Reply::to(server, &format!("GET {target} HTTP/1.1\r\n\r\n"))
}

/// Like [`get`], with a `Last-Event-ID`.
pub fn come_back(server: &Server, target: &str, id: &str) -> Reply {
    let request = format!("GET {target} HTTP/1.1\r\nLast-Event-ID: {id}\r\n\r\n");
    Reply::to(server, &request)
}

/// Like [`get`], by POST with this content.
pub fn post(server: &Server, target: &str, content: impl AsRef<[u8]>) -> Reply {
    let content = content.as_ref();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: clock\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    Reply::read(server.send([head.as_bytes(), content].concat()))
}

fn number_after(text: &str, name: &str) -> Option<usize> {
    let value = text.split(name).nth(1)?.lines().next()?;
    value.parse().ok()
}

/// `text`, percent-encoded for a query string.
pub fn encoded(text: impl AsRef<[u8]>) -> String {
    form_urlencoded::byte_serialize(text.as_ref()).collect()
}

/// The ids in a body, in order.
pub fn ids(body: &str) -> Vec<u64> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("id: "));
    lines.map(|id| id.parse().expect("a number")).collect()
}

/// The events of `/events?ids` with these ids.
pub fn time_events(ids: &[u64]) -> String {
    let events = ids.iter().map(|id| {
        let time = to_locale_time_string(*id);
        format!("id: {id}\ndata: {time}\n\n")
    });
    events.collect::<Vec<_>>().concat()
}

/// The content of a request without content.
pub fn nothing() -> Empty<Bytes> {
    Empty::new()
}

/// The body of the handler's response to a GET, without a server.
pub async fn body_of(target: &str) -> impl Body<Data = Bytes> + Unpin + use<> {
    let request = Request::get(target).body(nothing()).unwrap();
    Box::pin(respond(request, Arc::default()).await.into_body())
}

/// The next frame of `body`.
pub async fn frame<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Option<Bytes> {
    let frame = timeout(500 * DEADLINE, body.frame()).await;
    let frame = frame.expect("a frame within hours of the paused clock")?;
    let Ok(frame) = frame else {
        panic!("the body is cut");
    };
    Some(frame.into_data().expect("no trailers"))
}

/// All data of `body`, up to its end.
pub async fn whole<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(frame) = frame(body).await {
        bytes.extend_from_slice(&frame);
    }
    bytes
}

/// Asserts, on a paused clock, the frames of the response to a GET of `target`. Each has its time
/// in milliseconds after the response head; an empty frame is the end.
pub async fn assert_played(target: &str, frames: &[(u64, &str)]) {
    let mut body = body_of(target).await;
    let start = Instant::now();
    let mut played = Vec::new();
    for _ in frames {
        let frame = frame(&mut body).await.unwrap_or_default();
        let text = String::from_utf8(frame.to_vec()).expect("UTF-8");
        played.push((milliseconds(start.elapsed()), text));
    }
    let played: Vec<_> = played.iter().map(|(at, it)| (*at, it.as_str())).collect();
    assert_eq!(played, frames, "{target}");
}

/// The present wall-clock time, as the server reads the clock.
pub fn now() -> u64 {
    time::now()
}

pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

//! The response to a request is the same over plain HTTP/1.1, over TLS, and over HTTP/2.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use sse_clock::options::parameters;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::tls::{handshake, http2};
use crate::support::{DEADLINE, Server, Serves};

/// A response. All fields are empty if the connection was closed, or the stream reset with
/// `INTERNAL_ERROR`, before any byte.
#[derive(Debug, Default, PartialEq, Eq)]
struct Received {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_whole: bool,
}

#[derive(Clone, Debug)]
struct Requested {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    content: &'static str,
}

fn get(target: &str) -> Requested {
    requested("GET", target)
}

fn requested(method: &'static str, target: &str) -> Requested {
    Requested {
        method,
        target: target.into(),
        headers: Vec::new(),
        content: "",
    }
}

impl Requested {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn bringing(mut self, content: &'static str) -> Self {
        self.content = content;
        self
    }
}

/// Every route with every method, every option, and all requests that are rejected.
fn requests() -> Vec<Requested> {
    let mut all = Vec::new();
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "QUERY"] {
        for path in [
            "/",
            "/cases",
            "/events?count=1&interval=10&data=x",
            "/stream?count=1&data=x",
            "/stats?key=nobody",
            "/nowhere",
            "/events/",
            "//",
        ] {
            all.push(requested(method, path));
        }
    }
    for options in [
        "count=3&interval=10&data=x&event=tick&retry=2500",
        "wire=id:1%0adata:a%0a%0aid:2%0adata:b%0a%0a&interval=10&ids&lastEventId=1",
        "interval=10&count=2&size=20000",
        "size=100000&count=1&interval=10&end=truncate",
        "wire=data:%20a%0a%0adata:%20b%0d%0d&interval=10",
        "wire=%FF%FEdata:%20a%0a%0a&interval=0&split=1&pace=1",
        "echo&count=2&interval=10&data=x",
        "count=2&interval=10&data=x&split=3&bom&eol=cr",
        "count=2&interval=10&data=x&eol=crlf&comment=0",
        "count=1&interval=1000&data=x&comment=700",
        "count=1&interval=10&data=x&header=Content-Type:text/html",
        "count=1&interval=10&data=x&credentials",
        "status=503",
        "status=204",
        "status=304",
        "status=200&count=1&interval=10&data=x",
        "status=500&wire=data:%20a%0a%0a%ff%00&interval=3600000&split=1&pace=10000&end=abort&ids",
        "status=404&wire=&delay=20",
        "status=429&wire=%7B%7D&header=content-type:application/json%0ARetry-After:5&credentials",
        "status=429&wire=a&header=Content-Type:text/event-stream",
        "status=200&wire=%ff%00",
        "status=204&wire=a",
        "wire=a&key=parity-wire&responses=500,200",
        "wire=a&interval=0&key=once-wire&responses=200,204",
        "wire=a&interval=0&key=once-wire&responses=200,204",
        "count=1&interval=10&data=x&delay=20",
        "redirect=307&count=1&interval=10&data=x&data2",
        "redirect=301&count=1&interval=10",
        "count=2&interval=10&data=x&end=clean",
        "count=2&interval=10&data=x&end=abort",
        "count=2&interval=10&data=x&end=truncate",
        "wire=data:a%0a%0a&end=abort",
        "count=1&interval=10&data=x&key=parity&responses=503,drop,200",
        "count=1&interval=10&data=x&key=parity&responses=503,drop,200",
        "count=1&interval=10&data=x&key=parity&responses=503,drop,200",
        "count=1&interval=10&data=x&key=once&responses=200,204",
        "count=1&interval=10&data=x&key=once&responses=200,204",
        "count=1&interval=10&data=x&header=Content-Type:%0ACache-Control:no-store",
        "count=1&interval=10&data=x&header=X-Accel-Buffering:%0AContent-Encoding:identity",
        "responses=drop&delay=20&key=dropped",
        "count=1&interval=10&data=x&_=/v1&_=2",
        "redirect=301&_=/v1",
        "interval=9",
        "unheard=of",
        "credentials&interval=9",
    ] {
        all.push(get(&format!("/events?{options}")));
    }
    all.extend([
        get("/events?wire=id:7%0adata:a%0a%0adata:b%0a%0a&interval=10&then=200")
            .with("Last-Event-ID", "7"),
        get("/events?status=500&wire=a&then=404").with("Last-Event-ID", "7"),
        requested("HEAD", "/events?status=500&wire=%ff%00"),
        requested("HEAD", "/events?status=500&wire="),
        requested("POST", "/events?status=500&wire=%ff%00").bringing("what a form sends"),
        get("/events?count=1&interval=10&data=x&credentials").with("Origin", "http://a.example"),
        get("/events?echo&count=1&interval=10&data=x")
            .with("X-Test-Sent", "this")
            .with("Cookie", "secret=1"),
        get("/events?count=1&interval=10&data=x").with("Sec-Fetch-Dest", "script"),
        requested("POST", "/stream?count=1&data=x")
            .with("Service-Worker", "script")
            .bringing("some"),
        requested("HEAD", "/events?responses=drop&key=dropped"),
        requested("POST", "/events?responses=drop&key=dropped").bringing("some"),
        get("/?_=/v1"),
        get("/stats?_=/v1&key=nobody"),
        get("/").with("If-None-Match", "*"),
        get("/cases").with("If-None-Match", "\"other\""),
        requested("OPTIONS", "/events")
            .with("Origin", "http://a.example")
            .with("Access-Control-Request-Method", "POST")
            .with("Access-Control-Request-Headers", "x-one, x-two"),
        requested("POST", "/events?echo&count=1&interval=10&data=x").bringing("what a form sends"),
        requested("POST", "/stream?count=1&data=x").bringing("some"),
        requested("POST", "/cases").bringing(r#"{"name":"one-event","key":"nobody","events":[]}"#),
        requested("POST", "/cases")
            .bringing(r#"{"name":"one-event","key":"nobody","events":[],"closed":true}"#),
        requested("POST", "/cases").bringing("some"),
        requested("POST", "/nowhere").bringing("some"),
        get("/events?count=1&interval=10&data=x").bringing("unrequested"),
        requested("PUT", "/").bringing("unrequested"),
    ]);
    all
}

/// The response over HTTP/1.1.
async fn over_http1<I: AsyncRead + AsyncWrite + Unpin>(
    mut io: I,
    requested: &Requested,
) -> Received {
    let Requested {
        method,
        target,
        headers,
        content,
    } = requested;
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: clock\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    if !content.is_empty() {
        write!(request, "Content-Length: {}\r\n", content.len()).unwrap();
    }
    io.write_all(format!("{request}\r\n{content}").as_bytes())
        .await
        .unwrap();
    let mut bytes = Vec::new();
    // Over TLS, an aborted connection ends in an error.
    let _ = io.read_to_end(&mut bytes).await;
    if bytes.is_empty() {
        return Received::default();
    }
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let body = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let mut fields = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        fields.insert(name.to_lowercase(), value.to_owned());
    }
    let (body, is_whole) = if fields.contains_key("transfer-encoding") && *method != "HEAD" {
        unchunked(body)
    } else {
        (body.to_vec(), true)
    };
    for own in ["connection", "transfer-encoding", "date"] {
        fields.remove(own);
    }
    Received {
        status,
        headers: fields,
        // Fields of an echo that only this protocol has.
        body: escaped(&body).replace(r#",\"connection\":\"\xe2\x80\xa6\""#, ""),
        is_whole,
    }
}

/// Every byte, printable.
fn escaped(body: &[u8]) -> String {
    body.escape_ascii().to_string()
}

/// The content of chunks, and whether the last chunk has come.
fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (content, true);
        }
        content.extend(&bytes[end + 2..][..size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
    (content, false)
}

/// The response over HTTP/2.
async fn over_http2(address: SocketAddr, requested: &Requested) -> Received {
    let Requested {
        method,
        target,
        headers,
        content,
    } = requested;
    let mut request = http::Request::builder()
        .method(*method)
        .uri(format!("https://clock{target}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    if !content.is_empty() {
        request = request.header("content-length", content.len());
    }
    let mut requests = http2(address).await;
    let (response, mut sending) = requests
        .send_request(request.body(()).unwrap(), content.is_empty())
        .unwrap();
    if !content.is_empty() {
        sending
            .send_data(Bytes::from_static(content.as_bytes()), true)
            .unwrap();
    }
    let (head, mut body) = match response.await {
        Ok(response) => response.into_parts(),
        Err(error) => {
            assert!(error.is_remote(), "{error}");
            assert_eq!(
                error.reason(),
                Some(h2::Reason::INTERNAL_ERROR),
                "{requested:?}"
            );
            return Received::default();
        }
    };
    let mut bytes = Vec::new();
    let is_whole = loop {
        match body.data().await {
            None => break true,
            Some(Ok(data)) => {
                body.flow_control().release_capacity(data.len()).unwrap();
                bytes.extend(data);
            }
            Some(Err(error)) => {
                // After a complete response, the server refuses unneeded content.
                break error.reason() == Some(h2::Reason::NO_ERROR);
            }
        }
    };
    let mut fields: BTreeMap<_, _> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    fields.remove("date");
    Received {
        status: head.status.as_u16(),
        headers: fields,
        body: escaped(&bytes),
        is_whole,
    }
}

#[tokio::test]
async fn every_response_over_tls_and_http_2_equals_that_of_plain_http_1_1() {
    let (plain, secure, second) = (Server::start(), Server::start_tls(), Server::start_tls());
    let requests = requests();
    let requested: BTreeSet<_> = requests
        .iter()
        .flat_map(|requested| {
            let query = requested
                .target
                .split_once('?')
                .map_or("", |(_, query)| query);
            query
                .split('&')
                .map(|pair| pair.split('=').next().unwrap().to_owned())
        })
        .collect();
    for parameter in parameters() {
        assert!(
            requested.contains(parameter.name),
            "{} is not requested for",
            parameter.name
        );
    }
    let mut dropped = 0;
    for requested in requests {
        let responses = async {
            let is = over_http1(
                TcpStream::connect(plain.address()).await.unwrap(),
                &requested,
            )
            .await;
            let by_tls =
                over_http1(handshake(secure.address(), "http/1.1").await, &requested).await;
            let by_http2 = over_http2(second.address(), &requested).await;
            [is, by_tls, by_http2]
        };
        let responses = timeout(DEADLINE, responses)
            .await
            .unwrap_or_else(|_| panic!("{requested:?}"));
        let [is, by_tls, by_http2] = responses;
        dropped += usize::from(is.status == 0);
        assert_eq!(by_tls, is, "over TLS: {requested:?}");
        assert_eq!(by_http2, is, "over HTTP/2: {requested:?}");
    }
    assert_eq!(dropped, 4, "what is dropped");
}

//! A handler behaves over HTTP/2 as over HTTP/1.1, and the requests of a client do not block
//! each other.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame};
use longhaul::Limits;
use tokio::time::timeout;

use crate::support::tls::{get, http2};
use crate::support::{Client, DEADLINE, Hosted, Serves};

async fn status(server: &Hosted, request: Request<()>) -> StatusCode {
    let mut requests = http2(server.address()).await;
    let response = requests.send_request(request, true).unwrap().0;
    let response = timeout(DEADLINE, response).await.expect("in time");
    response.expect("an response").status()
}

#[tokio::test]
async fn no_handler_begins_a_tunnel() {
    let hello = |_| async { Response::new(Full::new(Bytes::from("hello"))) };
    let server = Hosted::start_tls(Limits::default(), hello);
    let connect = Request::builder().method(Method::CONNECT).uri("clock:80");
    let response = status(&server, connect.body(()).unwrap()).await;
    assert_eq!(response, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(status(&server, get("/")).await, StatusCode::OK);

    let server = Hosted::start(Limits::default(), hello);
    let connect = "CONNECT clock:80 HTTP/1.1\r\nHost: clock:80\r\n\r\n";
    let response = Client::send(server.address(), connect).rest();
    assert!(response.starts_with("HTTP/1.1 501 "), "{response}");
}

/// Yields the same item at every poll; `None` wakes itself and stays pending.
struct Restless(Option<Bytes>);

impl Body for Restless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(bytes) = &self.0 {
            return Poll::Ready(Some(Ok(Frame::data(bytes.clone()))));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[tokio::test]
async fn a_body_that_is_always_ready_holds_up_no_other() {
    let server = Hosted::start_tls(Limits::default(), |request: Request<_>| async move {
        Response::new(match request.uri().path() {
            "/silent" => Either::Left(Restless(None)),
            "/empty" => Either::Left(Restless(Some(Bytes::new()))),
            "/endless" => Either::Left(Restless(Some(Bytes::from_static(&[b'x'; 100])))),
            _ => Either::Right(Full::new(Bytes::from("hello"))),
        })
    });
    for path in ["/silent", "/empty", "/endless"] {
        let mut requests = http2(server.address()).await;
        let restless = requests.send_request(get(path), true).unwrap().0;
        let restless = timeout(DEADLINE, restless).await.expect("in time").unwrap();
        assert_eq!(status(&server, get("/")).await, StatusCode::OK, "{path}");
        let beside = requests.send_request(get("/"), true).unwrap().0;
        let beside = timeout(DEADLINE, beside).await.expect("in time").unwrap();
        assert_eq!(beside.status(), StatusCode::OK, "beside {path}");
        drop(restless);
    }
}

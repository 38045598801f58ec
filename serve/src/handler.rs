//! The trait of handlers: functions from a request to a response.

use std::error::Error;
use std::future::Future;

use bytes::Bytes;
use hyper::body::Body;
use hyper::{Request, Response};

use super::content::Content;

/// Responds to requests: any function from a request to a response.
///
/// The server implements the trait for closures and functions. Each request has its
/// [`Connection`](crate::Connection) in the extensions. The future of a response is dropped when
/// the client leaves or the shutdown begins.
///
/// A panic of the handler or of a body closes the connection. Over HTTP/2 only the stream of the
/// response is reset.
pub trait Handler: Fn(Request<Content>) -> Self::Future + Clone + Send + Sync + 'static {
    /// The future that a call of the handler returns.
    type Future: Future<Output = Response<Self::Body>> + Send;

    /// The body of the handler's responses.
    ///
    /// When a body fails, the server ignores the error and cuts off the response. First the client
    /// gets 250 ms to read the last bytes, because it may drop bytes that it sees with the cut.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;
}

impl<H, F, B> Handler for H
where
    H: Fn(Request<Content>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Future = F;
    type Body = B;
}

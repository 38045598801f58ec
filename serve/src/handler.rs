//! The trait of handlers: functions from a request to a response.

use std::error::Error;
use std::future::Future;

use bytes::Bytes;
use hyper::body::Body;
use hyper::{Request, Response};

use super::content::Content;

/// Responds to requests: any function from a request to a response.
pub trait Handler: Fn(Request<Content>) -> Self::Future + Clone + Send + Sync + 'static {
    /// The future that a call of the handler returns.
    type Future: Future<Output = Response<Self::Body>> + Send;

    /// The body of the handler's responses.
    ///
    /// When a body fails, the server cuts off the response and ignores the error.
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

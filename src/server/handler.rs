//! What a server asks of its handler.

use std::error::Error;
use std::future::Future;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};

/// What answers the requests: any function from a request to a response.
pub trait Handler: Fn(Request<Incoming>) -> Self::Future + Clone + Send + Sync + 'static {
    /// What its call returns.
    type Future: Future<Output = Response<Self::Body>> + Send;

    /// The body of its answers. Its error is not looked at: the answer is cut off.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;
}

impl<H, F, B> Handler for H
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Future = F;
    type Body = B;
}

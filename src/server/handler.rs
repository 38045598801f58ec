//! What a server asks of its handler.

use std::error::Error;
use std::future::Future;

use bytes::Bytes;
use hyper::body::Body;
use hyper::{Request, Response};

use super::content::Content;

/// What answers the requests: any function from a request to a response.
pub trait Handler: Fn(Request<Content>) -> Self::Future + Clone + Send + Sync + 'static {
    /// What its call returns.
    type Future: Future<Output = Response<Self::Body>> + Send;

    /// The body of its answers. Its error is not looked at: the answer is cut off.
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

//! HTTP/2: many answers at a time on a connection, each in a task of its own.
//!
//! hyper ends neither a connection that nobody uses nor a stream that nobody reads, and at the
//! server's end it wakes no body: this room does.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::gate::pass;
use super::handler::Handler;
use super::limits::Limits;
use super::places::Place;
use super::shutdown::Exchange;
use crate::connection::Connection;

/// The window of a connection and of each of its streams, the least that is sure to work: what
/// clients send here is short.
const WINDOW: u32 = 65_535;

/// The bytes of a stream that wait in memory, besides the last frame.
const WAITING: usize = 1024;

/// How long a client may take to say that it has seen the end of its connection.
const FAREWELL: Duration = Duration::from_millis(500);

fn settings(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut http = http2::Builder::new(streams);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.least_head()).unwrap_or(u32::MAX))
        .max_send_buf_size(WAITING)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    http
}

/// Serves one connection to its end, or to the server's; its first request has to come before
/// `deadline`.
pub(super) async fn attend<I, H: Handler>(
    place: Place,
    io: I,
    limits: Limits,
    deadline: Instant,
    handler: H,
    connection: Connection,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let (open, mut streams) = watch::channel(0);
    let executor = Streams {
        connection: connection.clone(),
        stuck_timeout: limits.stuck_timeout,
        open,
    };
    let service = service_fn(move |request| answer(request, handler.clone()));
    let serving = settings(&limits, executor).serve_connection(TokioIo::new(io), service);
    {
        let mut serving = pin!(serving);
        let shutdown = connection.shutdown();
        let ends = async {
            tokio::select! {
                () = shutdown.begun.wait() => none(&mut streams).await,
                () = idle(&mut streams, deadline, limits.head_timeout) => {}
            }
        };
        let is_over = tokio::select! {
            biased;
            _ = &mut serving => true,
            () = shutdown.over.wait() => {
                place.give_up();
                true
            }
            () = ends => false,
        };
        if !is_over {
            // What answers the ping of this has read all that was sent before.
            serving.as_mut().graceful_shutdown();
            let _ = timeout(FAREWELL, serving).await;
        }
    }
    // The connection is closed, so its streams end.
    none(&mut streams).await;
    drop(place);
}

/// Waits until no stream is open.
async fn none(streams: &mut watch::Receiver<usize>) {
    // No stream is open either when nobody is left to open one.
    let _ = streams.wait_for(|open| *open == 0).await;
}

/// Waits until no stream has been open for `time`, or none was opened before `deadline`.
async fn idle(streams: &mut watch::Receiver<usize>, deadline: Instant, time: Duration) {
    let mut until = deadline;
    loop {
        let is_idle = *streams.borrow_and_update() == 0;
        let changed = streams.changed();
        if !is_idle {
            let _ = changed.await;
        } else if timeout_at(until, changed).await.is_err() {
            return;
        }
        until = Instant::now() + time;
    }
}

/// Opens the streams of one connection, each as a task.
#[derive(Clone)]
struct Streams {
    connection: Connection,
    stuck_timeout: Duration,
    open: watch::Sender<usize>,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, exchange: F) {
        let stream = Arc::new(Stream {
            connection: self.connection.clone(),
            answering: AtomicBool::new(false),
            waiting: Mutex::default(),
        });
        let open = Open::new(self.open.clone());
        let until_over = attend_stream(Box::pin(exchange), Arc::clone(&stream), self.stuck_timeout);
        tokio::spawn(STREAM.scope(stream, async move {
            until_over.await;
            drop(open);
        }));
    }
}

/// Counts a stream as open, for as long as it lives.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(open: watch::Sender<usize>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Drives the `exchange` of one stream to its end; dropping it resets the stream.
async fn attend_stream(
    mut exchange: Pin<Box<impl Future<Output = ()>>>,
    stream: Arc<Stream>,
    stuck_timeout: Duration,
) {
    let mut stuck = pin!(stream.stays_stuck(stuck_timeout));
    let begun = tokio::select! {
        biased;
        () = &mut exchange => false,
        () = &mut stuck => false,
        () = stream.connection.shutdown().begun.wait() => true,
    };
    if begun && stream.answering.load(Relaxed) {
        // Polled once more, its body sees the shutdown.
        tokio::select! {
            biased;
            () = &mut exchange => {}
            () = &mut stuck => {}
        }
    }
}

tokio::task_local! {
    /// The stream that the current task is for.
    static STREAM: Arc<Stream>;
}

/// A stream of a connection, and what is under way on it.
struct Stream {
    connection: Connection,
    answering: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// The bytes that were given to hyper and have not left it.
#[derive(Default)]
struct Waiting {
    bytes: usize,
    /// When the last of them left, or else the first came.
    since: Option<Instant>,
    waker: Option<Waker>,
}

impl Stream {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.bytes += bytes;
        if bytes > 0 {
            waiting.since.get_or_insert_with(Instant::now);
        }
    }

    fn leave(&self, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.bytes -= bytes;
        if waiting.bytes > 0 {
            waiting.since = Some(Instant::now());
            return;
        }
        waiting.since = None;
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }

    /// Waits until bytes have waited for `time`, and none of them has left.
    async fn stays_stuck(&self, time: Duration) {
        let mut sleep = None;
        poll_fn(|cx| {
            loop {
                // Whoever adds bytes is in this task, which looks here afterwards.
                let Some(since) = self.waiting().since else {
                    return Poll::Pending;
                };
                let due = since + time;
                let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
                ready!(sleep.as_mut().poll(cx));
                if sleep.deadline() >= due {
                    return Poll::Ready(());
                }
                sleep.as_mut().reset(due);
            }
        })
        .await;
    }
}

impl Exchange for Arc<Stream> {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn set_answering(&self, answering: bool) {
        self.answering.store(answering, Relaxed);
    }

    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting();
        if waiting.bytes == 0 {
            return Poll::Ready(());
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Answers a request, in the task of its stream.
async fn answer<H: Handler>(
    mut request: Request<Incoming>,
    handler: H,
) -> Result<Response<Sent<impl Body<Data = Bytes, Error = Failure>>>, Infallible> {
    let stream = STREAM.with(Arc::clone);
    let is_head = request.method() == Method::HEAD;
    name_host(&mut request);
    let response = pass(request, handler, Arc::clone(&stream)).await?;
    let (mut head, body) = response.into_parts();
    if is_head
        && !body.is_end_stream()
        && let Some(length) = body.size_hint().exact()
    {
        head.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    // hyper would send the body to HEAD too.
    let body = Some(body).filter(|_| !is_head);
    Ok(Response::from_parts(head, Sent { body, stream }))
}

/// Repeats `:authority` where HTTP/1.1 has it: as `Host`, the first of the headers.
fn name_host(request: &mut Request<Incoming>) {
    let authority = request.uri().authority();
    let host = authority.and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    if let Some(host) = host {
        let headers = request.headers_mut();
        let others = std::mem::replace(headers, HeaderMap::from_iter([(HOST, host)]));
        headers.extend(others);
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// A body that is at its end once its bytes have left, so that a stream lasts as long as they.
    struct Sent<B> {
        #[pin]
        body: Option<B>,
        stream: Arc<Stream>,
    }
}

impl<B: Body<Data = Bytes>> Body for Sent<B> {
    type Data = Sending;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Sending>, B::Error>>> {
        let mut this = self.project();
        if let Some(body) = this.body.as_mut().as_pin_mut() {
            if let Some(frame) = ready!(body.poll_frame(cx)) {
                let sending = |bytes| Sending::new(bytes, this.stream);
                return Poll::Ready(Some(frame.map(|frame| frame.map_data(sending))));
            }
            this.body.set(None);
        }
        this.stream.poll_left(cx).map(|()| None)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream) && self.stream.waiting().bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(Body::size_hint);
        hint.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

/// Bytes on their way out, which tell their stream when they leave.
struct Sending {
    bytes: Bytes,
    stream: Arc<Stream>,
}

impl Sending {
    fn new(bytes: Bytes, stream: &Arc<Stream>) -> Self {
        stream.add(bytes.len());
        let stream = Arc::clone(stream);
        Self { bytes, stream }
    }
}

impl Buf for Sending {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.stream.leave(count);
    }
}

//! HTTP/2: many answers at a time on a connection, each in a task of its own.
//!
//! hyper ends neither a connection that nobody uses nor a stream that nobody reads, and at the
//! server's end it wakes no body: this room does.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
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
use slab::Slab;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
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

/// The frames of a connection that may wait to be written in one turn.
const FRAMES: usize = 32;

/// How long a client may take to say that it has seen the end of its connection.
const FAREWELL: Duration = Duration::from_millis(500);

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
    let streams = Arc::new(Streams {
        connection,
        open: Mutex::default(),
        changed: Notify::new(),
        frames: AtomicUsize::new(0),
        task: Mutex::default(),
    });
    let service = service_fn(move |request| {
        let handler = handler.clone();
        // Boxed when the task comes to it: no stream keeps the room, and hundreds share it.
        async move { Box::pin(answer(request, handler)).await }
    });
    let http = settings(&limits, Spawn(Arc::clone(&streams)));
    let mut serving = Box::pin(http.serve_connection(TokioIo::new(io), service));
    let shutdown = streams.connection.shutdown();
    let ends = async {
        tokio::select! {
            () = shutdown.begun.wait() => {
                streams.wake();
                streams.none().await;
            }
            () = streams.idle(deadline, limits.head_timeout) => {}
        }
    };
    let is_over = tokio::select! {
        biased;
        _ = poll_fn(|cx| streams.poll_turn(&mut serving, cx)) => true,
        () = shutdown.over.wait() => {
            place.give_up();
            true
        }
        () = ends => false,
        never = streams.end_stuck(limits.stuck_timeout) => match never {},
    };
    if !is_over {
        // Who answers the ping of this has read all that was sent before.
        serving.as_mut().graceful_shutdown();
        let _ = timeout(FAREWELL, &mut serving).await;
    }
    // Its streams end with the connection, and then its place is free.
    drop(serving);
    streams.none().await;
    drop(place);
}

fn settings(limits: &Limits, spawn: Spawn) -> http2::Builder<Spawn> {
    let mut http = http2::Builder::new(spawn);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.least_head()).unwrap_or(u32::MAX))
        .max_send_buf_size(WAITING)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    http
}

/// The streams of one connection.
struct Streams {
    connection: Connection,
    open: Mutex<Slab<Arc<Stream>>>,
    /// One was opened, or has ended.
    changed: Notify,
    /// Frames that hyper was given since the connection's last turn.
    frames: AtomicUsize,
    /// The task of the connection.
    task: Mutex<Option<Waker>>,
}

impl Streams {
    fn open(&self) -> MutexGuard<'_, Slab<Arc<Stream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the connection write what its streams have given it.
    fn poll_turn<F: Future + Unpin>(
        &self,
        serving: &mut F,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        self.frames.store(0, Relaxed);
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.get_or_insert_with(|| cx.waker().clone());
        drop(task);
        Pin::new(serving).poll(cx)
    }

    /// Whether a stream has to wait for that, for h2 keeps for ever the room of all frames that
    /// waited at a time.
    fn has_enough(&self) -> bool {
        let has_enough = self.frames.load(Relaxed) >= FRAMES;
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if has_enough && let Some(task) = &*task {
            task.wake_by_ref();
        }
        has_enough
    }

    /// Wakes all tasks, to see that the shutdown has begun.
    fn wake(&self) {
        self.open().iter().for_each(|(_, stream)| stream.wake());
    }

    /// Waits until none is open.
    async fn none(&self) {
        while !self.open().is_empty() {
            self.changed.notified().await;
        }
    }

    /// Waits until none has been open for `time`, or none was opened before `deadline`.
    async fn idle(&self, deadline: Instant, time: Duration) {
        let mut until = deadline;
        loop {
            let changed = self.changed.notified();
            if !self.open().is_empty() {
                changed.await;
            } else if timeout_at(until, changed).await.is_err() {
                return;
            }
            until = Instant::now() + time;
        }
    }

    /// Ends those whose bytes have waited for `time`, while none of them left.
    async fn end_stuck(&self, time: Duration) -> Infallible {
        loop {
            let now = Instant::now();
            let mut next = now + time;
            for (_, stream) in self.open().iter() {
                match stream.waiting().since.map(|since| since + time) {
                    Some(due) if due <= now => stream.end(),
                    Some(due) => next = next.min(due),
                    None => {}
                }
            }
            sleep_until(next).await;
        }
    }
}

/// Gives each stream of a connection a task.
#[derive(Clone)]
struct Spawn(Arc<Streams>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawn {
    fn execute(&self, exchange: F) {
        let stream = {
            let mut open = self.0.open();
            let entry = open.vacant_entry();
            let stream = Arc::new(Stream::new(Arc::clone(&self.0), entry.key()));
            Arc::clone(entry.insert(stream))
        };
        self.0.changed.notify_one();
        let open = Open(Arc::clone(&stream));
        tokio::spawn(STREAM.scope(stream, Task { exchange, open }));
    }
}

pin_project! {
    /// Drives the exchange of a stream to its end; dropping it resets the stream.
    struct Task<F> {
        #[pin]
        exchange: F,
        // Last, for the stream is open until the exchange is dropped.
        open: Open,
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let Open(stream) = this.open;
        if stream.is_to_end(cx.waker()) {
            return Poll::Ready(());
        }
        if stream.streams.has_enough() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.exchange.poll(cx)
    }
}

/// A stream that is open, for as long as this lives.
struct Open(Arc<Stream>);

impl Drop for Open {
    fn drop(&mut self) {
        let Stream { streams, slot, .. } = &*self.0;
        streams.open().remove(*slot);
        streams.changed.notify_one();
    }
}

tokio::task_local! {
    /// The stream that the current task is for.
    static STREAM: Arc<Stream>;
}

/// A stream of a connection, and what is under way on it.
struct Stream {
    streams: Arc<Streams>,
    slot: usize,
    answering: AtomicBool,
    ends: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// The bytes that were given to hyper and have not left it.
#[derive(Default)]
struct Waiting {
    bytes: usize,
    /// When the last of them left, or else the first came.
    since: Option<Instant>,
    is_awaited: bool,
    /// The task of the stream, which is always the same.
    task: Option<Waker>,
}

impl Stream {
    fn new(streams: Arc<Streams>, slot: usize) -> Self {
        Self {
            streams,
            slot,
            answering: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Some(task) = &self.waiting().task {
            task.wake_by_ref();
        }
    }

    /// Ends it, whatever it has still to say.
    fn end(&self) {
        self.ends.store(true, Relaxed);
        self.wake();
    }

    /// Whether its `task` has no more to do: it is stuck, or the shutdown begins before its answer.
    fn is_to_end(&self, task: &Waker) -> bool {
        if self.answering.load(Relaxed) {
            return self.ends.load(Relaxed);
        }
        let mut waiting = self.waiting();
        waiting.task.get_or_insert_with(|| task.clone());
        let is_answered = waiting.bytes > 0;
        self.ends.load(Relaxed) || !is_answered && self.connection().is_shutting_down()
    }

    fn add(&self, bytes: usize) {
        self.streams.frames.fetch_add(1, Relaxed);
        let mut waiting = self.waiting();
        waiting.bytes += bytes;
        if bytes > 0 {
            waiting.since.get_or_insert_with(Instant::now);
        }
    }

    fn leave(&self, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.bytes -= bytes;
        let is_empty = waiting.bytes == 0;
        waiting.since = (!is_empty).then(Instant::now);
        if is_empty
            && std::mem::take(&mut waiting.is_awaited)
            && let Some(task) = &waiting.task
        {
            task.wake_by_ref();
        }
    }

    fn connection(&self) -> &Connection {
        &self.streams.connection
    }
}

impl Exchange for Arc<Stream> {
    fn connection(&self) -> &Connection {
        Stream::connection(self)
    }

    fn set_answering(&self, answering: bool) {
        self.answering.store(answering, Relaxed);
    }

    fn poll_left(&self, _: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting();
        waiting.is_awaited = waiting.bytes > 0;
        if waiting.is_awaited {
            return Poll::Pending;
        }
        Poll::Ready(())
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
    stream.streams.frames.fetch_add(1, Relaxed);
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

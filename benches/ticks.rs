//! The time of every tick of a stream, in nanoseconds: `cargo bench --bench ticks`.

use std::sync::Arc;

use bytes::Bytes;
use divan::{Bencher, black_box};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use sse_clock::service::respond;
use sse_clock::stream::{sse, time};
use tokio::runtime::Builder;

fn main() {
    divan::main();
}

/// Makes the event of the Node example, which all streams share for a second.
#[divan::bench]
fn making_a_plain_event(bencher: Bencher) {
    let now = time::now();
    bencher.bench(|| time::once_a_second(black_box(now), sse_text));
}

fn sse_text(at: u64) -> String {
    format!("data: {}\n\n", time::to_locale_time_string(at))
}

/// Makes an event with an id for one stream.
#[divan::bench]
fn making_an_event_with_an_id(bencher: Bencher) {
    let now = time::now();
    let plain = Bytes::from(sse_text(now));
    let fields = sse::Fields {
        id: Some(now),
        ..sse::Fields::default()
    };
    bencher.bench(|| black_box(fields).prefix_to(plain.clone()));
}

/// Runs one tick from the timer to the frame for hyper, with a paused clock.
#[divan::bench]
fn one_tick_through_the_body(bencher: Bencher) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let request = Request::get("/events").body(Empty::<Bytes>::new()).unwrap();
    let response = runtime.block_on(respond(request, Arc::default()));
    let mut body = Box::pin(response.into_body());
    bencher.bench_local(|| runtime.block_on(body.frame()));
}

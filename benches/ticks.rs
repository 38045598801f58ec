//! What runs for every tick of a stream, in nanoseconds: `cargo bench --bench ticks`.

use divan::{Bencher, black_box};
use http_body_util::BodyExt;
use hyper::Request;
use sse_clock::clock::Beat;
use sse_clock::events::Source;
use sse_clock::options::Look;
use sse_clock::service::{Shared, respond};
use sse_clock::wall;
use tokio::runtime::Builder;

fn main() {
    divan::main();
}

/// The event as in the Node example, shared by all streams of the second.
#[divan::bench]
fn making_a_plain_event(bencher: Bencher) {
    let now = wall::now();
    bencher.bench(|| Source::Clock.block(black_box(Beat::Tick(now)), None));
}

/// An event of its own, with an id.
#[divan::bench]
fn making_an_event_with_an_id(bencher: Bencher) {
    let now = wall::now();
    let mut look = Look {
        ids: true,
        ..Look::default()
    };
    bencher.bench_local(|| Source::Clock.block(black_box(Beat::Tick(now)), Some(&mut look)));
}

/// From the timer to the frame that hyper gets, on a clock that jumps from tick to tick.
#[divan::bench]
fn one_tick_through_the_body(bencher: Bencher) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let request = Request::get("/events").body(()).unwrap();
    let mut body = Box::pin(respond(&request, &Shared::default()).into_body());
    bencher.bench_local(|| runtime.block_on(body.frame()));
}

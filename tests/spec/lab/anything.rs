//! The handler responds to every request, with bounded work.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::HeaderValue;
use hyper::{Request, Uri};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_oneof, proptest};
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use sse_clock::options;
use sse_clock::service::respond;
use tokio::runtime::Builder;

use crate::support::reply::encoded;

/// More than the frames of a comment, a gap and all replayed ticks.
const FRAMES: usize = 1100;

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn value() -> impl Strategy<Value = String> {
    const LIKELY: &[&str] = &[
        "",
        "0",
        "1",
        "10",
        "200",
        "204",
        "404",
        "1000",
        "true",
        "cr",
        "crlf",
        "abort",
        "truncate",
        "stall",
        "text/html",
        "18446744073709551615",
        "9999999999999999999999",
        "1763699759000",
        "50",
        "301",
        "16777216",
        "k",
        "data:+a%0A%0Aid:+1%0A%0Aretry",
        "%0A%0D%0D%0A%FF%00",
    ];
    prop_oneof![
        select(LIKELY).prop_map(String::from),
        (0..=2_000_000_u64).prop_map(|number| number.to_string()),
        vec(any::<u8>(), 0..80).prop_map(encoded),
    ]
}

fn parameters() -> impl Strategy<Value = String> {
    // Parameters that are only valid together with others.
    const TOGETHER: &[&str] = &[
        "key=k&responses=503,200",
        "key=k&responses=204,drop",
        "split=3&pace=10",
        "wire=a%0A%0Adata&interval=0",
        "wire=%0A%0D%0A&end=stall",
        "size=5000&end=truncate&count=1",
        "echo&credentials",
    ];
    let names: Vec<_> = options::parameters().map(|known| known.name).collect();
    let name = prop_oneof![
        9 => select(names).prop_map(String::from),
        1 => vec(any::<u8>(), 0..20).prop_map(encoded),
    ];
    let pair = (name, value()).prop_map(|(name, value)| format!("{name}={value}"));
    let pair = prop_oneof![4 => pair, 1 => select(TOGETHER).prop_map(String::from)];
    vec(pair, 0..6).prop_map(|pairs| pairs.join("&"))
}

fn query() -> impl Strategy<Value = String> {
    let legal = (33..=126_u8).prop_filter("no URI holds it", |byte| !b"\"#<>".contains(byte));
    let visible = vec(legal.prop_map(char::from), 0..200).prop_map(String::from_iter);
    prop_oneof![3 => parameters(), 1 => visible]
}

fn check(uri: Uri, id: Option<HeaderValue>, content: Option<Vec<u8>>) -> Result<(), TestCaseError> {
    let query = uri.query().unwrap_or_default().to_owned();
    let options: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let has = |option: &str| options.iter().any(|(name, _)| name == option);
    let option = options.iter().find(|(name, _)| name == "status");
    let option = option.map(|(_, value)| value.clone().into_owned());
    let plain = uri.path() != "/stats" && !has("then");
    let other = if content.is_some() { 405 } else { 200 };
    let requested: BTreeSet<_> = options
        .iter()
        .filter(|(name, _)| ["status", "then", "redirect", "responses"].contains(&name.as_ref()))
        .flat_map(|(_, value)| value.split(','))
        .filter_map(|status| status.parse::<u16>().ok())
        .chain([200, 400, other])
        .collect();
    // An event may consist of many frames.
    let is_long = has("split") || has("size");
    let method = if content.is_some() { "POST" } else { "GET" };
    let content = Full::new(Bytes::from(content.unwrap_or_default()));
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .body(content)
        .unwrap();
    if let Some(id) = id {
        request.headers_mut().insert("last-event-id", id);
    }
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let response = respond(request, Arc::default()).await;
        prop_assert!(
            requested.contains(&response.status().as_u16()),
            "{:?}",
            response.status()
        );
        if let (Some(option), true, true) = (option, plain, response.status() != 400) {
            prop_assert!(
                response.status().as_str() == option,
                "{option}: {:?}",
                response.status()
            );
        }
        let mut body = pin!(response.into_body());
        let (mut frames, mut bytes) = (0, 0);
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        // All frames of the body that are ready now.
        while frames < 20 * FRAMES && !(has("size") && frames > FRAMES) {
            woken.0.store(0, SeqCst);
            let mut next = pin!(body.frame());
            match next.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(Ok(frame))) => {
                    frames += 1;
                    let length = frame.into_data().unwrap().len();
                    prop_assert!(length > 0, "an empty frame");
                    bytes += length;
                }
                Poll::Ready(None | Some(Err(_))) => break,
                Poll::Pending if woken.0.load(SeqCst) == 0 => break,
                Poll::Pending => {}
            }
        }
        prop_assert!(bytes < FRAMES * 8192, "{bytes} bytes");
        prop_assert!(is_long || frames < FRAMES, "{frames} frames");
        Ok(())
    })
}

proptest! {
    #[test]
    fn any_query_and_any_last_event_id_get_a_response_with_bounded_work(
        path in select(["/events", "/stream", "/stats"].as_slice()),
        query in query(),
        id in proptest::option::of(prop_oneof![
            "[0-9]{0,20}".prop_map(String::into_bytes),
            vec(prop_oneof![32..=126_u8, 128..=255_u8], 0..100),
        ]),
        content in proptest::option::of(vec(any::<u8>(), 0..5000)),
    ) {
        let id = id.map(|id| HeaderValue::from_bytes(&id).expect("it holds legal bytes only"));
        check(format!("{path}?{query}").parse().expect("it holds legal bytes only"), id, content)?;
    }
}

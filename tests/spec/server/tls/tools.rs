//! Third-party tools that inspect and load HTTP/2 servers.

use std::process::Command;

use crate::support::{Binary, there_is};

/// The stdout of `program` with `arguments`.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nghttp_and_h2load_report_no_error() {
    if !there_is("nghttp") || !there_is("h2load") {
        return;
    }
    let server = Binary::start(&["--tls"]);
    let url = |path: &str| format!("https://localhost:{}{path}", server.port);

    let text = output(
        "nghttp",
        &["-v", &url("/events?interval=10&count=3&data=tick")],
    );
    for what in [
        "The negotiated protocol: h2",
        "SETTINGS_MAX_CONCURRENT_STREAMS(0x03):128",
        "] recv (stream_id=13) :status: 200",
        "] recv (stream_id=13) content-type: text/event-stream",
    ] {
        assert!(text.contains(what), "{what}: {text}");
    }
    assert_eq!(text.matches("data: tick\n\n").count(), 3, "{text}");
    for error in [
        "RST_STREAM",
        "GOAWAY frame <length=8, flags=0x00, stream_id=0>\n          (last_stream_id=0, error_code=P",
    ] {
        assert!(!text.contains(error), "{text}");
    }

    for path in ["/", "/nowhere", "/events?interval=10&count=3"] {
        let url = url(path);
        let text = output("h2load", &["-n", "1000", "-c", "5", "-m", "50", &url]);
        let done = "1000 total, 1000 started, 1000 done, ";
        assert!(text.contains(done), "{path}: {text}");
        assert!(text.contains(" 0 errored, 0 timeout"), "{path}: {text}");
        let status = if path == "/nowhere" {
            "1000 4xx"
        } else {
            "1000 2xx"
        };
        assert!(text.contains(status), "{path}: {text}");
    }
}

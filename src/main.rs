//! The composition root: settings, log, sockets, and a server that runs until it is told to stop.

mod command;

use std::io::{self, Write};
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::thread;

use command::settings::Settings;
use command::{log, stdin};
use longhaul::process::{self, Signals};
use longhaul::socket::{self, Sockets};
use longhaul::{Limits, Server};
use sse_clock::service::{Shared, respond};
use sse_clock::stream::time;
use tokio::runtime::Builder;

#[cfg(all(unix, feature = "jemalloc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let settings = match Settings::from_process() {
        Ok(settings) => settings,
        Err(status) => return status,
    };
    let _flushed_at_the_end = log::start();
    match run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            drop(writeln!(io::stderr(), "error: {line}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves on every core until a signal or the end of stdin asks to stop; a second signal ends the
/// process on the spot.
fn run(settings: &Settings) -> Result<(), String> {
    settings.files()?;
    let explain = |error| settings.explain(&error);
    process::disable_transparent_huge_pages();
    time::find_zone();
    let room = process::raise_open_files_limit();
    let mut limits = Limits::default();
    limits.max_connections = settings.max_connections.unwrap_or(room);
    limits.drain = settings.drain;
    let host = settings.host().map_err(explain)?;
    let sockets = socket::bind(host, settings.port).map_err(explain)?;
    let server = Server::new(limits);
    let address = format!("{host}:{}", sockets.port().unwrap_or_default());
    // Last, because it may write files.
    #[cfg(feature = "tls")]
    if settings.tls {
        use command::certificate::{describe, load};
        let (certificate, note) = load(host, settings.files()?)?;
        let (curl, description) = describe(&certificate);
        let lines = announcement(&format!("https://{address}"), curl) + &note + &description;
        let server = server.with_tls(longhaul::tls::Tls::new(certificate));
        return serve(&server, sockets, lines, settings).map_err(explain);
    }
    let lines = announcement(&format!("http://{address}"), "curl -N");
    serve(&server, sockets, lines, settings).map_err(explain)
}

/// Returns what the server prints once it listens at `url`.
fn announcement(url: &str, curl: &str) -> String {
    format!("Server listening on {url}\nOpen it in a browser, or try: {curl} {url}/events\n")
}

/// Serves until it is told to stop, and announces the address once the server listens.
fn serve(
    server: &Server,
    sockets: Sockets,
    announcement: String,
    settings: &Settings,
) -> io::Result<()> {
    let shared = Arc::<Shared>::default();
    let handler = move |request| respond(request, Arc::clone(&shared));
    server.spawn_on_every_core(sockets, handler)?;
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let mut signals = Signals::listen()?;
            // In a thread of its own: nothing waits for a full stdout.
            thread::spawn(move || drop(io::stdout().write_all(announcement.as_bytes())));
            let is_signalled = tokio::select! {
                signal = signals.stop() => {
                    tracing::info!("{signal}: stopping");
                    true
                }
                () = stdin::closed(), if settings.until_stdin_closes => {
                    tracing::info!("stdin closed: stopping");
                    false
                }
            };
            let second_signal = async {
                // Ctrl-C ends the parent process, which closes stdin, and is a signal here too.
                if !is_signalled {
                    signals.stop().await;
                }
                signals.stop().await;
            };
            tokio::select! {
                () = server.shutdown() => Ok(()),
                () = second_signal => exit(130),
            }
        })
}

//! The composition root: settings, log, sockets, and a server that runs until a signal.

mod command;

use std::io::{self, Write};
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::thread;

use command::security::Security;
use command::settings::Settings;
use command::signals::Signals;
use command::{log, os};
use sse_clock::server::socket::{self, Sockets};
use sse_clock::server::{Limits, Server};
use sse_clock::service::{Shared, respond};
use sse_clock::stream::time;
use tokio::runtime::{Builder, Runtime};

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

/// Serves on every core until a signal asks to stop; a second one ends the process on the spot.
fn run(settings: &Settings) -> Result<(), String> {
    settings.files()?;
    let explain = |error| settings.explain(&error);
    os::disable_transparent_huge_pages();
    time::find_zone();
    let room = os::room_for_connections();
    let limits = Limits {
        max_connections: settings.max_connections.unwrap_or(room),
        drain: settings.drain(),
        ..Limits::default()
    };
    let host = settings.host().map_err(explain)?;
    let sockets = socket::bind(host, settings.port).map_err(explain)?;
    let server = Server::new(limits);
    #[cfg(not(feature = "tls"))]
    let security = Security::plain();
    // Last, because it may write files.
    #[cfg(feature = "tls")]
    let security = Security::of(settings, host)?;
    #[cfg(feature = "tls")]
    let server = security.secure(server);
    let port = sockets.port().unwrap_or_default();
    let announcement = security.announcement(&format!("{host}:{port}"));
    serve(&server, sockets, announcement).map_err(explain)
}

/// Serves until a signal, and announces the address once the server listens.
fn serve(server: &Server, sockets: Sockets, announcement: String) -> io::Result<()> {
    serve_on_every_core(server, &sockets)?;
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        // Before the announcement: a reader may look at the open files at once.
        drop(sockets);
        announce(announcement);
        let signal = signals.stop().await;
        tracing::info!("{signal}: stopping");
        tokio::select! {
            () = server.shutdown() => Ok(()),
            _ = signals.stop() => exit(130),
        }
    })
}

/// One thread, runtime and accept loop a core, all on the same sockets: no task changes its core.
fn serve_on_every_core(server: &Server, sockets: &Sockets) -> io::Result<()> {
    let shared = Arc::<Shared>::default();
    for _ in 0..thread::available_parallelism()?.get() {
        let runtime = runtime()?;
        let listener = {
            let _context = runtime.enter();
            sockets.listener()?
        };
        let (server, shared) = (server.clone(), Arc::clone(&shared));
        thread::spawn(move || {
            let handler = move |request| respond(request, Arc::clone(&shared));
            runtime.block_on(server.serve(listener, handler));
        });
    }
    Ok(())
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Says where the server listens, in a thread of its own: nothing waits for a full stdout.
fn announce(lines: String) {
    thread::spawn(move || drop(io::stdout().write_all(lines.as_bytes())));
}

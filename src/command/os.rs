//! What the process asks of the operating system: open files, and small pages.

/// File descriptors that are not connections: standard streams, and a few on each core.
fn own_files() -> usize {
    48 + 8 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Raises the limit of open files to what the system allows, and says how many connections fit.
#[cfg(unix)]
pub(crate) fn room_for_connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // If the system call fails, the present limit stays.
    let _ = setrlimit(Resource::Nofile, raised);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX).min(1 << 20);
    files.saturating_sub(own_files()).max(1)
}

/// Says how many connections fit where there is no limit of open files to ask for.
#[cfg(not(unix))]
pub(crate) fn room_for_connections() -> usize {
    16_384 - own_files()
}

/// Keeps the kernel from backing the half-empty buffers of connections with huge pages.
pub(crate) fn disable_transparent_huge_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

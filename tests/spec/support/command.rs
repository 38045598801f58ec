//! The process at work: how it exits, and how many lines are in its log.

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Binary, DEADLINE};

/// The output and the exit status of a process that exits within 1 s.
///
/// Another program may run in an emulator, which takes its time to start.
#[track_caller]
pub fn ends(mut command: Command) -> Output {
    let limit = Binary::other().map_or(Duration::from_secs(1), |_| DEADLINE);
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > limit {
            let _ = child.kill();
            panic!("{command:?} runs on after {limit:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// `sse-clock` with these arguments, or the other program under test.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Binary::command();
    command.args(arguments);
    command
}

/// The only line on stderr of a process that exits with `status` and prints nothing else.
#[track_caller]
pub fn rejection(command: Command, status: i32) -> String {
    let described = format!("{command:?}");
    let output = ends(command);
    let said = String::from_utf8(output.stderr).unwrap();
    let ended = output.status;
    assert_eq!(ended.code(), Some(status), "{described}: {ended}: {said}");
    assert_eq!(output.stdout, b"", "{described}");
    let line = said.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "{described}: {said}");
    assert!(line.starts_with("error: "), "{described}: {said}");
    line.to_owned()
}

/// The number of omitted lines that `line` of the log reports.
pub fn left_out(line: &str) -> Option<usize> {
    let (said, _) = line.split_once(" lines were left out")?;
    said.rsplit(' ').next()?.parse().ok()
}

/// The number of lines in a log, with the omitted lines that the log reports.
pub fn accounted(log: &[String]) -> usize {
    log.iter().map(|line| left_out(line).unwrap_or(1)).sum()
}

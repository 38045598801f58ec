//! Memory per stream with transparent huge pages.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    points::{Point, hold},
    report::Sample,
    servers::Kind,
};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn point() -> Point {
    let measure = |kind| {
        let memory = |setting| {
            let _set = HugePages::set(setting)?;
            Ok::<_, String>(hold(kind, 5000, SECOND, SECOND)?.memory)
        };
        let (never, always) = (memory("never")?, memory("always")?);
        Ok(Sample::default()
            .with("never, KiB", never, 2)
            .with("always, KiB", always, 2)
            .with("always over never", always / never, 2))
    };
    Point {
        name: "thp",
        title: "Memory per stream where transparent huge pages are `always`",
        about: "with 5,000 streams, seconds after they were opened; the machine's setting is put back afterwards.",
        kinds: vec![Kind::Ours, Kind::Jemalloc],
        rounds: 3,
        ratios: Vec::new(),
        lacks: HugePages::lacks(),
        measure: Box::new(measure),
    }
}

/// The machine's setting for transparent huge pages, restored on drop.
///
/// A shell restores the setting when its stdin closes, and so also after ctrl-C or a kill.
struct HugePages(Child);

impl HugePages {
    const SETTING: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

    fn lacks() -> Option<String> {
        let write = fs::OpenOptions::new().write(true).open(Self::SETTING);
        write
            .err()
            .map(|error| format!("{} cannot be written: {error}", Self::SETTING))
    }

    fn set(setting: &str) -> Result<Self, String> {
        let say = |error| format!("{}: {error}", Self::SETTING);
        let options = fs::read_to_string(Self::SETTING).map_err(say)?;
        let usual = options
            .split(['[', ']'])
            .nth(1)
            .ok_or("the huge page setting is unreadable")?;
        let script = r#"trap "" INT TERM HUP; read -r end; echo "$0" > "$1""#;
        let keeper = Command::new("sh")
            .args(["-c", script, usual, Self::SETTING])
            .stdin(Stdio::piped())
            .spawn();
        let keeper = Self(keeper.map_err(say)?);
        fs::write(Self::SETTING, setting).map_err(say)?;
        Ok(keeper)
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        // `Child::wait` closes stdin first.
        if !self.0.wait().is_ok_and(|status| status.success()) {
            eprintln!("could not put {} back", Self::SETTING);
        }
    }
}

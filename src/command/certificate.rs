//! The certificate of the server, and its files.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process;

use longhaul::host::Host;
use longhaul::tls::{BadPem, Certificate, Pem};

use super::settings::Files;

/// The certificate of `files`, or a generated one that names `host`, with a note for the user
/// if it was generated. The error is one line that says why the certificate cannot be used.
pub(crate) fn load(host: Host, files: Option<Files<'_>>) -> Result<(Certificate, String), String> {
    let make = || match host {
        Host::Address(address) => Certificate::make(Some(address)),
        Host::Localhost => Certificate::make(None),
    };
    let (pem, note) = match files {
        None => (make(), String::new()),
        Some(files) => read_or_make(files, make)?,
    };
    let certificate = Certificate::from_pem(pem.certificate.as_bytes(), pem.key.as_bytes());
    let certificate = certificate.map_err(|bad| explain(bad, files))?;
    Ok((certificate, note))
}

/// Returns the curl command that accepts `certificate`, and what the user is told of it.
pub(crate) fn describe(certificate: &Certificate) -> (&'static str, String) {
    let fingerprint = certificate.fingerprint();
    let fingerprint = format!("SHA-256 fingerprint of the certificate: {fingerprint}\n");
    if !certificate.is_self_signed() {
        return ("curl -N", fingerprint);
    }
    let advice = "A browser warns of it once. For one without a warning:\n  \
           mkcert -install && mkcert -cert-file cert.pem -key-file key.pem localhost 127.0.0.1 ::1\n\
           and start with --tls --cert cert.pem --key key.pem\n";
    ("curl -kN", fingerprint + advice)
}

/// The certificate and the key of `files`, which are generated if neither exists, with a note for
/// the user.
fn read_or_make((cert, key): Files<'_>, make: impl Fn() -> Pem) -> Result<(Pem, String), String> {
    if cert == key && !cert.exists() {
        return Err("--cert and --key are two files".into());
    }
    let are_there = [cert, key].map(|file| file.symlink_metadata().is_ok());
    if are_there == [false, false] {
        let pem = make();
        write(key, &pem.key, true)?;
        write(cert, &pem.certificate, false).inspect_err(|_| drop(fs::remove_file(key)))?;
        let (cert, key) = (cert.display(), key.display());
        let note = format!("Made {cert} and {key}: the next start uses them again.\n");
        return Ok((pem, note));
    }
    let pem = Pem {
        certificate: read(cert, "certificate", key)?,
        key: read(key, "key", cert)?,
    };
    Ok((pem, String::new()))
}

fn read(file: &Path, what: &str, other: &Path) -> Result<String, String> {
    let bytes = fs::read(file);
    let (file, other) = (file.display(), other.display());
    let bytes = bytes.map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!(
            "there is no {file}, but {other}: add the {what}, or delete {other} to have both made"
        ),
        _ => format!("cannot read {file}: {error}"),
    })?;
    if bytes.is_empty() {
        return Err(format!(
            "{file} is empty: add the {what}, or delete it and {other} to have new ones made"
        ));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes a file that is not there yet, whole or not at all, for its owner alone if it `is_secret`.
fn write(file: &Path, text: &str, is_secret: bool) -> Result<(), String> {
    let beside = file.with_file_name(format!(".sse-clock.{}", process::id()));
    // A process of the same id may have been killed here.
    let _ = fs::remove_file(&beside);
    let written = write_new(&beside, text, is_secret).and_then(|()| publish(&beside, file));
    let _ = fs::remove_file(&beside);
    written.map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn write_new(file: &Path, text: &str, is_secret: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_secret { 0o600 } else { 0o644 });
    // Elsewhere a file has the permissions of its folder.
    #[cfg(not(unix))]
    let _ = is_secret;
    let mut file = options.open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Gives the file `beside` its name. A link never takes the place of another file, as a rename
/// does, but not every file system has links.
fn publish(beside: &Path, file: &Path) -> io::Result<()> {
    fs::hard_link(beside, file).or_else(|error| match error.kind() {
        ErrorKind::AlreadyExists => Err(error),
        _ => fs::rename(beside, file),
    })
}

/// Returns one line that says why the certificate cannot be used.
fn explain(bad: BadPem, files: Option<Files<'_>>) -> String {
    let Some((cert, key)) = files.map(|(cert, key)| (cert.display(), key.display())) else {
        return format!("of what was made, {bad}");
    };
    match bad {
        BadPem::Expired(day) => format!(
            "{cert} has expired on {day}: renew it, or delete it and {key} to have new ones made"
        ),
        BadPem::Certificate(what) => format!("{cert} {what}"),
        BadPem::Key(what) => format!("{key} {what}"),
        bad => format!("of {cert} and {key}, {bad}"),
    }
}

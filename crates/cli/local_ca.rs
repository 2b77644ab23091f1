//! `pgferry local-ca`: makes the certificate authority for local TLS, and says how to use it.

use std::path::Path;

use anyhow::Context as _;
use pgferry_local_ca::{LocalCa, Made};
use rustls_pki_types::UnixTime;
use serde_json::json;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output;

/// Days before its end at which a new one should be thought of.
const NOTICE_DAYS: u32 = 90;

pub(crate) fn local_ca(arguments: &args::LocalCa) -> Result<Exit, Failure> {
    let directory = pgferry_config::local_ca()
        .context("there is no place for the local CA: set HOME or XDG_DATA_HOME")
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let now = UnixTime::now();
    let failed = |error| Failure::new(Exit::Config, anyhow::Error::from(error));
    let (ca, made) = LocalCa::make(&directory, now).map_err(failed)?;
    // Finds out whether it can still be used.
    ca.issue(&[], now).map_err(failed)?;
    if ca.ends_within(NOTICE_DAYS, now).map_err(failed)? {
        output::warn(format_args!("the local CA ends on {}", ca.end()));
    }
    let file = ca.certificate_file();
    if arguments.json {
        output::json(&json!({
            "certificate": file, "made": made == Made::Now, "ends": ca.end(),
        }));
    } else {
        show(&file, made, &ca.end());
    }
    Ok(Exit::Ok)
}

fn show(file: &Path, made: Made, end: &str) {
    let made = if made == Made::Now { "made" } else { "there already" };
    output::line(format_args!("{}: {made}, good until {end}", file.display()));
    output::line("  for localhost, 127.0.0.0/8 and ::1 alone; its key never leaves the directory");
    output::line("");
    output::line("in a target of the configuration:");
    output::line("  local_tls = { kind = \"local-ca\" }");
    output::line("in clients:");
    output::line(format_args!("  {}", psql(file, "PORT")));
    output::line(format_args!(
        "  export PGHOST=localhost PGSSLMODE=verify-full PGSSLROOTCERT={}",
        file.display()
    ));
}

/// The command that connects to a listener and verifies it.
pub(crate) fn psql(certificate: &Path, port: &str) -> String {
    format!(
        "psql \"host=localhost port={port} sslmode=verify-full sslrootcert={}\"",
        certificate.display()
    )
}

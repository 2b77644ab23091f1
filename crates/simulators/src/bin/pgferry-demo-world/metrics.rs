//! The metrics page, read the way Prometheus reads it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{
    failure::Failure,
    ferry::Ferry,
    narration::{self, Narration},
};

/// Shows what the clients left behind.
pub(crate) fn show(ferry: &Ferry, narration: &Narration) -> Result<(), Failure> {
    narration.command(&format!("curl {}", ferry.metrics_url()));
    let page = fetch(ferry.admin_address(), "/metrics")
        .map_err(|error| Failure::Io("fetching the metrics", error))?;
    let told: Vec<_> = page.lines().filter(|line| worth_telling(line)).collect();
    if !told.iter().any(|line| line.starts_with("db_client_operation_duration_seconds_count")) {
        return Err(Failure::Unexpected(format!("no statements on the metrics page:\n{page}")));
    }
    narration::block(&told.join("\n"));
    let rest = page.lines().filter(|line| !line.starts_with('#')).count() - told.len();
    narration::plain(&format!("    ... and {rest} more lines"));
    Ok(())
}

fn worth_telling(line: &str) -> bool {
    TOLD.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0")
}

fn fetch(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, page)) if head.starts_with("HTTP/1.1 200") => Ok(page.to_owned()),
        _ => Err(std::io::Error::other(format!("unexpected answer: {answer}"))),
    }
}

const LIMIT: Duration = Duration::from_secs(10);

const TOLD: &[&str] = &[
    "db_client_operation_duration_seconds_count",
    "pgferry_client_connections_total",
    "pgferry_io_bytes_total",
    "pgferry_tunnel_up",
    "pgferry_plugin_info",
    "pgferry_plugin_ssm_sessions",
    "pgferry_plugin_ssm_session_starts_total",
    "pgferry_plugin_ssm_bytes_total",
];

//! What went wrong at the bastion, in words and with what to do about it: pure.

use pgferry_transport_sdk::Error;
use russh::ChannelOpenFailure;

use crate::bastion::Destination;
use crate::events::HandshakeError;

/// The bastion refused a channel to the database; `said` is its own description.
pub(crate) fn channel(
    code: &ChannelOpenFailure,
    said: &str,
    to: &Destination,
    bastion: &str,
) -> Error {
    let place = format!("{}:{}", to.host, to.port);
    // sshd repeats the reason as "open failed" where it has nothing to add.
    let said = said.trim();
    let detail =
        if said.is_empty() || said == "open failed" { String::new() } else { format!(" ({said})") };
    match code {
        ChannelOpenFailure::AdministrativelyProhibited => Error::denied(format!(
            "{bastion} does not allow forwarding to {place}{detail}"
        ))
        .with_hint(
            "check AllowTcpForwarding and PermitOpen in the bastion's sshd_config, and restrict, \
             no-port-forwarding and permitopen in authorized_keys",
        ),
        ChannelOpenFailure::ConnectFailed => connect_failed(said, to, bastion),
        ChannelOpenFailure::UnknownChannelType => {
            Error::unsupported(format!("{bastion} cannot forward TCP connections{detail}"))
                .with_hint("use a bastion with an SSH server that supports direct-tcpip channels")
        }
        ChannelOpenFailure::ResourceShortage => {
            Error::throttled(format!("{bastion} has no room for another channel{detail}"))
        }
        ChannelOpenFailure::Other { code, .. } => Error::unreachable(format!(
            "{bastion} refused a channel to {place}: reason {code}{detail}"
        )),
    }
}

/// The bastion tried, and could not connect: sshd says why in the words of its C library.
fn connect_failed(said: &str, to: &Destination, bastion: &str) -> Error {
    let (host, port) = (&to.host, to.port);
    let lower = said.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(UNKNOWN_NAME) {
        return Error::unreachable(format!("{bastion} does not know host {host}: {said}"))
            .with_hint("check the endpoint's name, and that the bastion's VPC resolves it");
    }
    if says(&["refused"]) {
        return Error::unreachable(format!("{bastion}: {host}:{port} refused: {said}"))
            .with_hint("check the port, and that the database is running");
    }
    if says(&["timed out"]) {
        return Error::timeout(format!("{bastion}: {host}:{port} does not answer: {said}"))
            .with_hint(CLOSED_DOOR);
    }
    if says(&["unreachable", "no route"]) {
        return Error::unreachable(format!("{bastion} has no way to {host}:{port}: {said}"))
            .with_hint("check that the bastion is in the database's VPC, or peered with it");
    }
    let said = if said.is_empty() { "it does not say why" } else { said };
    Error::unreachable(format!("{bastion} could not connect to {host}:{port}: {said}"))
        .with_hint(CLOSED_DOOR)
}

/// The bastion is alive, but has not answered for the database within the client's deadline.
pub(crate) fn no_answer(to: &Destination, bastion: &str) -> Error {
    let (host, port) = (&to.host, to.port);
    Error::timeout(format!("{bastion} is connected, but got no answer from {host}:{port} in time"))
        .with_hint(CLOSED_DOOR)
}

/// Nobody answers where the bastion should be. A transport beneath has its own words for it.
pub(crate) fn not_there(error: Error) -> Error {
    if error.hint().is_some() {
        return error;
    }
    error.with_hint(
        "check host and port of this transport, that the bastion runs, and that its security group \
         or a VPN lets this machine in",
    )
}

/// The bastion itself has not answered.
pub(crate) fn silent(bastion: &str) -> Error {
    Error::timeout(format!("{bastion} does not answer on its open connection"))
        .with_hint("the next attempt makes a new connection; check the bastion's load and network")
}

/// The connection was lost for `reason`.
pub(crate) fn lost(reason: &str, bastion: &str) -> Error {
    Error::unreachable(format!("connection to {bastion} lost: {reason}"))
}

/// The key exchange did not come to its end.
pub(crate) fn handshake(error: HandshakeError, bastion: &str) -> Error {
    let error = match error {
        HandshakeError::HostKey(refusal) => return refusal,
        HandshakeError::Protocol(error) => error,
    };
    match &error {
        russh::Error::Version => {
            Error::protocol(format!("what listens at {bastion} is not an SSH server"))
                .with_hint("check host and port of this transport")
        }
        russh::Error::NoCommonAlgo { theirs, .. }
            if !theirs.is_empty() && theirs.iter().all(|name| name.contains("-cert-v01@")) =>
        {
            Error::denied(format!("bastion {bastion} shows host certificates only"))
                .with_hint("make its authority known: @cert-authority <host> <the authority's key>")
        }
        russh::Error::NoCommonAlgo { kind, theirs, .. } => Error::unsupported(format!(
            "{bastion} offers no usable {} algorithm, only {}",
            format!("{kind:?}").to_lowercase(),
            theirs.join(", ")
        ))
        .with_hint("update the bastion's SSH server"),
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_) => {
            Error::unreachable(format!("{bastion} hung up during the key exchange: {error}"))
                .with_hint(
                    "check that an SSH server listens there; sshd hangs up on too many logins at \
                     once (MaxStartups), or on addresses it has banned",
                )
        }
        _ => Error::protocol(format!("key exchange with {bastion} failed: {error}")),
    }
}

/// How the resolvers of glibc, musl, the BSDs and macOS say that a name does not exist.
const UNKNOWN_NAME: &[&str] = &[
    "name or service not known",
    "name does not resolve",
    "no address associated",
    "nodename nor servname",
    "temporary failure in name resolution",
    "unknown host",
];

const CLOSED_DOOR: &str = "check that the database's security group lets the bastion in on that \
                           port, and that the database is running";

#[cfg(test)]
mod tests {
    use pgferry_transport_sdk::Status;

    use super::*;

    fn refused(code: &ChannelOpenFailure, said: &str) -> Error {
        let to = Destination::new("db.internal", 5432, std::time::Duration::from_secs(5));
        channel(code, said, &to, "bastion b:22")
    }

    #[test]
    fn a_failed_connection_is_told_apart_by_what_sshd_says() {
        let cases = [
            ("Connection refused", Status::UNREACHABLE, "refused"),
            ("Connection timed out", Status::TIMEOUT, "does not answer"),
            ("Name or service not known", Status::UNREACHABLE, "does not know host db.internal"),
            ("No route to host", Status::UNREACHABLE, "has no way to"),
            ("", Status::UNREACHABLE, "does not say why"),
        ];
        for (said, status, words) in cases {
            let error = refused(&ChannelOpenFailure::ConnectFailed, said);
            assert_eq!(error.status(), status, "{said}");
            assert!(error.message().contains(words), "{}", error.message());
            assert!(error.message().contains(said) && error.hint().is_some());
        }
    }

    #[test]
    fn a_prohibited_channel_is_denied_and_names_the_settings() {
        let error = refused(&ChannelOpenFailure::AdministrativelyProhibited, "open failed");
        assert_eq!(error.status(), Status::DENIED);
        let expected = "bastion b:22 does not allow forwarding to db.internal:5432";
        assert_eq!(error.message(), expected);
        assert!(error.hint().unwrap().contains("PermitOpen"));
    }

    #[test]
    fn every_other_reason_has_a_status_of_its_own() {
        let status = |code| refused(&code, "").status();
        assert_eq!(status(ChannelOpenFailure::UnknownChannelType), Status::UNSUPPORTED);
        assert_eq!(status(ChannelOpenFailure::ResourceShortage), Status::THROTTLED);
        let other = ChannelOpenFailure::Other { code: 77, reason: String::new() };
        assert_eq!(status(other), Status::UNREACHABLE);
    }
}

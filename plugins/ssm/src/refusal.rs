//! What went wrong on the way, in words and with what to do about it: pure.
//!
//! What is mended elsewhere (an agent that is too old, a document) is denied: the statuses that
//! name a wrong configuration would disable the transport until it is made anew.

use std::time::Duration;

use pgferry_ssm_protocol::{ChannelClosed, HandshakeError};
use pgferry_transport_sdk::{Error, Status};
use tokio_tungstenite::tungstenite;

use crate::destination::Destination;

/// An error that says which database it is about. What is wrong with the transport itself is so for all of them.
pub(crate) fn naming(error: Error, to: &Destination) -> Error {
    let own = matches!(error.status(), Status::CONFIG | Status::UNSUPPORTED);
    if own || error.message().contains(&to.to_string()) { error } else { error.about(to) }
}

/// No socket to the service. A transport beneath has its own words for it.
pub(crate) fn not_there(error: Error) -> Error {
    if error.hint().is_some() {
        return error;
    }
    error.with_hint(
        "check the network, a VPN, whether HTTPS_PROXY is needed, and in a private network the \
         interface endpoints of ssm and ssmmessages",
    )
}

/// No TLS with the service.
pub(crate) fn tls(error: &std::io::Error, host: &str) -> Error {
    Error::unreachable(format!("TLS with {host}: {error}")).with_hint(
        "a network that inspects TLS shows its own certificate: trust its authority with \
         ca_bundle, or have AWS's hosts exempted",
    )
}

/// The service does not take the data channel.
pub(crate) fn upgrade(error: &tungstenite::Error, host: &str) -> Error {
    let tungstenite::Error::Http(response) = error else {
        return Error::unreachable(format!("the data channel at {host}: {error}"));
    };
    match response.status().as_u16() {
        401 | 403 => Error::denied(format!("{host} refused the data channel")).with_hint(
            "allow ssmmessages:OpenDataChannel to this identity in IAM, and check this computer's clock",
        ),
        429 => Error::throttled(format!("{host} asks for fewer connections")),
        status => Error::unreachable(format!("{host} refused the data channel (HTTP {status})")),
    }
}

/// The agent has not begun, or not finished, the handshake.
pub(crate) fn silent_agent(node: &str) -> Error {
    Error::timeout(format!("the SSM agent of {node} did not answer in time")).with_hint(
        "check that the node is not overloaded and that its agent can reach ssmmessages; \
         restarting the agent helps if it hangs",
    )
}

/// The time was up before there was a session.
pub(crate) fn not_started(node: &str) -> Error {
    Error::timeout(format!("no session with {node} could be started in time")).with_hint(
        "check that the managed node is online in Systems Manager; AWS may also be slow just now, or \
         limits.tunnel_open too short",
    )
}

/// The agent and this program don't come together.
pub(crate) fn handshake(error: &HandshakeError, node: &str) -> Error {
    let text = format!("{node}: {error}");
    match error {
        HandshakeError::AgentTooOld(_) | HandshakeError::AgentVersion(_) => Error::denied(text)
            .with_hint("update the SSM agent: Systems Manager, Run Command, AWS-UpdateSSMAgent"),
        HandshakeError::Encryption | HandshakeError::SessionType(_) => Error::denied(text)
            .with_hint(
                "set document to AWS-StartPortForwardingSessionToRemoteHost, or one like it",
            ),
        HandshakeError::UnknownAction(_) => Error::denied(text),
        _ => Error::protocol(text),
    }
}

/// The service has ended the session. Once a connection runs there is no room for a hint: the text holds
/// what to do.
pub(crate) fn closed(closed: &ChannelClosed, to: &Destination) -> Error {
    let said = one_line(&closed.output);
    let lower = said.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let host = &to.host;
    if says(&["no such host", "missing address", "lookup "]) {
        return Error::unreachable(format!(
            "the managed node could not connect to {to}: it does not know host {host} ({said}); check the \
             endpoint's name, and that the node's VPC resolves it"
        ));
    }
    if says(&["forbidden"]) {
        return Error::denied(format!(
            "the SSM agent does not forward to {to}: {said}; addresses of the VPC itself \
             and of its metadata service are not for forwarding"
        ));
    }
    if says(&["is not supported"]) {
        return Error::denied(format!(
            "the SSM agent cannot forward to {to}: {said}; update it (AWS-UpdateSSMAgent)"
        ));
    }
    if says(&["unable to connect", "refused"]) {
        return not_connected(to);
    }
    if says(&["timed out", "timeout", "inactiv", "idle"]) {
        return Error::internal(format!(
            "the session to {to} has ended: {said}; Session Manager ends idle sessions after 20 minutes, \
             or as your organisation says: keep_alive on this transport prevents it"
        ));
    }
    let said = if said.is_empty() { "the service gave no reason" } else { said.as_str() };
    Error::internal(format!("Session Manager has ended the session to {to}: {said}"))
}

/// The one connection of a session has ended on the node's side.
pub(crate) fn connection_closed() -> Error {
    Error::internal("the connection was closed on the managed node's side")
}

/// The agent could not connect to the database.
pub(crate) fn not_connected(to: &Destination) -> Error {
    let check = if to.is_the_node() {
        "check the port, and that something listens there on the node itself"
    } else {
        "check the port, that the database runs, and that its security group lets the node in"
    };
    Error::unreachable(format!("the managed node could not connect to {to}: {check}"))
}

/// The agent is alive, and nothing has come back from the database.
pub(crate) fn no_answer(to: &Destination) -> Error {
    let check = if to.is_the_node() {
        "check what listens there on the node itself"
    } else {
        "check that the database's security group lets the node in on that port"
    };
    Error::timeout(format!("the managed node got no answer from {to}: {check}"))
}

/// The agent is alive, but the session's connection to the service is broken just now.
pub(crate) fn resuming(reason: &str) -> Error {
    Error::timeout(format!("the session is being resumed: {reason}"))
}

/// The session could not be resumed in time.
pub(crate) fn lost(reason: &str) -> Error {
    Error::internal(format!("the session was lost and could not be resumed: {reason}"))
}

/// The agent is gone, and the service does not know it.
pub(crate) fn dead_agent(node: &str, silence: Duration) -> Error {
    Error::internal(format!(
        "the SSM agent of {node} is not heard any more: no receipt for {silence:.0?}, although Session \
         Manager answers; connect again for a new session, and check that the node runs and its agent \
         is well"
    ))
}

/// The session is over for the service.
pub(crate) fn gone() -> Error {
    Error::internal(
        "the session is over: Session Manager ends idle sessions after 20 minutes, or as your \
         organisation says; connect again for a new one, or set keep_alive on this transport",
    )
}

/// For waits that end with the transport.
pub(crate) fn shutting_down() -> Error {
    Error::internal("the transport is shutting down")
}

/// Remote text in a message of ours: one line, and not long.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    let line: String = words.join(" ").chars().take(MAX_TEXT).collect();
    line.trim_end_matches('.').to_owned()
}

const MAX_TEXT: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Destination {
        Destination { host: "db.internal".to_owned(), port: 5432 }
    }

    fn said(output: &str) -> Error {
        let closing = ChannelClosed { session_id: String::new(), output: output.to_owned() };
        closed(&closing, &database())
    }

    #[test]
    fn the_end_of_a_session_is_told_apart_by_what_the_service_says() {
        let cases = [
            (
                "lookup db.internal: no such host",
                Status::UNREACHABLE,
                "does not know host db.internal",
            ),
            (
                "Forwarding to IP address 169.254.169.254 is forbidden.",
                Status::DENIED,
                "forward to",
            ),
            ("Plugin with name Port is not supported by this version", Status::DENIED, "update"),
            ("Unable to connect to specified port: refused", Status::UNREACHABLE, "security group"),
            ("Session timed out due to inactivity", Status::INTERNAL, "keep_alive"),
            ("Terminated by jo", Status::INTERNAL, "Terminated by jo"),
            ("", Status::INTERNAL, "gave no reason"),
        ];
        for (output, status, words) in cases {
            let error = said(output);
            assert_eq!(error.status(), status, "{output}");
            assert!(error.message().contains(words), "{}", error.message());
            assert!(error.message().contains("db.internal:5432"), "{}", error.message());
        }
    }

    #[test]
    fn an_error_names_the_database_once_unless_it_is_about_the_transport_itself() {
        let error = naming(silent_agent("i-0"), &database());
        assert!(error.message().starts_with("db.internal:5432: the SSM agent of i-0"), "{error}");
        assert_eq!(error.status(), Status::TIMEOUT);
        assert!(error.hint().is_some());
        let message = not_connected(&database()).message().to_owned();
        assert_eq!(naming(not_connected(&database()), &database()).message(), message);
        assert_eq!(
            naming(Error::config("no such document"), &database()).message(),
            "no such document"
        );
    }

    #[test]
    fn the_services_words_stay_on_one_line_and_end() {
        let error = said(&format!("a\nb\u{1b}[31m {}", "word ".repeat(1000)));
        assert!(error.message().contains("a b [31m word"), "{}", error.message());
        assert!(error.message().len() < 500);
    }
}

//! What to do about an error: the HINT of each.

mod rejected;

use pgferry_credentials::CredentialError;
use pgferry_transport::Status;

use super::{ConnectionError, Subject};
use crate::backend::login::LoginError;
use crate::backend::tls::TlsError;
use crate::frontend::auth::Refused;

impl ConnectionError {
    /// The fix, where there is one to name.
    pub(super) fn hint(&self, about: &Subject) -> Option<String> {
        let target = about.target.as_str();
        match self {
            Self::ClientGone
            | Self::Opening(_)
            | Self::ClientMessage(_)
            | Self::LocalTls(_)
            | Self::NoCredential
            | Self::CancelTimeout(_) => None,
            Self::PathLost(_) => Some(
                "Connect again: pgferry opens a new path. If that one breaks too, look into the log \
                 of the hop that is named."
                    .to_owned(),
            ),
            Self::LocalLoginTimeout(_) => {
                Some(limit("local_login", "The client connected but did not finish its login."))
            }
            Self::Refused(error) => Some(refused_hint(error, target)),
            Self::TooManyConnections(_) => Some(
                "Close some clients, or raise connections in [limits] and check the database's \
                 own max_connections."
                    .to_owned(),
            ),
            Self::Draining => Some("Connect again when pgferry has been restarted.".to_owned()),
            Self::Credentials(error) => Some(credential_hint(error, target)),
            Self::Certificate(_) => Some(format!(
                "Check cert_file and key_file of [targets.{target}] credential; they are read anew \
                 for each session."
            )),
            Self::TokenUnsafe => {
                Some(format!("Set [targets.{target}] database.tls = \"verify-full\"."))
            }
            Self::CredentialsTimeout(_) => {
                Some(limit("credentials", "Fetching the credential took too long."))
            }
            Self::Trust(_) => Some(format!(
                "Name the file with the right authority in [targets.{target}] database.ca_file."
            )),
            Self::StartupTimeout { .. } => Some(limit(
                "startup",
                "The database may be starting, resuming from a pause or overloaded.",
            )),
            Self::Transport(error) => {
                error.hint.clone().or_else(|| transport_hint(error.status, target))
            }
            Self::Tls(error) => Some(tls_hint(error, target)),
            Self::TlsTimeout(_) => Some(limit(
                "tls",
                "Something accepts connections at the database's address but does not answer: \
                 check host and port.",
            )),
            Self::Login(error) => login_hint(error, about),
            Self::LoginTimeout(_) => Some(limit(
                "server_login",
                "The database accepted the connection but is not ready: it may be starting, \
                 resuming or overloaded.",
            )),
        }
    }
}

fn limit(key: &str, what: &str) -> String {
    format!("{what} The limit is {key} in [limits].")
}

/// The error's own words, as a sentence, and where to look.
fn credential_hint(error: &CredentialError, target: &str) -> String {
    let place = format!("See [targets.{target}] credential in the configuration.");
    let Some(fix) = error.hint() else { return place };
    let mut letters = fix.chars();
    match letters.next() {
        Some(first) => format!("{}{}. {place}", first.to_uppercase(), letters.as_str()),
        None => place,
    }
}

/// For transports that give no hint of their own.
fn transport_hint(status: Status, target: &str) -> Option<String> {
    let hint = match status {
        Status::Ok | Status::Cancelled => return None,
        Status::Unreachable => format!(
            "Check that the database runs and lets this path in, and that database and transport \
             of [targets.{target}] lead to it."
        ),
        Status::Timeout => format!(
            "A firewall may swallow the packets: check database and transport of \
             [targets.{target}]. The limits are tunnel_open and tcp in [limits]."
        ),
        Status::Config | Status::Auth | Status::Denied => {
            format!("Check the transport of [targets.{target}] in the configuration.")
        }
        Status::Throttled => "Open fewer sessions at once, or try again in a moment.".to_owned(),
        Status::Protocol | Status::Unsupported | Status::Internal | Status::Panic => {
            "The fault is in the transport plugin or its peer: pgferry's log has more.".to_owned()
        }
    };
    Some(hint)
}

fn refused_hint(error: &Refused, target: &str) -> String {
    match error {
        Refused::OtherUser(_) => format!(
            "Only processes of the user who runs pgferry, and root, may connect. For others, set \
             [targets.{target}] local_auth = {{ kind = \"scram\", password_file = \"…\" }}."
        ),
        Refused::UnknownOwner(_) => format!(
            "A client in a container or another network namespace has no owner here: set \
             [targets.{target}] local_auth = {{ kind = \"scram\", password_file = \"…\" }}."
        ),
        Refused::WrongUser(_) | Refused::WrongPassword(_) => format!(
            "This is pgferry's local password (local_auth of [targets.{target}]), not the \
             database's."
        ),
        Refused::NoEncryption => "Connect with sslmode=require or stricter.".to_owned(),
        Refused::Scram(_) => {
            "The client's SCRAM-SHA-256 is at fault; try another driver version.".to_owned()
        }
    }
}

fn tls_hint(error: &TlsError, target: &str) -> String {
    match error {
        TlsError::Refused => format!(
            "Turn ssl on at the server, or, if the path is safe without, set [targets.{target}] \
             database.tls = \"disable\"."
        ),
        TlsError::NotReady => {
            "The server may be short of memory or processes: look into its log.".to_owned()
        }
        TlsError::NotPostgres(_) => "Check database.host and database.port.".to_owned(),
        TlsError::WrongName { .. } => format!(
            "Set [targets.{target}] database.host to the endpoint's own name, and reach another \
             address with database.address."
        ),
        TlsError::UnknownIssuer => format!(
            "`pgferry config check` shows whose roots are believed. If another authority is right, \
             set [targets.{target}] database.ca_file to its certificate."
        ),
        TlsError::Expired => {
            "Renew the server's certificate, and check this machine's clock.".to_owned()
        }
        TlsError::Closed | TlsError::Io(_) => {
            "Something between accepts connections and closes them: check that the database runs \
             and allows this path."
                .to_owned()
        }
        TlsError::OurCertificate(_) => certificate_hint(target),
        TlsError::NoAlpn | TlsError::Handshake(_) => {
            "pgferry speaks TLS 1.2 and 1.3; look into the database's log for its side of it."
                .to_owned()
        }
    }
}

fn certificate_hint(target: &str) -> String {
    format!(
        "Check cert_file of [targets.{target}] credential: it may have expired, or be signed by an \
         authority that is not in the server's ssl_ca_file."
    )
}

fn login_hint(error: &LoginError, about: &Subject) -> Option<String> {
    let target = about.target.as_str();
    let hint = match error {
        LoginError::Rejected { fields, .. } => return rejected::hint(fields, about),
        LoginError::CleartextRefused => format!(
            "Set [targets.{target}] database.tls = \"verify-full\", or let the server use \
             SCRAM-SHA-256."
        ),
        LoginError::AsksForPassword { proof: "a token", .. } => {
            "The role lacks rds_iam (GRANT rds_iam TO the user), or IAM authentication is off for this \
             database (--enable-iam-database-authentication)."
                .to_owned()
        }
        LoginError::AsksForPassword { .. } => {
            "Let the server use cert for this user in pg_hba.conf.".to_owned()
        }
        LoginError::OurCertificate(_) => certificate_hint(target),
        LoginError::FrontendExposed => format!(
            "Set [targets.{target}] local_tls and connect with sslmode=require, or let the server \
             use SCRAM-SHA-256."
        ),
        LoginError::Unsupported(_) => {
            "Let the server use scram-sha-256 for this user in pg_hba.conf.".to_owned()
        }
        LoginError::Scram(_) | LoginError::ScramIterations | LoginError::ScramUnfinished => {
            "If this is not the server you expect, somebody may stand between.".to_owned()
        }
        LoginError::ZeroByte => format!("Check user and password of [targets.{target}]."),
        LoginError::Closed | LoginError::Io(_) => {
            "Look into the database's log for the reason.".to_owned()
        }
        LoginError::Denied { .. } | LoginError::Protocol(_) | LoginError::TooMuch => return None,
    };
    Some(hint)
}

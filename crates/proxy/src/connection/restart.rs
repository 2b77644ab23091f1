//! Whether it is worth trying again at a database that starts, stops or changes its place. Pure.

use std::time::Duration;

use pgferry_pg::SqlState;
use pgferry_transport::Status;

use crate::backend::login::LoginError;
use crate::backend::tls::TlsError;
use crate::error::ConnectionError;

/// What the tries of one opening have shown.
#[derive(Debug)]
pub(super) struct Restart {
    under_way: bool,
    tries: u32,
    refusals: u32,
}

/// The first pause; each further one is twice as long.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(2);

/// How often a login that is refused in the middle of a restart is tried again before it is taken at
/// its word: about six seconds.
const REFUSALS_MAX: u32 = 5;

impl Restart {
    /// `under_way` if the target has lost a session to a restart lately.
    pub(super) fn new(under_way: bool) -> Self {
        Self { under_way, tries: 0, refusals: 0 }
    }

    /// How long to wait before the same is tried again; `None` where that would not help.
    ///
    /// A database that starts or stops says so (57P03), and is worth waiting for. Once it has, a
    /// closed port and a connection that breaks are the same news, and so is a refused login, which
    /// Multi-AZ clusters of RDS are known for while they restart. Without such a sign they are told at
    /// once.
    pub(super) fn pause_after(&mut self, error: &ConnectionError) -> Option<Duration> {
        let again = match sign(error) {
            Sign::NotReady => {
                self.under_way = true;
                true
            }
            Sign::Lost => self.under_way && self.tries > 0,
            Sign::Refused => {
                self.refusals += 1;
                self.under_way && self.refusals <= REFUSALS_MAX
            }
            Sign::None => false,
        };
        if !again {
            return None;
        }
        let pause = SHORTEST.saturating_mul(1 << self.tries.min(8)).min(LONGEST);
        self.tries += 1;
        Some(pause)
    }
}

/// Whether nobody answered, or not to the end: the endpoint may lead elsewhere now.
pub(super) fn is_lost(error: &ConnectionError) -> bool {
    matches!(sign(error), Sign::Lost)
        || matches!(error, ConnectionError::Transport(error) if error.status == Status::Timeout)
}

enum Sign {
    NotReady,
    Lost,
    Refused,
    None,
}

fn sign(error: &ConnectionError) -> Sign {
    match error {
        ConnectionError::Login(LoginError::Rejected { fields, .. }) => match fields.sql_state() {
            Some(SqlState::CANNOT_CONNECT_NOW) => Sign::NotReady,
            Some(SqlState::INVALID_AUTHORIZATION) => Sign::Refused,
            _ => Sign::None,
        },
        ConnectionError::Login(LoginError::Closed | LoginError::Io(_))
        | ConnectionError::Tls(TlsError::Closed | TlsError::Io(_) | TlsError::NotReady)
        | ConnectionError::PathLost(_) => Sign::Lost,
        ConnectionError::Transport(error) if error.status == Status::Unreachable => Sign::Lost,
        _ => Sign::None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use pgferry_pg::ErrorReport;
    use pgferry_pg::message::Raw;
    use pgferry_pg::message::backend::BackendMessage;

    use super::*;

    fn rejected(state: SqlState) -> ConnectionError {
        let raw = ErrorReport::fatal(state, "no").encode();
        let message = Raw::take(&mut BytesMut::from(&raw[..]), 1024).unwrap().unwrap();
        let BackendMessage::Error(fields) = BackendMessage::decode(&message).unwrap() else {
            unreachable!("it is an error");
        };
        ConnectionError::Login(LoginError::Rejected { fields, raw })
    }

    fn lost() -> ConnectionError {
        ConnectionError::Login(LoginError::Closed)
    }

    #[test]
    fn a_database_that_starts_is_asked_again_ever_more_slowly() {
        let mut restart = Restart::new(false);
        let error = rejected(SqlState::CANNOT_CONNECT_NOW);
        let pauses: Vec<_> = (0..6).filter_map(|_| restart.pause_after(&error)).collect();
        let millis: Vec<_> = pauses.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [250, 500, 1000, 2000, 2000, 2000]);
    }

    #[test]
    fn without_a_sign_of_a_restart_everything_is_told_at_once() {
        for error in [lost(), rejected(SqlState::INVALID_AUTHORIZATION)] {
            assert_eq!(Restart::new(false).pause_after(&error), None, "{error}");
        }
        let mut restart = Restart::new(true);
        for state in [SqlState::INVALID_PASSWORD, SqlState::INVALID_CATALOG_NAME] {
            assert_eq!(restart.pause_after(&rejected(state)), None);
        }
        assert_eq!(restart.pause_after(&lost()), None, "a lost session alone is no reason");
    }

    #[test]
    fn in_the_middle_of_a_restart_a_broken_connection_is_part_of_it() {
        let mut restart = Restart::new(false);
        assert!(restart.pause_after(&rejected(SqlState::CANNOT_CONNECT_NOW)).is_some());
        assert!(restart.pause_after(&lost()).is_some());
    }

    #[test]
    fn a_refusal_in_the_middle_of_a_restart_is_believed_after_a_few_tries() {
        for under_way in [true, false] {
            let mut restart = Restart::new(under_way);
            if !under_way {
                assert!(restart.pause_after(&rejected(SqlState::CANNOT_CONNECT_NOW)).is_some());
            }
            let refused = rejected(SqlState::INVALID_AUTHORIZATION);
            for _ in 0..REFUSALS_MAX {
                assert!(restart.pause_after(&refused).is_some());
            }
            assert_eq!(restart.pause_after(&refused), None);
        }
    }
}

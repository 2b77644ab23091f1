//! Which of libpq's variables a client may inherit.
//!
//! Source: PostgreSQL 18 documentation, "Environment Variables" of libpq. What is set for a client
//! anyway (`PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`, `PGPASSWORD`, `PGSSLMODE`) is not in the lists.

use pgferry_config::{Credential, Target};

/// Variables that would lead a client past the listener, or make it refuse the listener.
const REMOVED: &[&str] = &[
    // Another place: it would win over PGHOST, or a service file's values over all variables.
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSERVICEFILE",
    // Another password. Not asked where PGPASSWORD is set, but a child may unset that.
    "PGPASSFILE",
    // Demands on how the server asks for a password, and on channel binding, which needs TLS.
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
    // A demand on the server's operating system user: the wish was made for another server.
    "PGREQUIREPEER",
    // Everything about TLS: the listener has none. Some of them are errors beside sslmode=disable,
    // others are checked though they are of no use.
    "PGREQUIRESSL",
    "PGSSLNEGOTIATION",
    "PGSSLCOMPRESSION",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLKEY",
    "PGSSLROOTCERT",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLSNI",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    // Everything about Kerberos: the listener has none of it either.
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGGSSDELEGATION",
    "PGKRBSRVNAME",
    // A choice between several servers, and a demand on their role: there is one, chosen by name.
    "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS",
    // A demand on the protocol that the server behind may not know.
    "PGMINPROTOCOLVERSION",
];

/// Those of them that are about the client's own login. They stay where it is the database that the client
/// logs in at.
const OF_LOGIN: &[&str] = &["PGPASSFILE", "PGREQUIREAUTH"];

/// Where the login of a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// At the listener: what was meant for another server is of no use.
    Here,
    /// At the database, with the client's own user and password.
    AtDatabase,
}

impl Login {
    pub(crate) fn of(target: &Target) -> Self {
        match target.credential {
            Credential::Passthrough => Self::AtDatabase,
            _ => Self::Here,
        }
    }

    /// The variables that a client must not inherit.
    pub(crate) fn removed(self) -> Vec<&'static str> {
        let stays = |name: &&str| self == Self::AtDatabase && OF_LOGIN.contains(name);
        REMOVED.iter().copied().filter(|name| !stays(name)).collect()
    }
}

/// Variables that say what a session is like, or where libpq finds its own files.
#[cfg(test)]
const KEPT: &[&str] = &[
    "PGOPTIONS",
    "PGAPPNAME",
    "PGCONNECT_TIMEOUT",
    "PGCLIENTENCODING",
    "PGDATESTYLE",
    "PGTZ",
    "PGGEQO",
    "PGMAXPROTOCOLVERSION",
    "PGSYSCONFDIR",
    "PGLOCALEDIR",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every variable of the chapter.
    const CHAPTER: &str = "PGHOST PGSSLNEGOTIATION PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD \
        PGPASSFILE PGREQUIREAUTH PGCHANNELBINDING PGSERVICE PGSERVICEFILE PGOPTIONS PGAPPNAME \
        PGSSLMODE PGREQUIRESSL PGSSLCOMPRESSION PGSSLCERT PGSSLCERTMODE PGSSLKEY PGSSLROOTCERT \
        PGSSLCRL PGSSLCRLDIR PGSSLSNI PGREQUIREPEER PGSSLMINPROTOCOLVERSION \
        PGSSLMAXPROTOCOLVERSION PGGSSENCMODE PGKRBSRVNAME PGGSSLIB PGGSSDELEGATION \
        PGCONNECT_TIMEOUT PGCLIENTENCODING PGTARGETSESSIONATTRS PGLOADBALANCEHOSTS \
        PGMINPROTOCOLVERSION PGMAXPROTOCOLVERSION PGDATESTYLE PGTZ PGGEQO PGSYSCONFDIR PGLOCALEDIR";
    const SET: &[&str] = &["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSSLMODE"];

    #[test]
    fn every_variable_of_libpq_is_set_removed_or_kept() {
        for name in CHAPTER.split_ascii_whitespace() {
            let decided = [SET, REMOVED, KEPT].iter().filter(|list| list.contains(&name)).count();
            assert_eq!(decided, 1, "{name}");
        }
        let all = SET.len() + REMOVED.len() + KEPT.len();
        assert_eq!(all, CHAPTER.split_ascii_whitespace().count());
    }
    #[test]
    fn what_is_about_the_login_stays_for_a_login_at_the_database() {
        let (here, there) = (Login::Here.removed(), Login::AtDatabase.removed());
        assert_eq!(here, REMOVED);
        let left: Vec<_> = here.into_iter().filter(|name| !there.contains(name)).collect();
        assert_eq!(left, OF_LOGIN);
    }
}

//! The roles every throwaway server has.

/// A role, named after the way it logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `postgres`: superuser, SCRAM.
    Superuser,
    /// `app_scram`: SCRAM-SHA-256; owns the database `app`.
    Scram,
    /// `app_md5`: MD5, with an MD5 verifier stored.
    Md5,
    /// `app_clear`: a cleartext password, accepted within TLS only. On the wire this is the request
    /// RDS makes for an IAM token.
    Cleartext,
    /// `app_trust`: no password is asked for.
    Trust,
    /// `app_reject`: always refused.
    Reject,
    /// `app_hostssl_only`: SCRAM, refused without TLS.
    HostsslOnly,
    /// `app_repl`: SCRAM, may start replication.
    Replication,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 8] = [
        Self::Superuser,
        Self::Scram,
        Self::Md5,
        Self::Cleartext,
        Self::Trust,
        Self::Reject,
        Self::HostsslOnly,
        Self::Replication,
    ];

    /// The role's name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Superuser => "postgres",
            Self::Scram => "app_scram",
            Self::Md5 => "app_md5",
            Self::Cleartext => "app_clear",
            Self::Trust => "app_trust",
            Self::Reject => "app_reject",
            Self::HostsslOnly => "app_hostssl_only",
            Self::Replication => "app_repl",
        }
    }
}

//! What to do about the database's own refusals, by the credential that was used.
//!
//! Sources: "Troubleshooting for IAM database authentication" and "Connecting to your DB instance using
//! IAM authentication" of the RDS user guide; "Authentication and authorization" and "Cluster quotas
//! and database limits" of the Aurora DSQL user guide; PostgreSQL's `errcodes` and
//! `src/backend/libpq/auth.c`.

use pgferry_pg::SqlState;
use pgferry_pg::message::ErrorFields;

use super::super::subject::{Kind, Subject};

/// The fix, as far as one can be named.
pub(in super::super) fn hint(fields: &ErrorFields, about: &Subject) -> Option<String> {
    let state = fields.sql_state()?;
    match state {
        SqlState::INVALID_CATALOG_NAME => no_database(about),
        SqlState::TOO_MANY_CONNECTIONS | SqlState::CONFIGURATION_LIMIT_EXCEEDED => {
            Some(too_many(about))
        }
        _ if state.class() == "28" => Some(refused(&fields.message(), about)),
        _ if about.credential == Kind::Dsql && is_access_denied(&fields.message()) => {
            Some(dsql(about))
        }
        _ => None,
    }
}

fn is_access_denied(message: &str) -> bool {
    message.to_ascii_lowercase().contains("access denied")
}

fn refused(message: &str, about: &Subject) -> String {
    let target = &about.target;
    if ["no pg_hba.conf entry", "pg_hba.conf rejects"].iter().any(|words| message.contains(words)) {
        let plain = message.contains("no encryption") || message.contains("SSL off");
        return if plain {
            format!(
                "The database takes no connection without TLS: set [targets.{target}] database.tls = \
                 \"verify-full\"."
            )
        } else {
            format!(
                "The database lets nobody in from there as this user to this database: check its \
                 pg_hba.conf, and user and database of [targets.{target}]."
            )
        };
    }
    let pam = message.contains("PAM authentication failed");
    match about.credential {
        Kind::Iam => iam(about),
        Kind::Dsql => dsql(about),
        Kind::SecretsManager | Kind::Password | Kind::Passthrough if pam => format!(
            "The role has rds_iam, if only by another role that it is a member of, and takes no \
             password: set [targets.{target}] credential = {{ kind = \"iam\", user = \"…\" }}, or \
             REVOKE rds_iam."
        ),
        Kind::SecretsManager => format!(
            "Neither the current nor the pending password of the secret is right. Check that the secret \
             is this database's (secret in [targets.{target}] credential), and its last rotation: \
             aws secretsmanager describe-secret --secret-id SECRET."
        ),
        Kind::ClientCert => format!(
            "The certificate has to name the user as its common name, or by a map of pg_ident.conf: \
             check user and cert_file of [targets.{target}] credential."
        ),
        Kind::Password | Kind::Passthrough => format!(
            "The database refused pgferry's own credential: check [targets.{target}] credential."
        ),
    }
}

/// RDS says the same whatever is wrong with a token.
fn iam(about: &Subject) -> String {
    let target = &about.target;
    format!(
        "RDS gives no reason. Check, in this order: 1. this machine's clock (a token counts for 15 \
         minutes). 2. [targets.{target}] database.host and port: the token is signed for them, so they \
         are the endpoint's own, not an alias or a tunnel's end (those go to database.address); and \
         aws.region is the database's. 3. The AWS credentials: aws sts get-caller-identity, with \
         aws.profile. 4. credential.user, in the case it was made in: GRANT rds_iam TO \"user\". 5. IAM \
         authentication is on: aws rds describe-db-clusters or describe-db-instances, \
         IAMDatabaseAuthenticationEnabled. 6. The policy allows rds-db:connect on \
         arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE/user, where RESOURCE is the resource id \
         (cluster-…, db-…, prx-…), not the name, and no service control policy denies it. 7. Fewer \
         than 200 new connections a second."
    )
}

fn dsql(about: &Subject) -> String {
    let target = &about.target;
    format!(
        "Check, in this order: 1. this machine's clock. 2. The AWS credentials: aws sts \
         get-caller-identity, with aws.profile of [targets.{target}]. 3. The policy on the cluster's \
         ARN: dsql:DbConnectAdmin for credential.user = \"admin\", dsql:DbConnect for every other. 4. \
         Such another role is tied to the IAM role: AWS IAM GRANT \"user\" TO 'arn:aws:iam::…'. 5. \
         database.host is the cluster's own name, and its region is the cluster's."
    )
}

/// The application's own choice needs no hint: the database's word stays as it is.
fn no_database(about: &Subject) -> Option<String> {
    let target = &about.target;
    about
        .names_database
        .then(|| format!("It is database.name of [targets.{target}] that names it."))
}

fn too_many(about: &Subject) -> String {
    if about.credential == Kind::Dsql {
        return "Aurora DSQL takes 100 new connections a second, 1000 at once and 10000 in all: let \
                the pool keep its connections, for up to 55 minutes."
            .to_owned();
    }
    "The limit is the database's own (max_connections, or CONNECTION LIMIT of role or database), over \
     all its clients. connections in [limits] keeps those of pgferry below it."
        .to_owned()
}

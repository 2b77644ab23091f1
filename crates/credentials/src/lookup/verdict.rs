//! Whether a database can be logged in to at all, as far as RDS tells.

use pgferry_aws::discovery::{Found, FoundKind};

use crate::CredentialError;

/// States in which nobody gets in, and which do not pass within a minute. In all the others a login
/// may work, or soon will: backing-up, modifying, rebooting and more. Source: "Viewing DB instance
/// status" of the RDS user guide, "DB cluster status" of the Aurora user guide.
const CLOSED: [&str; 9] = [
    "creating",
    "deleting",
    "failed",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "restore-error",
    "starting",
    "stopped",
    "stopping",
];

/// Checks what RDS has told. `iam` says that logins will show a token.
pub(super) fn verdict(found: &Found, iam: bool) -> Result<(), CredentialError> {
    if !found.is_postgres() {
        let (what, engine) = (name(found), found.engine.clone());
        return Err(CredentialError::NotPostgres { what, engine });
    }
    if CLOSED.contains(&found.status.as_str()) {
        let (what, status) = (name(found), found.status.clone());
        let start = (status == "stopped").then(|| start(found));
        return Err(CredentialError::NotRunning { what, status, start });
    }
    if iam && !found.iam {
        return Err(CredentialError::IamOff { what: name(found), enable: enable(found) });
    }
    Ok(())
}

fn name(found: &Found) -> String {
    match found.kind {
        FoundKind::Cluster => format!("cluster {}", found.name),
        FoundKind::Instance => format!("instance {}", found.name),
    }
}

/// The command that starts it. An instance of Aurora starts with its cluster.
fn start(found: &Found) -> String {
    match cluster(found) {
        Some(cluster) => format!("aws rds start-db-cluster --db-cluster-identifier {cluster}"),
        None => format!("aws rds start-db-instance --db-instance-identifier {}", found.name),
    }
}

/// The command that turns IAM authentication on. It is a setting of the cluster, where there is one.
fn enable(found: &Found) -> String {
    let (kind, name) = match cluster(found) {
        Some(cluster) => ("cluster", cluster),
        None => ("instance", found.name.as_str()),
    };
    format!(
        "aws rds modify-db-{kind} --db-{kind}-identifier {name} \
         --enable-iam-database-authentication --apply-immediately"
    )
}

fn cluster(found: &Found) -> Option<&str> {
    match found.kind {
        FoundKind::Cluster => Some(&found.name),
        FoundKind::Instance => found.cluster.as_deref(),
    }
}

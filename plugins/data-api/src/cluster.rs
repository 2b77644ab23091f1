//! Which database a session is for.

use pgferry_transport_sdk::{Error, Target};

/// One database of one cluster, as the user whose secret it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// The ARN of the cluster.
    pub arn: String,
    /// The ARN (or name) of the secret that holds the user's password. Not the secret.
    pub secret: String,
    /// The cluster's region.
    pub region: Option<String>,
    /// The database.
    pub database: String,
}

impl Cluster {
    /// What the target says.
    ///
    /// Errors: denied: the configuration lacks what the Data API has to be told.
    pub fn of(target: &Target) -> Result<Self, Error> {
        let lacks = |what: &str, hint: &str| {
            Error::denied(format!("the Data API has to be told the {what}")).with_hint(hint)
        };
        let present = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let arn = present(&target.cluster_arn).ok_or_else(|| {
            lacks("cluster's ARN", "set cluster for this database, or let it be discovered")
        })?;
        let secret = present(&target.secret_arn).ok_or_else(|| {
            lacks("secret's ARN", "use a credential of kind secrets-manager for this database")
        })?;
        let database = present(&target.database).or_else(|| present(&target.user));
        let database = database.unwrap_or_else(|| "postgres".to_owned());
        let region = present(&target.region).or_else(|| region_of(&arn));
        Ok(Self { arn, secret, region, database })
    }
}

/// Source: AWS General Reference, "Amazon Resource Names": `arn:partition:service:region:account:…`.
fn region_of(arn: &str) -> Option<String> {
    arn.split(':').nth(3).filter(|region| !region.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_stands_in_the_arn() {
        let arn = "arn:aws:rds:eu-central-1:123456789012:cluster:shop";
        assert_eq!(region_of(arn).as_deref(), Some("eu-central-1"));
        assert_eq!(region_of("shop"), None);
        assert_eq!(region_of("arn:aws:rds::1:cluster:x"), None);
    }
}

//! What it takes to reach a cluster by the RDS Data API: its ARN and that of a secret. Nobody here
//! opens the secret; the service does.

use pgferry_aws::discovery::{Found, FoundKind};

use crate::CredentialError;
use crate::location::Location;
use crate::lookup::{Endpoint, Lookup};

/// A cluster, and the secret that opens it, for a transport that logs in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataApi {
    /// The ARN of the cluster. Source: RDS Data API reference, `ExecuteStatement`, `resourceArn`.
    pub cluster_arn: String,
    /// The ARN of the secret, or its name: `secretArn` of the same.
    pub secret_arn: String,
    /// The region of both.
    pub region: String,
}

/// The cluster of a location. RDS is asked for what the configuration does not say.
///
/// Cancel safety: safe.
pub(crate) async fn data_api(
    lookup: &Lookup,
    secret: Option<&str>,
) -> Result<(Endpoint, DataApi), CredentialError> {
    if let (Location::Cluster { name, .. }, Some(secret)) = (lookup.location(), secret)
        && let Some((region, cluster)) = parts(name)
    {
        let place = Endpoint { host: cluster.to_owned(), port: PORT, told: false };
        let (cluster_arn, secret_arn) = (name.clone(), secret.to_owned());
        let region = region.to_owned();
        return Ok((place, DataApi { cluster_arn, secret_arn, region }));
    }
    let cluster = lookup.cluster().await?;
    let cluster_arn = arn(&cluster).inspect_err(|_| lookup.forget())?;
    let place = Endpoint {
        host: cluster.writer.clone().unwrap_or_else(|| cluster.name.clone()),
        port: cluster.port,
        told: true,
    };
    let secret = match secret {
        Some(secret) => Some(secret.to_owned()),
        None => cluster.secret_arn.clone(),
    };
    let secret_arn = secret.ok_or_else(|| {
        lookup.forget();
        CredentialError::NotManaged(lookup.location().to_string())
    })?;
    let region = match parts(&cluster_arn) {
        Some((region, _)) => region.to_owned(),
        None => lookup.account().region().await?,
    };
    Ok((place, DataApi { cluster_arn, secret_arn, region }))
}

fn arn(cluster: &Found) -> Result<String, CredentialError> {
    let what = || match cluster.kind {
        FoundKind::Cluster => format!("cluster {}", cluster.name),
        FoundKind::Instance => format!("instance {}", cluster.name),
    };
    let arn = cluster.arn.clone().filter(|_| cluster.kind == FoundKind::Cluster);
    let arn = arn.ok_or_else(|| CredentialError::NoDataApi(what()))?;
    if !cluster.data_api {
        let enable = format!("aws rds enable-http-endpoint --resource-arn {arn}");
        return Err(CredentialError::DataApiOff { what: what(), enable });
    }
    Ok(arn)
}

/// Region and name of a cluster's ARN. Source: RDS user guide, "Amazon Resource Names (ARNs)".
fn parts(arn: &str) -> Option<(&str, &str)> {
    let parts: Vec<_> = arn.splitn(7, ':').collect();
    match parts.as_slice() {
        ["arn", _, "rds", region, _, "cluster", name] => Some((region, name)),
        _ => None,
    }
}

/// Of the service: nothing is dialled there but HTTPS.
const PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_of_a_cluster_says_region_and_name() {
        let arn = "arn:aws-us-gov:rds:us-gov-west-1:123456789012:cluster:shop";
        assert_eq!(parts(arn), Some(("us-gov-west-1", "shop")));
        for other in ["shop", "arn:aws:rds:us-east-1:123456789012:db:shop", "arn:aws:rds"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}

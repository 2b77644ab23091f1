//! From the name of a cluster, of an instance, or of an endpoint, to everything RDS tells of it.
//!
//! It asks `rds:DescribeDBClusters` and `rds:DescribeDBInstances`; `rds:DescribeDBClusterEndpoints`
//! and the instances of a cluster are optional: without that permission the answer has less.

mod found;
mod near;

use aws_sdk_rds::Client;
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rds::types::{DbCluster, DbClusterEndpoint, DbInstance, Filter};
use pgferry_endpoint::{Endpoint, Kind};

use crate::account::Account;
use crate::error::{AwsError, AwsErrorKind};

pub use found::{CustomEndpoint, Found, FoundKind, Member, Serverless};

/// So many entries RDS puts on a page at most. Source: API reference of RDS, `MaxRecords`.
const PAGE: i32 = 100;

/// A cluster (Aurora or Multi-AZ) by its identifier: endpoints, members, what it can do.
///
/// # Errors
/// [`AwsErrorKind::NotFound`] names the clusters that are spelled alike; [`AwsErrorKind::AccessDenied`]
/// the missing action; otherwise those of [`Account::config`].
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn find_cluster(name: &str, account: &Account) -> Result<Found, AwsError> {
    Box::pin(async move {
        let rds = Rds::new(account).await?;
        match rds.cluster(name).await? {
            Some(cluster) => rds.complete(&cluster).await,
            None => Err(rds.no_cluster(name).await),
        }
    })
    .await
}

/// An instance by its identifier, be it alone or a member of a cluster.
///
/// # Errors
/// As [`find_cluster`].
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn find_instance(name: &str, account: &Account) -> Result<Found, AwsError> {
    Box::pin(async move {
        let rds = Rds::new(account).await?;
        match rds.instance(name).await? {
            Some(instance) => Ok(Found::of_instance(&instance)),
            None => Err(rds.no_instance(name).await),
        }
    })
    .await
}

/// What has an endpoint of this host name. The name says what to ask for; one that does not follow
/// AWS's form (an imitation of AWS has its own) is searched for in everything there is.
///
/// # Errors
/// As [`find_cluster`]; [`AwsErrorKind::Invalid`] for RDS Proxy, Limitless, global and DSQL endpoints,
/// which RDS does not list with clusters or instances.
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn find_by_host(host: &str, account: &Account) -> Result<Found, AwsError> {
    Box::pin(async move {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let kind = Endpoint::parse(&host).kind;
        let name = host.split('.').next().unwrap_or_default();
        if let Some(error) = not_listed(&host, kind) {
            return Err(error);
        }
        let rds = Rds::new(account).await?;
        let cluster = match kind {
            Kind::Writer | Kind::Reader => rds.cluster(name).await?,
            Kind::Custom => rds.cluster_of_custom(name).await?,
            Kind::Instance => {
                let instance = rds.instance(name).await?.filter(|found| is_at(found, &host));
                return match instance {
                    Some(instance) => Ok(Found::of_instance(&instance)),
                    None => Err(rds.nothing_at(&host)),
                };
            }
            _ => return rds.search(&host).await,
        };
        match cluster.filter(|cluster| answers_at(cluster, &host)) {
            Some(cluster) => rds.complete(&cluster).await,
            None => Err(rds.nothing_at(&host)),
        }
    })
    .await
}

/// RDS, asked as an account.
struct Rds<'a> {
    client: Client,
    account: &'a Account,
}

impl<'a> Rds<'a> {
    async fn new(account: &'a Account) -> Result<Self, AwsError> {
        Ok(Self { client: Client::new(&account.config().await?), account })
    }

    async fn cluster(&self, name: &str) -> Result<Option<DbCluster>, AwsError> {
        let request = self.client.describe_db_clusters().db_cluster_identifier(name).send().await;
        match request {
            Ok(answer) => Ok(answer.db_clusters.unwrap_or_default().into_iter().next()),
            Err(error) => self.absent_or("DescribeDBClusters", &error),
        }
    }

    async fn instance(&self, name: &str) -> Result<Option<DbInstance>, AwsError> {
        let request = self.client.describe_db_instances().db_instance_identifier(name).send().await;
        match request {
            Ok(answer) => Ok(answer.db_instances.unwrap_or_default().into_iter().next()),
            Err(error) => self.absent_or("DescribeDBInstances", &error),
        }
    }

    async fn clusters(&self) -> Result<Vec<DbCluster>, AwsError> {
        let request = self.client.describe_db_clusters().max_records(PAGE);
        let items = request.into_paginator().items().send().try_collect().await;
        items.map_err(|error| self.error("DescribeDBClusters", &error))
    }

    /// Every instance, or those of one cluster.
    async fn instances(&self, cluster: Option<&str>) -> Result<Vec<DbInstance>, AwsError> {
        let mut request = self.client.describe_db_instances().max_records(PAGE);
        if let Some(cluster) = cluster {
            request = request.filters(filter("db-cluster-id", cluster));
        }
        let items = request.into_paginator().items().send().try_collect().await;
        items.map_err(|error| self.error("DescribeDBInstances", &error))
    }

    async fn endpoints(&self, cluster: &str) -> Result<Vec<DbClusterEndpoint>, AwsError> {
        let request = self.client.describe_db_cluster_endpoints().max_records(PAGE);
        let request = request.db_cluster_identifier(cluster);
        let items = request.into_paginator().items().send().try_collect().await;
        items.map_err(|error| self.error("DescribeDBClusterEndpoints", &error))
    }

    async fn cluster_of_custom(&self, endpoint: &str) -> Result<Option<DbCluster>, AwsError> {
        let request = self.client.describe_db_cluster_endpoints();
        let found: Result<Vec<_>, _> = request
            .db_cluster_endpoint_identifier(endpoint)
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let none = self.absent_or::<(), _>("DescribeDBClusterEndpoints", &error)?;
                return Ok(none.and(None));
            }
        };
        match found.first().and_then(|endpoint| endpoint.db_cluster_identifier()) {
            Some(cluster) => self.cluster(cluster).await,
            None => Ok(None),
        }
    }

    /// Adds what other calls know; a permission that is missing for them takes nothing away.
    async fn complete(&self, cluster: &DbCluster) -> Result<Found, AwsError> {
        let name = cluster.db_cluster_identifier().unwrap_or_default();
        let instances = allowed(self.instances(Some(name)).await)?;
        let endpoints = allowed(self.endpoints(name).await)?;
        Ok(Found::of_cluster(cluster, &instances, &endpoints))
    }

    async fn search(&self, host: &str) -> Result<Found, AwsError> {
        let clusters = self.clusters().await?;
        if let Some(cluster) = clusters.iter().find(|cluster| answers_at(cluster, host)) {
            return self.complete(cluster).await;
        }
        let instances = self.instances(None).await?;
        let found = instances.iter().find(|instance| is_at(instance, host));
        found.map(Found::of_instance).ok_or_else(|| self.nothing_at(host))
    }

    async fn no_cluster(&self, name: &str) -> AwsError {
        if matches!(self.instance(name).await, Ok(Some(_))) {
            return self
                .absent("cluster", name)
                .with_hint(format!("{name} is an instance: write instance instead of cluster"));
        }
        let clusters = self.clusters().await.unwrap_or_default();
        let names = clusters.iter().filter_map(DbCluster::db_cluster_identifier);
        let near = near::names(name, names);
        near::hinted(self.absent("cluster", name), &near)
    }

    async fn no_instance(&self, name: &str) -> AwsError {
        if matches!(self.cluster(name).await, Ok(Some(_))) {
            return self
                .absent("instance", name)
                .with_hint(format!("{name} is a cluster: write cluster instead of instance"));
        }
        let instances = self.instances(None).await.unwrap_or_default();
        let names = instances.iter().filter_map(DbInstance::db_instance_identifier);
        let near = near::names(name, names);
        near::hinted(self.absent("instance", name), &near)
    }

    fn absent(&self, what: &str, name: &str) -> AwsError {
        let whose = self.account.whose();
        let region = whose.region.unwrap_or_default();
        let profile = whose.profile.map(|name| format!(" (profile {name})")).unwrap_or_default();
        AwsError::new(
            AwsErrorKind::NotFound,
            format!("there is no {what} {name} in {region}{profile}"),
        )
        .with_hint("check the name, the region and the account: each looks for its own alone")
    }

    fn nothing_at(&self, host: &str) -> AwsError {
        self.absent("cluster or instance with the endpoint", host)
    }

    /// `None` if RDS says that it does not exist, the error otherwise.
    fn absent_or<T, E>(
        &self,
        action: &'static str,
        error: &SdkError<E>,
    ) -> Result<Option<T>, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let error = self.error(action, error);
        match error.kind() {
            AwsErrorKind::NotFound => Ok(None),
            _ => Err(error),
        }
    }

    fn error<E>(&self, action: &'static str, error: &SdkError<E>) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        AwsError::from_sdk("rds", action, error, self.account)
    }
}

/// An answer that may be missing for want of a permission.
fn allowed<T>(answer: Result<Vec<T>, AwsError>) -> Result<Vec<T>, AwsError> {
    match answer {
        Err(error) if matches!(error.kind(), AwsErrorKind::AccessDenied { .. }) => {
            tracing::debug!(%error, "discovery goes on without");
            Ok(Vec::new())
        }
        answer => answer,
    }
}

fn not_listed(host: &str, kind: Kind) -> Option<AwsError> {
    let what = match kind {
        Kind::Proxy => "RDS Proxy",
        Kind::Limitless => "a Limitless shard group",
        Kind::Global => "a global database",
        Kind::Dsql => "Aurora DSQL",
        _ => return None,
    };
    let text = format!("{host} is an endpoint of {what}, which belongs to no single cluster");
    let hint = "give host and port, and the cluster only where its settings are wanted";
    Some(AwsError::new(AwsErrorKind::Invalid, text).with_hint(hint))
}

fn answers_at(cluster: &DbCluster, host: &str) -> bool {
    let own = cluster.endpoint().into_iter().chain(cluster.reader_endpoint());
    own.chain(cluster.custom_endpoints().iter().map(String::as_str))
        .any(|endpoint| endpoint.eq_ignore_ascii_case(host))
}

fn is_at(instance: &DbInstance, host: &str) -> bool {
    let address = instance.endpoint().and_then(|endpoint| endpoint.address());
    address.is_some_and(|address| address.eq_ignore_ascii_case(host))
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

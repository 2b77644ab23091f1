//! What RDS tells of a database.

use std::time::Duration;

use aws_sdk_rds::types::{
    DbCluster, DbClusterEndpoint, DbInstance, Endpoint, MasterUserSecret,
    ServerlessV2ScalingConfigurationInfo,
};

/// `PostgreSQL`'s own, for entries without one.
const PORT: u16 = 5432;

/// A database as RDS describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Cluster or instance.
    pub kind: FoundKind,
    /// `DBClusterIdentifier` or `DBInstanceIdentifier`.
    pub name: String,
    /// `DBClusterArn` or `DBInstanceArn`.
    pub arn: Option<String>,
    /// `DbClusterResourceId` or `DbiResourceId`: what a policy for `rds-db:connect` names.
    pub resource_id: Option<String>,
    /// `aurora-postgresql`, `postgres` and others that are not `PostgreSQL`.
    pub engine: String,
    /// `available`, `stopped`, and the others of the RDS user guide.
    pub status: String,
    /// The writer of a cluster, the endpoint of an instance. None while it is being made.
    pub writer: Option<String>,
    /// The reader endpoint of a cluster. It leads to the writer where there is no reader.
    pub reader: Option<String>,
    /// Further endpoints of a cluster.
    pub custom: Vec<CustomEndpoint>,
    /// The instances of a cluster, the writer first.
    pub members: Vec<Member>,
    /// The port of every endpoint.
    pub port: u16,
    /// The database made with it.
    pub database: Option<String>,
    /// The master user's name.
    pub master_user: Option<String>,
    /// Whether IAM database authentication is on.
    pub iam: bool,
    /// The secret of the master user, where RDS manages it.
    pub secret_arn: Option<String>,
    /// Whether the Data API is on (`HttpEndpointEnabled`).
    pub data_api: bool,
    /// The limits of Aurora Serverless v2.
    pub serverless: Option<Serverless>,
    /// The cluster that an instance belongs to.
    pub cluster: Option<String>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundKind {
    /// An Aurora or Multi-AZ cluster.
    Cluster,
    /// One instance.
    Instance,
}

/// An endpoint that the owner of a cluster made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomEndpoint {
    /// Its host name.
    pub host: String,
    /// `DBClusterEndpointIdentifier`: the first label of the host name.
    pub name: String,
    /// `READER` or `ANY`; none without `rds:DescribeDBClusterEndpoints`.
    pub leads_to: Option<String>,
}

/// An instance of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `DBInstanceIdentifier`.
    pub name: String,
    /// Whether it was the writer when RDS was asked.
    pub writer: bool,
    /// Its own endpoint; none without `rds:DescribeDBInstances`.
    pub host: Option<String>,
    /// Its status; none without `rds:DescribeDBInstances`.
    pub status: Option<String>,
}

/// Aurora Serverless v2, in Aurora capacity units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Serverless {
    /// 0 lets it pause.
    pub min: f64,
    /// The most it grows to.
    pub max: f64,
    /// It pauses after so long without a user's connection; none if it never pauses.
    pub pauses_after: Option<Duration>,
}

impl Found {
    pub(super) fn of_cluster(
        cluster: &DbCluster,
        instances: &[DbInstance],
        endpoints: &[DbClusterEndpoint],
    ) -> Self {
        Self {
            kind: FoundKind::Cluster,
            name: owned(cluster.db_cluster_identifier()).unwrap_or_default(),
            arn: owned(cluster.db_cluster_arn()),
            resource_id: owned(cluster.db_cluster_resource_id()),
            engine: owned(cluster.engine()).unwrap_or_default(),
            status: owned(cluster.status()).unwrap_or_default(),
            writer: owned(cluster.endpoint()),
            reader: owned(cluster.reader_endpoint()),
            custom: custom(cluster.custom_endpoints(), endpoints),
            members: members(cluster, instances),
            port: port(cluster.port()),
            database: owned(cluster.database_name()),
            master_user: owned(cluster.master_username()),
            iam: cluster.iam_database_authentication_enabled().unwrap_or(false),
            secret_arn: secret(cluster.master_user_secret()),
            data_api: cluster.http_endpoint_enabled().unwrap_or(false),
            serverless: cluster.serverless_v2_scaling_configuration().and_then(serverless),
            cluster: None,
        }
    }

    pub(super) fn of_instance(instance: &DbInstance) -> Self {
        let endpoint = instance.endpoint();
        Self {
            kind: FoundKind::Instance,
            name: owned(instance.db_instance_identifier()).unwrap_or_default(),
            arn: owned(instance.db_instance_arn()),
            resource_id: owned(instance.dbi_resource_id()),
            engine: owned(instance.engine()).unwrap_or_default(),
            status: owned(instance.db_instance_status()).unwrap_or_default(),
            writer: owned(endpoint.and_then(Endpoint::address)),
            reader: None,
            custom: Vec::new(),
            members: Vec::new(),
            port: port(endpoint.and_then(Endpoint::port)),
            database: owned(instance.db_name()),
            master_user: owned(instance.master_username()),
            iam: instance.iam_database_authentication_enabled().unwrap_or(false),
            secret_arn: secret(instance.master_user_secret()),
            data_api: false,
            serverless: None,
            cluster: owned(instance.db_cluster_identifier()),
        }
    }

    /// Whether it is Aurora `PostgreSQL` or RDS for `PostgreSQL`.
    pub fn is_postgres(&self) -> bool {
        matches!(self.engine.as_str(), "aurora-postgresql" | "postgres")
    }
}

/// The cluster knows the hosts, the list of endpoints what they lead to.
fn custom(hosts: &[String], endpoints: &[DbClusterEndpoint]) -> Vec<CustomEndpoint> {
    let one = |host: &String| {
        let known = endpoints.iter().find(|endpoint| endpoint.endpoint() == Some(host));
        let name = known.and_then(DbClusterEndpoint::db_cluster_endpoint_identifier);
        let label = host.split('.').next().unwrap_or(host);
        CustomEndpoint {
            host: host.clone(),
            name: name.unwrap_or(label).to_owned(),
            leads_to: owned(known.and_then(DbClusterEndpoint::custom_endpoint_type)),
        }
    };
    hosts.iter().map(one).collect()
}

fn members(cluster: &DbCluster, instances: &[DbInstance]) -> Vec<Member> {
    let one = |member: &aws_sdk_rds::types::DbClusterMember| {
        let name = member.db_instance_identifier().unwrap_or_default();
        let known = instances.iter().find(|known| known.db_instance_identifier() == Some(name));
        Member {
            name: name.to_owned(),
            writer: member.is_cluster_writer().unwrap_or(false),
            host: owned(known.and_then(DbInstance::endpoint).and_then(Endpoint::address)),
            status: owned(known.and_then(DbInstance::db_instance_status)),
        }
    };
    let mut members: Vec<Member> = cluster.db_cluster_members().iter().map(one).collect();
    members.sort_by(|a, b| b.writer.cmp(&a.writer).then_with(|| a.name.cmp(&b.name)));
    members
}

/// `SecondsUntilAutoPause` counts only where the minimum is 0. Source: the API reference of RDS,
/// `ServerlessV2ScalingConfigurationInfo`.
fn serverless(limits: &ServerlessV2ScalingConfigurationInfo) -> Option<Serverless> {
    let (min, max) = (limits.min_capacity()?, limits.max_capacity()?);
    let seconds = limits.seconds_until_auto_pause().and_then(|seconds| u64::try_from(seconds).ok());
    let pauses_after = seconds.filter(|_| min <= 0.0).map(Duration::from_secs);
    Some(Serverless { min, max, pauses_after })
}

fn secret(secret: Option<&MasterUserSecret>) -> Option<String> {
    owned(secret.and_then(MasterUserSecret::secret_arn))
}

fn port(port: Option<i32>) -> u16 {
    port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0).unwrap_or(PORT)
}

fn owned(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

//! RDS, as far as it describes what there is.

use super::{
    ACCOUNT,
    call::Parameters,
    fleet::{Cluster, CustomEndpoint, Fleet, Instance},
    principal::Principal,
    reply::{Failure, Success},
    xml::{element, optional, text},
};

/// The region is the last part: every ARN and endpoint carries it.
pub(super) fn clusters(
    caller: &Principal,
    parameters: &Parameters,
    (fleet, region): (&Fleet, &str),
) -> Result<Success, Failure> {
    let wanted = parameters.optional("DBClusterIdentifier").map(name);
    check(caller, "rds:DescribeDBClusters", region, "cluster", wanted.as_deref())?;
    let filters = filters(parameters, &["db-cluster-id"])?;
    if let Some(wanted) = &wanted {
        fleet.cluster(wanted)?;
    }
    let found = fleet.clusters.iter().filter(|cluster| {
        wanted.as_ref().is_none_or(|wanted| *wanted == cluster.name)
            && filters.iter().all(|(_, values)| values.contains(&cluster.name))
    });
    let items = found.map(|it| element("DBCluster", &cluster_content(it, region))).collect();
    paged("DBClusters", items, parameters, fleet)
}

pub(super) fn instances(
    caller: &Principal,
    parameters: &Parameters,
    (fleet, region): (&Fleet, &str),
) -> Result<Success, Failure> {
    let wanted = parameters.optional("DBInstanceIdentifier").map(name);
    check(caller, "rds:DescribeDBInstances", region, "db", wanted.as_deref())?;
    let filters = filters(parameters, &["db-cluster-id", "db-instance-id"])?;
    let alone = fleet.instances.iter().map(|it| (it, None));
    let members = fleet
        .clusters
        .iter()
        .flat_map(|cluster| cluster.members.iter().map(move |instance| (instance, Some(cluster))));
    let found = alone.chain(members).filter(|(instance, cluster)| {
        wanted.as_ref().is_none_or(|wanted| *wanted == instance.name)
            && filters.iter().all(|(filter, values)| match filter.as_str() {
                "db-cluster-id" => cluster.is_some_and(|it| values.contains(&it.name)),
                _ => values.contains(&instance.name),
            })
    });
    let items: Vec<_> = found
        .map(|(instance, cluster)| {
            element("DBInstance", &instance_content(instance, cluster, region))
        })
        .collect();
    if let (Some(wanted), true) = (&wanted, items.is_empty()) {
        let message = format!("DBInstance {wanted} not found.");
        return Err(Failure::new(404, "DBInstanceNotFound", &message));
    }
    paged("DBInstances", items, parameters, fleet)
}

pub(super) fn endpoints(
    caller: &Principal,
    parameters: &Parameters,
    (fleet, region): (&Fleet, &str),
) -> Result<Success, Failure> {
    let wanted = parameters.optional("DBClusterIdentifier").map(name);
    let endpoint = parameters.optional("DBClusterEndpointIdentifier");
    check(caller, "rds:DescribeDBClusterEndpoints", region, "cluster-endpoint", endpoint)?;
    let kinds = ["db-cluster-endpoint-type", "db-cluster-endpoint-custom-type"];
    let filters = filters(parameters, &kinds)?;
    if let Some(wanted) = &wanted {
        fleet.cluster(wanted)?;
    }
    let clusters =
        fleet.clusters.iter().filter(|it| wanted.as_ref().is_none_or(|name| *name == it.name));
    let all = clusters.flat_map(|cluster| listed(cluster, region));
    let found = all.filter(|listed| {
        let custom = listed.custom.map(|it| it.kind.to_ascii_lowercase());
        endpoint.is_none_or(|name| listed.custom.is_some_and(|it| it.name == name))
            && filters.iter().all(|(filter, values)| match filter.as_str() {
                "db-cluster-endpoint-type" => values.contains(&listed.kind.to_ascii_lowercase()),
                _ => custom.as_ref().is_some_and(|kind| values.contains(kind)),
            })
    });
    // The list's elements are called after the list: an oddity of this one call.
    let items = found.map(|it| element("DBClusterEndpointList", &it.content())).collect();
    paged("DBClusterEndpoints", items, parameters, fleet)
}

struct Listed<'a> {
    cluster: &'a Cluster,
    kind: &'static str,
    host: String,
    custom: Option<&'a CustomEndpoint>,
}

fn listed<'a>(cluster: &'a Cluster, region: &str) -> Vec<Listed<'a>> {
    let own = |kind, host| Listed { cluster, kind, host, custom: None };
    let mut all = vec![
        own("WRITER", cluster.writer_endpoint(region)),
        own("READER", cluster.reader_endpoint(region)),
    ];
    all.extend(cluster.custom.iter().map(|custom| Listed {
        cluster,
        kind: "CUSTOM",
        host: custom.host(region),
        custom: Some(custom),
    }));
    all
}

impl Listed<'_> {
    fn content(&self) -> String {
        let mut content = vec![
            text("DBClusterIdentifier", &self.cluster.name),
            text("Endpoint", &self.host),
            text("Status", "available"),
            text("EndpointType", self.kind),
        ];
        if let Some(custom) = self.custom {
            let members: String = custom.members.iter().map(|it| text("member", it)).collect();
            content.push(text("DBClusterEndpointIdentifier", &custom.name));
            content.push(text("CustomEndpointType", custom.kind));
            content.push(element("StaticMembers", &members));
            content.push(element("ExcludedMembers", ""));
        }
        content.concat()
    }
}

fn cluster_content(cluster: &Cluster, region: &str) -> String {
    let members = cluster.members.iter().enumerate().map(|(index, member)| {
        let content = [
            text("DBInstanceIdentifier", &member.name),
            text("IsClusterWriter", flag(index == 0)),
            text("DBClusterParameterGroupStatus", "in-sync"),
            text("PromotionTier", "1"),
        ];
        element("DBClusterMember", &content.concat())
    });
    let custom = cluster.custom.iter().map(|it| text("member", &it.host(region)));
    [
        text("DBClusterIdentifier", &cluster.name),
        text("DBClusterArn", &format!("arn:aws:rds:{region}:{ACCOUNT}:cluster:{}", cluster.name)),
        text("DbClusterResourceId", &cluster.resource_id()),
        text("Status", &cluster.status),
        text("Engine", "aurora-postgresql"),
        text("EngineVersion", "16.4"),
        text("EngineMode", "provisioned"),
        text("Endpoint", &cluster.writer_endpoint(region)),
        text("ReaderEndpoint", &cluster.reader_endpoint(region)),
        element("CustomEndpoints", &custom.collect::<String>()),
        text("Port", &cluster.port.to_string()),
        text("MasterUsername", "postgres"),
        optional("DatabaseName", cluster.database.as_deref()),
        text("MultiAZ", flag(cluster.members.len() > 1)),
        text("IAMDatabaseAuthenticationEnabled", flag(cluster.iam)),
        text("HttpEndpointEnabled", flag(cluster.data_api)),
        element("DBClusterMembers", &members.collect::<String>()),
        master_secret(cluster.secret_arn.as_deref()),
        scaling(cluster),
    ]
    .concat()
}

fn instance_content(instance: &Instance, cluster: Option<&Cluster>, region: &str) -> String {
    let port = cluster.map_or(instance.port, |cluster| cluster.port);
    let endpoint = [
        text("Address", &instance.endpoint(region)),
        text("Port", &port.to_string()),
        text("HostedZoneId", "Z2R2ITUGPM61AM"),
    ];
    let engine = if cluster.is_some() { "aurora-postgresql" } else { "postgres" };
    let database = cluster.map_or(&instance.database, |cluster| &cluster.database);
    [
        text("DBInstanceIdentifier", &instance.name),
        text("DBInstanceArn", &format!("arn:aws:rds:{region}:{ACCOUNT}:db:{}", instance.name)),
        text("DbiResourceId", &instance.resource_id()),
        text("DBInstanceStatus", &instance.status),
        text("Engine", engine),
        text("EngineVersion", "16.4"),
        element("Endpoint", &endpoint.concat()),
        text("MasterUsername", "postgres"),
        optional("DBName", database.as_deref()),
        optional("DBClusterIdentifier", cluster.map(|it| it.name.as_str())),
        text(
            "IAMDatabaseAuthenticationEnabled",
            flag(cluster.map_or(instance.iam, |cluster| cluster.iam)),
        ),
        text("CACertificateIdentifier", "rds-ca-rsa2048-g1"),
        master_secret(instance.secret_arn.as_deref()),
    ]
    .concat()
}

fn master_secret(arn: Option<&str>) -> String {
    let Some(arn) = arn else { return String::new() };
    element("MasterUserSecret", &(text("SecretArn", arn) + &text("SecretStatus", "active")))
}

fn scaling(cluster: &Cluster) -> String {
    let Some(scaling) = cluster.serverless else { return String::new() };
    let pause = scaling.seconds_until_auto_pause.map(|seconds| seconds.to_string());
    let content = [
        text("MinCapacity", &format!("{:?}", scaling.min_capacity)),
        text("MaxCapacity", &format!("{:?}", scaling.max_capacity)),
        optional("SecondsUntilAutoPause", pause.as_deref()),
    ];
    element("ServerlessV2ScalingConfiguration", &content.concat())
}

impl Fleet {
    fn cluster(&self, name: &str) -> Result<&Cluster, Failure> {
        self.clusters.iter().find(|cluster| cluster.name == name).ok_or_else(|| {
            let message = format!("DBCluster {name} not found.");
            Failure::new(404, "DBClusterNotFoundFault", &message)
        })
    }
}

/// Identifiers are given in any case, or as an ARN.
fn name(identifier: &str) -> String {
    identifier.rsplit(':').next().unwrap_or(identifier).to_ascii_lowercase()
}

fn check(
    caller: &Principal,
    action: &str,
    region: &str,
    kind: &str,
    name: Option<&str>,
) -> Result<(), Failure> {
    let name = name.unwrap_or("*");
    caller.check(action, &format!("arn:aws:rds:{region}:{ACCOUNT}:{kind}:{name}"))
}

fn filters(parameters: &Parameters, known: &[&str]) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let read = parameters.filters().into_iter().map(|(filter, values)| {
        if known.contains(&filter) {
            return Ok((filter.to_owned(), values.into_iter().map(name).collect()));
        }
        let message = format!("Unrecognized filter name: {filter}");
        Err(Failure::new(400, "InvalidParameterValue", &message))
    });
    read.collect()
}

/// The marker is the number of the first item to come: callers may not rely on that.
fn paged(
    list: &str,
    items: Vec<String>,
    parameters: &Parameters,
    fleet: &Fleet,
) -> Result<Success, Failure> {
    let invalid = |message: String| Failure::new(400, "InvalidParameterValue", &message);
    let asked = match parameters.optional("MaxRecords").map(str::parse::<usize>) {
        None => 100,
        Some(Ok(asked @ 20..=100)) => asked,
        Some(_) => return Err(invalid("MaxRecords must be between 20 and 100.".to_owned())),
    };
    let start = match parameters.optional("Marker") {
        None => 0,
        Some(marker) => marker
            .strip_prefix("page-")
            .and_then(|start| start.parse().ok())
            .ok_or_else(|| invalid(format!("Invalid or unknown marker: {marker}")))?,
    };
    let size = fleet.page_size.map_or(asked, |size| size.clamp(1, asked));
    let total = items.len();
    let page: String = items.into_iter().skip(start).take(size).collect();
    let marker = (start + size < total).then(|| format!("page-{}", start + size));
    Ok(Success::Xml(element(list, &page) + &optional("Marker", marker.as_deref())))
}

fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

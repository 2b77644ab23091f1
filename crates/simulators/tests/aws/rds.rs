//! Clusters, instances and endpoints as RDS describes them.

use pgferry_simulators::{Aws, Cluster, DbInstance, ServerlessV2};

use crate::client::{Reply, call, query};

fn describe(aws: &Aws, parameters: &[(&str, &str)]) -> Reply {
    call(aws, aws.credentials(), "rds", query("rds", parameters))
}

#[test]
fn a_cluster_tells_its_endpoints_members_and_settings() {
    let aws = Aws::start();
    let scaling =
        ServerlessV2 { min_capacity: 0.0, max_capacity: 4.0, seconds_until_auto_pause: Some(300) };
    let cluster = Cluster::new("demo").reader().custom_endpoint("reports", &["demo-2"]);
    let cluster = cluster.port(5433).data_api().managed_secret("arn:s").serverless(scaling);
    aws.add_cluster(cluster.status("upgrading").database("app").iam(false));
    let reply =
        describe(&aws, &[("Action", "DescribeDBClusters"), ("DBClusterIdentifier", "DEMO")]);
    for (element, text) in [
        ("Endpoint", pgferry_simulators::SERVER_NAME),
        ("ReaderEndpoint", "demo.cluster-ro-abc123.us-east-1.rds.amazonaws.com"),
        ("Port", "5433"),
        ("IAMDatabaseAuthenticationEnabled", "false"),
        ("HttpEndpointEnabled", "true"),
        ("SecretArn", "arn:s"),
        ("MinCapacity", "0.0"),
        ("SecondsUntilAutoPause", "300"),
        ("Status", "upgrading"),
        ("DatabaseName", "app"),
        ("IsClusterWriter", "true"),
        ("member", "reports.cluster-custom-abc123.us-east-1.rds.amazonaws.com"),
    ] {
        assert_eq!(reply.element(element), Some(text), "{element}");
    }
    assert!(reply.element("DbClusterResourceId").unwrap().starts_with("cluster-"));
    assert_eq!(reply.body.matches("<DBClusterMember>").count(), 2);
}

#[test]
fn instances_are_found_alone_by_name_and_by_their_cluster() {
    let aws = Aws::start();
    aws.add_cluster(Cluster::new("demo").reader());
    aws.add_instance(DbInstance::new("single").port(6000).database("one"));
    let names = |parameters: &[(&str, &str)]| {
        let reply = describe(&aws, &[&[("Action", "DescribeDBInstances")], parameters].concat());
        reply.body.matches("<DBInstance>").count()
    };
    assert_eq!(names(&[]), 3);
    let members =
        [("Filters.Filter.1.Name", "db-cluster-id"), ("Filters.Filter.1.Values.Value.1", "demo")];
    assert_eq!(names(&members), 2);
    let reply =
        describe(&aws, &[("Action", "DescribeDBInstances"), ("DBInstanceIdentifier", "single")]);
    assert_eq!(reply.element("Address"), Some("single.abc123.us-east-1.rds.amazonaws.com"));
    assert_eq!(reply.element("Port"), Some("6000"));
    assert_eq!(reply.element("DBName"), Some("one"));
}

#[test]
fn endpoints_are_listed_with_their_kind() {
    let aws = Aws::start();
    aws.add_cluster(Cluster::new("demo").reader().custom_endpoint("reports", &["demo-2"]));
    let all = describe(&aws, &[("Action", "DescribeDBClusterEndpoints")]);
    assert_eq!(all.body.matches("<DBClusterEndpointList>").count(), 3);
    let custom = describe(
        &aws,
        &[
            ("Action", "DescribeDBClusterEndpoints"),
            ("DBClusterIdentifier", "demo"),
            ("Filters.Filter.1.Name", "db-cluster-endpoint-type"),
            ("Filters.Filter.1.Values.Value.1", "custom"),
        ],
    );
    assert_eq!(custom.body.matches("<DBClusterEndpointList>").count(), 1);
    assert_eq!(custom.element("CustomEndpointType"), Some("READER"));
    assert_eq!(custom.element("DBClusterEndpointIdentifier"), Some("reports"));
}

#[test]
fn long_lists_come_in_pages() {
    let aws = Aws::start();
    for name in ["a", "b", "c"] {
        aws.add_cluster(Cluster::new(name));
    }
    aws.page_size(2);
    let first = describe(&aws, &[("Action", "DescribeDBClusters")]);
    let marker = first.element("Marker").unwrap();
    let second = describe(&aws, &[("Action", "DescribeDBClusters"), ("Marker", marker)]);
    assert_eq!(first.body.matches("<DBCluster>").count(), 2);
    assert_eq!(second.body.matches("<DBCluster>").count(), 1);
    assert_eq!(second.element("Marker"), None);
    let wrong = describe(&aws, &[("Action", "DescribeDBClusters"), ("Marker", "x")]);
    assert_eq!(wrong.error(), (400, "InvalidParameterValue".to_owned()));
    let wrong = describe(&aws, &[("Action", "DescribeDBClusters"), ("MaxRecords", "5")]);
    assert_eq!(wrong.error(), (400, "InvalidParameterValue".to_owned()));
}

#[test]
fn what_is_not_there_is_not_found() {
    let aws = Aws::start();
    let told = |action, name| describe(&aws, &[("Action", action), (name, "x")]).error();
    let no_cluster = (404, "DBClusterNotFoundFault".to_owned());
    assert_eq!(told("DescribeDBClusters", "DBClusterIdentifier"), no_cluster);
    assert_eq!(told("DescribeDBClusterEndpoints", "DBClusterIdentifier"), no_cluster);
    let no_instance = (404, "DBInstanceNotFound".to_owned());
    assert_eq!(told("DescribeDBInstances", "DBInstanceIdentifier"), no_instance);
}

#[test]
fn a_caller_without_the_right_is_told_which_one() {
    let aws = Aws::start();
    let nobody = aws.add_user("nobody", &["rds:DescribeDBInstances"]);
    let parameters = [("Action", "DescribeDBClusters"), ("DBClusterIdentifier", "demo")];
    let reply = call(&aws, &nobody, "rds", query("rds", &parameters));
    assert_eq!(reply.error(), (403, "AccessDenied".to_owned()));
    let message = reply.element("Message").unwrap();
    let expected = "User: arn:aws:iam::123456789012:user/nobody is not authorized to perform: \
                    rds:DescribeDBClusters on resource: \
                    arn:aws:rds:us-east-1:123456789012:cluster:demo";
    assert!(message.starts_with(expected), "{message}");
}

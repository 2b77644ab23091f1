//! Clusters for a transport that logs in by the Data API.

use pgferry_credentials::{DataApi, Location, Offer, Proof, Role, Source};
use pgferry_simulators::{Cluster, DbInstance};

use crate::world::{World, alone, first, told};

const CLUSTERS: &str = "rds:DescribeDBClusters";
const ARN: &str = "arn:aws:rds:us-east-1:123456789012:cluster:demo";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!cluster-abc-XyZ";

fn cluster(name: &str) -> Location {
    Location::Cluster { name: name.to_owned(), role: Role::Writer, port: None }
}

fn api(offer: &Offer) -> &DataApi {
    match &offer.lease.proof {
        Proof::DataApi(api) => api,
        other => panic!("{other:?}"),
    }
}

/// The error of a login to `location` with the secret that RDS manages.
async fn refused(world: &World, location: Location) -> (String, String) {
    told(&first(&world.access(location, Source::DataApi { secret: None })).await.unwrap_err())
}

#[test]
fn a_cluster_by_name_is_told_with_its_own_secret() {
    alone(async |world| {
        world.aws.add_cluster(Cluster::new("demo").data_api().managed_secret(SECRET));
        let access = world.access(cluster("demo"), Source::DataApi { secret: None });
        let mut attempt = access.attempt("client");
        let offer = attempt.next().await.unwrap().unwrap();
        let told = api(&offer);
        assert!(told.cluster_arn.ends_with(":cluster:demo"), "{told:?}");
        assert_eq!(told.secret_arn, SECRET);
        assert_eq!(told.region, "us-east-1");
        assert_eq!(offer.host, "demo.cluster-abc123.us-east-1.rds.amazonaws.com");
        assert_eq!((offer.lease.user.as_str(), offer.lease.proof.secret()), ("client", None));
        assert!(attempt.next().await.unwrap().is_none(), "a refused secret has no other version");
        first(&access).await.unwrap();
        assert_eq!(world.count(CLUSTERS), 1);
    });
}

#[test]
fn an_arn_and_a_secret_need_no_permission_at_rds() {
    alone(async |world| {
        let source = Source::DataApi { secret: Some("prod/app".to_owned()) };
        let offer = first(&world.access(cluster(ARN), source)).await.unwrap();
        let expected = DataApi {
            cluster_arn: ARN.to_owned(),
            secret_arn: "prod/app".to_owned(),
            region: "us-east-1".to_owned(),
        };
        assert_eq!((api(&offer), offer.host.as_str()), (&expected, "demo"));
        assert_eq!(world.count(CLUSTERS), 0);
    });
}

#[test]
fn a_data_api_that_is_off_is_said_with_the_command_and_seen_once_it_is_on() {
    alone(async |world| {
        world.aws.add_cluster(Cluster::new("demo").managed_secret(SECRET));
        let access = world.access(cluster("demo"), Source::DataApi { secret: None });
        let (text, hint) = told(&first(&access).await.unwrap_err());
        assert_eq!(text, "the Data API is off on cluster demo");
        assert!(hint.starts_with("turn it on: aws rds enable-http-endpoint --resource-arn arn:"));
        world.aws.replace_cluster(Cluster::new("demo").data_api().managed_secret(SECRET));
        first(&access).await.unwrap();
    });
}

#[test]
fn an_instance_stands_for_its_cluster_and_one_alone_has_no_data_api() {
    alone(async |world| {
        world.aws.add_cluster(Cluster::new("demo").data_api());
        world.aws.add_instance(DbInstance::new("single"));
        let instance = |name: &str| Location::Instance { name: name.to_owned(), port: None };
        let source = Source::DataApi { secret: Some("prod/app".to_owned()) };
        let offer = first(&world.access(instance("demo-1"), source)).await.unwrap();
        assert!(api(&offer).cluster_arn.ends_with(":cluster:demo"));
        let (text, hint) = refused(&world, instance("single")).await;
        assert_eq!(text, "instance single has no Data API: it belongs to no cluster");
        assert!(hint.contains("Aurora"), "{hint}");
        let (text, _) = refused(&world, cluster("demo")).await;
        assert_eq!(text, "RDS manages no secret for cluster demo");
    });
}

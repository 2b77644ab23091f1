//! Databases by name.

use std::time::Duration;

use pgferry_credentials::{Location, Role, Source};
use pgferry_simulators::{Cluster, DbInstance, Fault};

use crate::world::{CROWD, World, alone, crowd, first, told};

const CLUSTERS: &str = "rds:DescribeDBClusters";

fn cluster(role: Role) -> Location {
    Location::Cluster { name: "demo".to_owned(), role, port: None }
}

fn instance(name: &str) -> Location {
    Location::Instance { name: name.to_owned(), port: None }
}

fn iam() -> Source {
    Source::Iam { user: "app".to_owned() }
}

#[test]
fn a_crowd_asks_once_for_the_endpoint_of_a_cluster() {
    alone(async |world| {
        world.aws.add_cluster(Cluster::new("demo").reader().port(5433));
        let access = world.access(cluster(Role::Writer), iam());
        assert_eq!(access.host(), None);
        let offers = crowd(&access, 0).await;
        assert_eq!(offers.len(), CROWD);
        for offer in offers {
            let offer = offer.unwrap();
            assert_eq!(offer.host, "demo.cluster-abc123.us-east-1.rds.amazonaws.com");
            assert_eq!((offer.port, offer.database), (5433, None));
            let token = offer.lease.proof.secret().unwrap();
            assert!(token.starts_with(&format!("{}:5433/?", offer.host)), "{token}");
        }
        assert_eq!(world.count(CLUSTERS), 1);
    });
}

#[test]
fn a_role_and_a_port_choose_and_an_instance_has_its_own_endpoint() {
    alone(async |world| {
        world.aws.add_cluster(Cluster::new("demo").reader());
        world.aws.add_instance(DbInstance::new("single").port(6000));
        let reader = first(&world.access(cluster(Role::Reader), iam())).await.unwrap();
        assert_eq!(reader.host, "demo.cluster-ro-abc123.us-east-1.rds.amazonaws.com");
        let single = first(&world.access(instance("single"), iam())).await.unwrap();
        assert_eq!(single.host, "single.abc123.us-east-1.rds.amazonaws.com");
        assert_eq!(single.port, 6000);
        let other = Location::Instance { name: "single".to_owned(), port: Some(7000) };
        assert_eq!(first(&world.access(other, iam())).await.unwrap().port, 7000);
    });
}

#[test]
fn what_moved_is_looked_up_once_for_all_and_not_at_once_again() {
    alone(async |world| {
        world.aws.add_cluster(Cluster::new("demo"));
        let access = world.access(cluster(Role::Writer), iam());
        first(&access).await.unwrap();
        let lost = async || {
            for _ in 0..CROWD {
                access.moved();
            }
            crowd(&access, 0).await;
            world.count(CLUSTERS)
        };
        assert_eq!(lost().await, 1, "it was asked a moment ago");
        world.aws.clock().advance(Duration::from_secs(31));
        assert_eq!(first(&access).await.map(|_| world.count(CLUSTERS)).unwrap(), 2);
        assert_eq!(lost().await, 2);
        world.aws.clock().advance(Duration::from_hours(24));
        assert_eq!(lost().await, 3);
        world.aws.clock().advance(Duration::from_hours(24));
        crowd(&access, 0).await;
        assert_eq!(world.count(CLUSTERS), 3, "nothing has moved");
    });
}

#[test]
fn the_last_known_endpoint_serves_where_rds_does_not_answer() {
    alone(async |world| {
        world.aws.add_cluster(Cluster::new("demo"));
        let access = world.access(cluster(Role::Writer), iam());
        let before = first(&access).await.unwrap();
        access.moved();
        world.aws.clock().advance(Duration::from_secs(31));
        let denied = Fault::Error { status: 403, code: "AccessDenied", message: "no" };
        world.aws.inject(CLUSTERS, denied, 1);
        assert_eq!(first(&access).await.unwrap().host, before.host);
        assert_eq!(world.count(CLUSTERS), 2);
    });
}

/// The error of a login to `location`, once RDS tells of `made`.
async fn refused(world: &World, location: Location) -> (String, String) {
    told(&first(&world.access(location, iam())).await.unwrap_err())
}

#[test]
fn what_cannot_be_logged_in_to_is_said_with_the_command_that_mends_it() {
    alone(async |world| {
        world.aws.add_cluster(Cluster::new("demo").status("stopped"));
        world.aws.add_instance(DbInstance::new("new").status("creating"));
        world.aws.add_instance(DbInstance::new("idle").status("stopped"));
        world.aws.add_instance(DbInstance::new("plain").iam(false));
        let (text, hint) = refused(&world, cluster(Role::Writer)).await;
        assert_eq!(text, "cluster demo is stopped");
        assert_eq!(hint, "start it: aws rds start-db-cluster --db-cluster-identifier demo");
        let (text, hint) = refused(&world, instance("idle")).await;
        assert_eq!(text, "instance idle is stopped");
        assert_eq!(hint, "start it: aws rds start-db-instance --db-instance-identifier idle");
        let (text, hint) = refused(&world, instance("new")).await;
        assert_eq!(text, "instance new is creating");
        assert!(hint.contains("available"), "{hint}");
        let (text, hint) = refused(&world, instance("plain")).await;
        assert_eq!(text, "IAM database authentication is off on instance plain");
        assert!(hint.ends_with(
            "aws rds modify-db-instance --db-instance-identifier plain \
             --enable-iam-database-authentication --apply-immediately"
        ));
        let password = Source::ClientCert { user: "app".to_owned() };
        first(&world.access(instance("plain"), password)).await.unwrap();
    });
}

#[test]
fn a_name_that_is_not_there_and_a_right_that_is_missing_are_said() {
    alone(async |world| {
        world.aws.add_cluster(Cluster::new("demo"));
        let misspelt =
            Location::Cluster { name: "dmeo".to_owned(), role: Role::Writer, port: None };
        let (text, hint) = refused(&world, misspelt).await;
        assert_eq!(text, "there is no cluster dmeo in us-east-1");
        assert_eq!(hint, "did you mean demo?");
        world.aws.allow_only(&world.aws.credentials().access_key_id, &[]);
        let (text, hint) = refused(&world, cluster(Role::Writer)).await;
        assert!(format!("{text} {hint}").contains("rds:DescribeDBClusters"), "{text} {hint}");
    });
}

#[test]
fn a_host_and_a_port_need_nobody() {
    alone(async |world| {
        world.aws.allow_only(&world.aws.credentials().access_key_id, &[]);
        let host = "db.c9abc.us-east-1.rds.amazonaws.com".to_owned();
        let access = world.access(Location::Host { host: host.clone(), port: 5432 }, iam());
        assert_eq!(access.host(), Some(host.as_str()));
        access.moved();
        assert_eq!(first(&access).await.unwrap().host, host);
        assert!(world.aws.calls().is_empty());
    });
}

//! Secrets, and their rotation.

use std::time::Duration;

use pgferry_credentials::{Location, Offer, Role, Secret, Source};
use pgferry_simulators::{Cluster, DbInstance, Fault};

use crate::world::{CROWD, World, alone, crowd, first, has_keys, told};

const FETCHED: &str = "secretsmanager:GetSecretValue";
const HOST: &str = "db.c9abc.us-east-1.rds.amazonaws.com";

fn host() -> Location {
    Location::Host { host: HOST.to_owned(), port: 5432 }
}

fn secret(id: &str) -> Source {
    Source::SecretsManager(Secret { id: Some(id.to_owned()), ..Secret::default() })
}

fn value(user: &str, password: &str) -> String {
    format!(r#"{{"username":"{user}","password":"{password}"}}"#)
}

/// User and password of an offer.
fn login(offer: &Offer) -> (&str, &str) {
    (&offer.lease.user, offer.lease.proof.secret().unwrap())
}

/// The only login that a crowd is offered.
fn only(offers: &[Option<Offer>]) -> (&str, &str) {
    assert_eq!(offers.len(), CROWD);
    let mut logins = offers.iter().map(|offer| login(offer.as_ref().unwrap()));
    let one = logins.next().unwrap();
    assert!(logins.all(|login| login == one));
    one
}

#[test]
fn a_crowd_fetches_once_and_believes_it_for_a_quarter_of_an_hour() {
    alone(async |world| {
        world.aws.add_secret("prod/db", &value("app", "sesame"));
        let access = world.access(host(), secret("prod/db"));
        assert_eq!(only(&crowd(&access, 0).await), ("app", "sesame"));
        world.aws.clock().advance(Duration::from_mins(14));
        crowd(&access, 0).await;
        assert_eq!(world.count(FETCHED), 1);
        world.aws.clock().advance(Duration::from_mins(1));
        crowd(&access, 0).await;
        assert_eq!(world.count(FETCHED), 2);
    });
}

#[test]
fn a_refusal_has_the_secret_fetched_once_for_all_who_were_refused() {
    alone(async |world| {
        world.aws.add_secret("prod/db", &value("app", "old"));
        let access = world.access(host(), secret("prod/db"));
        first(&access).await.unwrap();
        world.aws.begin_rotation("prod/db", &value("app", "new")).finish();
        assert_eq!(only(&crowd(&access, 1).await), ("app", "new"));
        assert_eq!(world.count(FETCHED), 2);
    });
}

#[test]
fn the_pending_version_serves_until_the_rotation_ends() {
    alone(async |world| {
        world.aws.add_secret("rds!db-1", &value("app", "old"));
        let access = world.access(host(), secret("rds!db-1"));
        first(&access).await.unwrap();
        let rotation = world.aws.begin_rotation("rds!db-1", &value("app", "new"));
        assert_eq!(only(&crowd(&access, 1).await), ("app", "new"));
        assert_eq!(world.count(FETCHED), 3, "AWSCURRENT again, and AWSPENDING");
        assert_eq!(only(&crowd(&access, 0).await), ("app", "new"), "what was refused comes last");
        rotation.finish();
        assert_eq!(only(&crowd(&access, 0).await), ("app", "new"));
        assert_eq!(world.count(FETCHED), 3);
    });
}

#[test]
fn the_user_changes_with_the_password() {
    alone(async |world| {
        world.aws.add_secret("prod/db", &value("app", "a"));
        let access = world.access(host(), secret("prod/db"));
        let mut attempt = access.attempt("client");
        assert_eq!(login(&attempt.next().await.unwrap().unwrap()), ("app", "a"));
        world.aws.begin_rotation("prod/db", &value("app_clone", "b")).finish();
        assert_eq!(login(&attempt.next().await.unwrap().unwrap()), ("app_clone", "b"));
    });
}

#[test]
fn who_is_too_early_for_a_rotation_waits_for_it() {
    alone(async |world| {
        world.aws.add_secret("prod/db", &value("app", "old"));
        let access = world.access(host(), secret("prod/db"));
        let _unfinished = world.aws.begin_rotation("prod/db", &value("app", "new"));
        let mut attempt = access.attempt("client");
        for password in ["old", "new", "old", "new"] {
            assert_eq!(login(&attempt.next().await.unwrap().unwrap()), ("app", password));
        }
        assert_eq!(world.count(FETCHED), 1 + 2 + 2 + 2 + 2);
    });
}

#[test]
fn a_wrong_password_is_given_up() {
    alone(async |world| {
        world.aws.add_secret("prod/db", &value("app", "wrong"));
        let access = world.access(host(), secret("prod/db"));
        let began = tokio::time::Instant::now();
        assert!(crowd(&access, 1).await.iter().all(Option::is_none));
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert_eq!(
            world.count(FETCHED),
            1 + 3 * 2,
            "three looks after the first, for all together"
        );
    });
}

#[test]
fn the_secret_that_rds_manages_is_found_by_cluster_instance_and_host() {
    alone(async |world| {
        let arn = world.aws.add_secret("rds!cluster-1", &value("postgres", "sesame"));
        world.aws.add_cluster(Cluster::new("demo").reader().managed_secret(&arn).port(5433));
        world.aws.add_instance(DbInstance::new("plain"));
        let managed = || Source::SecretsManager(Secret::default());
        let cluster = Location::Cluster { name: "demo".to_owned(), role: Role::Reader, port: None };
        let instance = |name: &str| Location::Instance { name: name.to_owned(), port: None };
        let by_host = Location::Host {
            host: "demo.cluster-abc123.us-east-1.rds.amazonaws.com".to_owned(),
            port: 6000,
        };
        for (location, port) in [(cluster, 5433), (instance("demo-2"), 5433), (by_host, 6000)] {
            let offer = first(&world.access(location.clone(), managed())).await.unwrap();
            assert_eq!(login(&offer), ("postgres", "sesame"), "{location}");
            assert_eq!(offer.port, port, "{location}");
        }
        let asked = world.count("rds:DescribeDBClusters");
        let member = world.access(instance("demo-1"), managed());
        assert_eq!(only(&crowd(&member, 0).await), ("postgres", "sesame"));
        assert_eq!(world.count("rds:DescribeDBClusters"), asked + 1);
        let (text, hint) =
            told(&first(&world.access(instance("plain"), managed())).await.unwrap_err());
        assert_eq!(text, "RDS manages no secret for instance plain");
        assert!(hint.contains("name the secret"), "{hint}");
    });
}

#[test]
fn a_secret_may_say_where_the_database_is() {
    alone(async |world| {
        let text = format!(
            r#"{{"username":"app","password":"pw","host":"{HOST}","port":5433,"dbname":"shop"}}"#
        );
        let arn = world.aws.add_secret("prod/db", &text);
        let access = world.access(Location::Secret { port: None }, secret(&arn));
        assert_eq!(access.host(), None);
        let offer = first(&access).await.unwrap();
        assert_eq!((offer.host.as_str(), offer.port), (HOST, 5433));
        assert_eq!(offer.database.as_deref(), Some("shop"));
        world.aws.add_secret("bare", &value("app", "pw"));
        let bare = world.access(Location::Secret { port: None }, secret("bare"));
        let (text, hint) = told(&first(&bare).await.unwrap_err());
        assert_eq!(text, "the secret bare does not say where the database is");
        assert_eq!(hint, "set host, cluster or instance of the database");
    });
}

#[test]
fn what_is_missing_to_read_it_is_named() {
    alone(async |world| {
        world.aws.add_secret("prod/db", &value("app", "pw"));
        world.aws.encrypt_with_own_key("prod/db");
        let key = &world.aws.credentials().access_key_id;
        for (allowed, missing) in [(&[][..], FETCHED), (&["secretsmanager:*"][..], "kms:Decrypt")] {
            world.aws.allow_only(key, allowed);
            let error = first(&world.access(host(), secret("prod/db"))).await.unwrap_err();
            let (text, hint) = told(&error);
            assert!(format!("{text} {hint}").contains(missing), "{text} {hint}");
        }
        world.aws.allow_only(key, &["*"]);
        let error = first(&world.access(host(), secret("prod/bd"))).await.unwrap_err();
        assert!(error.to_string().contains("can't find"), "{error}");
    });
}

#[test]
fn keys_that_ended_before_their_time_are_looked_up_anew() {
    alone(async |world| {
        world.aws.add_secret("prod/db", &value("app", "pw"));
        let session = |name| world.aws.add_session(name, Duration::from_hours(1), &["*"]);
        let (before, after) = (session("before"), session("after"));
        has_keys(&before);
        let account = world.account(&world.identity());
        assert_eq!(account.credentials().await.unwrap().access_key_id(), before.access_key_id);
        world.aws.end_session(&before.access_key_id);
        has_keys(&after);
        let offer = first(&world.access(host(), secret("prod/db"))).await.unwrap();
        assert_eq!(login(&offer), ("app", "pw"));
    });
}

/// What the SDK takes for a reason to ask again, as often as it does.
fn unanswered(world: &World) {
    world.aws.inject(FETCHED, Fault::Throttle, 3);
}

#[test]
fn a_secret_that_nobody_refused_serves_while_aws_does_not_answer() {
    alone(async |world| {
        world.aws.add_secret("prod/db", &value("app", "pw"));
        let access = world.access(host(), secret("prod/db"));
        first(&access).await.unwrap();
        world.aws.clock().advance(Duration::from_hours(1));
        unanswered(&world);
        assert_eq!(login(&first(&access).await.unwrap()), ("app", "pw"));
        assert_eq!(world.count(FETCHED), 4);
        crowd(&access, 0).await;
        assert_eq!(world.count(FETCHED), 4, "AWS is left alone for a minute");
        world.aws.clock().advance(Duration::from_mins(1));
        crowd(&access, 0).await;
        assert_eq!(world.count(FETCHED), 5);
    });
}

#[test]
fn nothing_shows_a_password() {
    alone(async |world| {
        world.aws.add_secret("prod/db", &value("app", "sesame"));
        let access = world.access(host(), secret("prod/db"));
        let mut attempt = access.attempt("client");
        let offer = attempt.next().await.unwrap().unwrap();
        let shown = format!("{access:?} {attempt:?} {offer:?}");
        assert!(!shown.contains("sesame"), "{shown}");
    });
}

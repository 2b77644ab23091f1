//! Tokens for RDS and DSQL.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pgferry_aws::Identity;
use pgferry_credentials::{Access, Location, Offer, Proof, Source};
use pgferry_simulators::SERVER_NAME;
use pgferry_simulators::sigv4::{Credentials, presign, timestamp};

use crate::world::{World, alone, crowd, first, has_keys, home, told};

const DSQL: &str = "abtxyz4u5k6m7n8o9p0qrstuvw.dsql.us-east-1.on.aws";

fn host(name: &str, port: u16) -> Location {
    Location::Host { host: name.to_owned(), port }
}

fn iam(user: &str) -> Source {
    Source::Iam { user: user.to_owned() }
}

fn token(offer: &Offer) -> &str {
    assert!(matches!(offer.lease.proof, Proof::Token(_)));
    offer.lease.proof.secret().unwrap()
}

/// Host and parameters, in whatever order.
fn parts(token: &str) -> (&str, BTreeSet<&str>) {
    let (host, query) = token.split_once("/?").unwrap();
    (host, query.split('&').collect())
}

/// What the simulator's own signer makes of it, at the time the token says.
fn expected(
    offered: &str,
    host: &str,
    parameters: &[(&str, &str)],
    keys: &Credentials,
    service: &str,
) -> String {
    let date = parts(offered).1.into_iter().find_map(|part| part.strip_prefix("X-Amz-Date="));
    let date = pgferry_simulators::sigv4::parse_timestamp(date.unwrap()).unwrap();
    let query = presign(host, parameters, keys, ("us-east-1", service), (date, 900));
    format!("{host}/?{query}")
}

#[test]
fn a_token_is_what_another_signer_makes_for_the_same_endpoint_and_user() {
    alone(async |world| {
        for (keys, user) in [
            (world.aws.credentials().clone(), "app"),
            (world.aws.add_session("reader", Duration::from_hours(1), &["*"]), "Jane Doe+&ü@x/%"),
        ] {
            has_keys(&keys);
            let access = world.access(host(&SERVER_NAME.to_uppercase(), 5433), iam(user));
            world.account(&world.identity()).forget();
            let offer = first(&access).await.unwrap();
            assert_eq!((offer.lease.user.as_str(), offer.port), (user, 5433));
            assert_eq!(offer.host, SERVER_NAME.to_uppercase(), "the name as it is configured");
            let parameters = [("Action", "connect"), ("DBUser", user)];
            let signed = format!("{SERVER_NAME}:5433");
            let expected = expected(token(&offer), &signed, &parameters, &keys, "rds-db");
            assert_eq!(parts(token(&offer)), parts(&expected));
        }
        assert!(world.aws.calls().is_empty(), "nobody is asked");
    });
}

#[test]
fn a_token_for_dsql_names_the_action_of_its_user() {
    alone(async |world| {
        let keys = world.aws.credentials();
        for (user, action) in [("admin", "DbConnectAdmin"), ("app", "DbConnect")] {
            let access = world.access(host(DSQL, 5432), Source::Dsql { user: user.to_owned() });
            let offer = first(&access).await.unwrap();
            assert_eq!(offer.database.as_deref(), Some("postgres"));
            let expected = expected(token(&offer), DSQL, &[("Action", action)], keys, "dsql");
            assert_eq!(parts(token(&offer)), parts(&expected));
        }
    });
}

#[test]
fn a_crowd_shares_one_signature_and_after_a_refusal_another() {
    alone(async |world| {
        let access = world.access(host(SERVER_NAME, 5432), iam("app"));
        let ends = async |refusals| {
            let offers = crowd(&access, refusals).await;
            offers
                .iter()
                .map(|offer| offer.as_ref().unwrap().lease.expires)
                .collect::<BTreeSet<_>>()
        };
        let (offered, fresh) = (ends(0).await, ends(1).await);
        assert_eq!((offered.len(), fresh.len()), (1, 1), "{offered:?} {fresh:?}");
        assert!(fresh > offered);
        assert_eq!(ends(0).await, fresh, "the fresh one serves those who come later");
        assert!(crowd(&access, 2).await.iter().all(Option::is_none), "there is nothing else");
    });
}

#[test]
fn a_token_is_reused_while_a_minute_is_left() {
    alone(async |world| {
        let access = world.access(host(SERVER_NAME, 5432), iam("app"));
        let made = first(&access).await.unwrap();
        world.aws.clock().advance(Duration::from_secs(13 * 60 + 50));
        assert_eq!(token(&first(&access).await.unwrap()), token(&made));
        world.aws.clock().advance(Duration::from_secs(10));
        let next = first(&access).await.unwrap();
        assert!(next.lease.expires > made.lease.expires);
        assert_ne!(token(&next), token(&made));
    });
}

#[test]
fn a_token_ends_with_the_keys_that_signed_it() {
    alone(async |world| {
        let keys = world.aws.add_session("reader", Duration::from_hours(1), &["*"]);
        let end = world.aws.clock().now() + 300;
        let time = timestamp(end);
        let time = format!(
            "{}-{}-{}:{}:{}",
            &time[..4],
            &time[4..6],
            &time[6..11],
            &time[11..13],
            &time[13..]
        );
        let json = format!(
            r#"{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"{}","SessionToken":"{}",
            "Expiration":"{time}"}}"#,
            keys.access_key_id,
            keys.secret_access_key,
            keys.session_token.unwrap()
        );
        std::fs::write(home().join("keys"), json).unwrap();
        let process =
            format!("[profile short]\ncredential_process = cat {}/keys\n", home().display());
        std::fs::write(home().join(".aws/config"), process).unwrap();
        let short = Identity { profile: Some("short".to_owned()), ..world.identity() };
        let access = Access::new(host(SERVER_NAME, 5432), iam("app"), world.account(&short));
        let offer = first(&access).await.unwrap();
        let left = offer.lease.expires.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(left.as_secs(), end);
    });
}

#[test]
fn the_name_of_the_endpoint_is_region_enough() {
    alone(async |world| {
        let account = world.account(&Identity::default());
        assert!(account.region().await.is_err(), "no region is set");
        let at = |name| Access::new(host(name, 5432), iam("app"), account.clone());
        let offer = first(&at("db.c9abc.eu-west-3.rds.amazonaws.com")).await.unwrap();
        assert!(token(&offer).contains("%2Feu-west-3%2Frds-db%2F"), "{}", token(&offer));
        let error = first(&at("127.0.0.1")).await.unwrap_err();
        let (text, hint) = told(&error);
        assert!(text.contains("127.0.0.1 is an address"), "{text}");
        assert!(hint.contains("what is dialled in address"), "{hint}");
    });
}

#[test]
fn no_keys_are_an_error_that_the_next_login_mends() {
    alone(async |world| {
        std::fs::remove_file(home().join(".aws/credentials")).unwrap();
        let access = world.access(host(SERVER_NAME, 5432), iam("app"));
        let error = first(&access).await.unwrap_err();
        assert!(told(&error).1.contains("AWS_PROFILE"), "{error}");
        has_keys(world.aws.credentials());
        first(&access).await.unwrap();
    });
}

#[test]
fn nothing_shows_a_token() {
    alone(async |world: World| {
        let access = world.access(host(SERVER_NAME, 5432), iam("app"));
        let offer = first(&access).await.unwrap();
        let shown = format!("{access:?} {offer:?} {:?}", Arc::clone(&access).attempt("client"));
        assert!(!shown.contains("X-Amz"), "{shown}");
    });
}

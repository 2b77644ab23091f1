//! Logins with secrets of a simulated Secrets Manager, psql through the real binary.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use pgferry_simulators::{Aws, Cluster, Postgres, Role, SERVER_NAME, Sshd};
use support::PATIENCE;
use support::pgferry::{ADMIN, Pgferry};
use support::world::World;

const SECRET: &str = "prod/db";

struct Place {
    aws: Aws,
    world: World,
}

impl Place {
    fn new() -> Self {
        Self { aws: Aws::start(), world: World::with(Postgres::start(), Sshd::start()) }
    }

    /// A secret as a person or CDK makes it: all that a login needs.
    fn add_secret(&self) -> String {
        let postgres = &self.world.postgres;
        let value = serde_json::json!({
            "engine": "postgres", "host": SERVER_NAME, "port": postgres.port(),
            "username": Role::Scram.name(), "password": postgres.password(Role::Scram),
            "dbname": "app",
        });
        self.aws.add_secret(SECRET, &value.to_string())
    }

    fn target(&self, database: &str, credential: &str) -> String {
        let ca_file = self.world.postgres.ca_file();
        let address = self.world.postgres.address().expect("a TCP listener");
        format!(
            "{ADMIN}[targets.db]\nlisten = \"127.0.0.1:0\"\n\
             database = {{ {database}address = \"{address}\", ca_file = {ca_file:?} }}\n\
             credential = {{ kind = \"secrets-manager\"{credential} }}\n"
        )
    }

    fn start(&self, config: &str) -> Pgferry {
        Pgferry::start_in(&self.aws, config)
    }

    fn ask(&self, pgferry: &Pgferry, question: &str) -> Output {
        let mut psql = self.world.postgres.client("psql");
        psql.args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-c", question, "-d"]);
        psql.arg(format!("host=127.0.0.1 port={} user=me dbname=other", pgferry.port("db")));
        psql.output().expect("psql starts")
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const WHO: &str = "select current_user || ' in ' || current_database()";

#[test]
fn a_secret_says_host_port_user_and_database_where_the_configuration_does_not() {
    let place = Place::new();
    place.add_secret();
    let pgferry = place.start(&place.target("", &format!(", secret = \"{SECRET}\"")));
    for _ in 0..3 {
        assert_eq!(text(&place.ask(&pgferry, WHO)), "app_scram in app");
    }
    assert_eq!(place.aws.count("secretsmanager:GetSecretValue"), 1);
}

#[test]
fn the_secret_that_rds_manages_is_found_with_the_endpoint_of_its_cluster() {
    let place = Place::new();
    let postgres = &place.world.postgres;
    let value = serde_json::json!({
        "username": Role::Scram.name(), "password": postgres.password(Role::Scram),
    });
    let arn = place.aws.add_secret("rds!cluster-1", &value.to_string());
    let cluster = Cluster::new("demo").port(postgres.port()).managed_secret(&arn);
    place.aws.add_cluster(cluster);
    let pgferry = place.start(&place.target("cluster = \"demo\", name = \"app\", ", ""));
    assert_eq!(text(&place.ask(&pgferry, WHO)), "app_scram in app");
}

/// The database takes the new password before the secret says so, as rotations of Secrets Manager do.
#[test]
fn a_rotation_under_continuous_new_connections_fails_none_of_them() {
    let place = Place::new();
    place.add_secret();
    let pgferry = place.start(&place.target("", &format!(", secret = \"{SECRET}\"")));
    rotate_under_load(&place, &pgferry, |place| {
        place.aws.rotate_database_first(SECRET, &place.world.postgres).expect("a rotation")
    });
}

#[test]
fn a_rotation_between_two_users_fails_no_connection_either() {
    let place = Place::new();
    place.add_secret();
    let other = "CREATE ROLE app_second LOGIN PASSWORD 'not yet'";
    place.world.postgres.query(other).expect("a second user");
    let pgferry = place.start(&place.target("", &format!(", secret = \"{SECRET}\"")));
    let mut next = ["app_second", Role::Scram.name()].into_iter().cycle();
    let users = rotate_under_load(&place, &pgferry, |place| {
        let user = next.next().expect("one of two");
        place.aws.rotate_to_user(SECRET, user, &place.world.postgres).expect("a rotation")
    });
    assert_eq!(users, BTreeSet::from(["app_second".to_owned(), "app_scram".to_owned()]));
}

/// Rotates three times while clients connect, and gives the users that they were.
fn rotate_under_load(
    place: &Place,
    pgferry: &Pgferry,
    mut rotate: impl FnMut(&Place) -> pgferry_simulators::Rotation,
) -> BTreeSet<String> {
    let over = AtomicBool::new(false);
    let (done, connections) = channel();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let done = done.clone();
            let over = &over;
            scope.spawn(move || connect_until(over, place, pgferry, &done));
        }
        // The clients are told to stop whichever way this ends.
        let stop = Stop(&over);
        let mut users = BTreeSet::new();
        for _ in 0..3 {
            users.extend(several(&connections));
            let rotation = rotate(place);
            users.extend(several(&connections));
            rotation.finish();
        }
        users.extend(several(&connections));
        drop(stop);
        users
    })
}

fn connect_until(over: &AtomicBool, place: &Place, pgferry: &Pgferry, done: &Sender<Output>) {
    while !over.load(Ordering::Relaxed) {
        let ended = done.send(place.ask(pgferry, "select current_user"));
        if ended.is_err() {
            return;
        }
    }
}

/// Who some connections were. The first ones began before this was asked for.
fn several(connections: &Receiver<Output>) -> Vec<String> {
    let next = || connections.recv_timeout(PATIENCE).expect("a connection ends");
    (0..4 * CLIENTS).map(|_| text(&next())).collect()
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const CLIENTS: usize = 4;

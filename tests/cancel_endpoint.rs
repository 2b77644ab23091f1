//! Cancel requests where one endpoint leads to several servers, as reader endpoints do.

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
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use pgferry_simulators::{Key, Postgres, Role, SERVER_NAME, Sshd};
use support::client::Wire;
use support::pgferry::Pgferry;
use support::target::Target;
use support::world::{Way, World};

/// One address for several ports: each connection goes to the next one.
struct Endpoint {
    port: u16,
    ports: Arc<Mutex<Vec<u16>>>,
}

impl Endpoint {
    fn start(ports: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it has one").port();
        let ports = Arc::new(Mutex::new(ports.to_vec()));
        let turns = Arc::clone(&ports);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut turns = turns.lock().expect("nobody panicked");
                let next = turns[0];
                turns.rotate_left(1);
                drop(turns);
                // Without a server the client is let go, as by a host that is gone.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", next)) {
                    join(client, server);
                }
            }
        });
        Self { port, ports }
    }

    /// Leads here alone from now on.
    fn lead_to(&self, port: u16) {
        *self.ports.lock().expect("nobody panicked") = vec![port];
    }
}

fn join(client: TcpStream, server: TcpStream) {
    let (to_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || pass(client, to_server));
    thread::spawn(move || pass(server, to_client));
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    io::copy(&mut from, &mut to).ok();
    // It may be closed already.
    to.shutdown(Shutdown::Write).ok();
}

/// Two servers behind one name, each with a certificate and a key of its own.
struct Cluster {
    world: World,
    other: Postgres,
    endpoint: Endpoint,
}

const ONE: &str = "one.abc123.us-east-1.rds.amazonaws.com";
const TWO: &str = "two.abc123.us-east-1.rds.amazonaws.com";

impl Cluster {
    fn start() -> Self {
        let one = Postgres::builder().instance(ONE).start();
        let other = Postgres::builder().instance(TWO).start();
        let (role, password) = (Role::Scram.name(), one.password(Role::Scram));
        other.query(&format!("alter role {role} password '{password}'")).expect("it is altered");
        let endpoint = Endpoint::start(&[one.port(), other.port()]);
        let world = World::with(one, Sshd::start());
        let authorities = [world.postgres.ca_file(), other.ca_file()]
            .map(|file| std::fs::read_to_string(file).unwrap());
        std::fs::write(world.directory().join("both.pem"), authorities.concat()).unwrap();
        Self { world, other, endpoint }
    }

    fn target(&self, way: Way) -> Target {
        let mut target = Target::new("db", &self.world, way, Role::Scram);
        target.database = self.database(&format!("address = \"127.0.0.1:{}\"", self.endpoint.port));
        target
    }

    fn database(&self, more: &str) -> String {
        let authorities = self.world.directory().join("both.pem");
        format!("{{ host = \"{SERVER_NAME}\", ca_file = {authorities:?}, {more} }}")
    }

    /// How many cancel requests came to a server that they were not for.
    fn strangers(&self) -> usize {
        let servers = [&self.world.postgres, &self.other];
        servers.map(|server| server.log().count("in cancel request")).into_iter().sum()
    }
}

fn start(target: &Target) -> Pgferry {
    Pgferry::start(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n{target}"))
}

/// A session with a query that only a cancel request ends; also its key and its server.
fn busy(pgferry: &Pgferry) -> (Wire, Vec<u8>, String) {
    let (mut wire, key) = Wire::open_with_key(pgferry.port("db"));
    let server = wire.query("show port").expect("an answer").concat();
    wire.ask("do $$ begin raise notice 'running'; perform pg_sleep(3600); end $$");
    while wire.next().expect("a message").expect("not the end").tag != b'N' {}
    (wire, key, server)
}

fn assert_cancels(pgferry: &Pgferry) -> String {
    let (mut wire, key, server) = busy(pgferry);
    Wire::cancel(pgferry.port("db"), &key);
    assert_eq!(wire.fault().code, "57014", "{}", pgferry.log().text());
    server
}

fn counted(pgferry: &Pgferry, result: &str) -> Option<f64> {
    let series = format!("pgferry_cancel_requests_total{{target=\"db\",result=\"{result}\"}}");
    pgferry.metric(&series)
}

#[test]
fn a_cancel_reaches_the_server_of_its_session_wherever_the_endpoint_leads() {
    let cluster = Cluster::start();
    for way in [Way::Direct, Way::SshLinked, Way::SshLoaded] {
        let pgferry = start(&cluster.target(way));
        let servers: BTreeSet<String> = (0..6).map(|_| assert_cancels(&pgferry)).collect();
        assert_eq!(servers.len(), 2, "{way:?}: sessions were on {servers:?} alone");
        assert_eq!(counted(&pgferry, "forwarded"), Some(6.0), "{}", pgferry.admin("/metrics").1);
        assert!(pgferry.log().count("another server") > 0, "{}", pgferry.log().text());
        assert_eq!(cluster.strangers(), 0, "{way:?}: a key was told to another server");
    }
}

#[test]
fn a_cancel_for_a_server_that_is_gone_from_the_endpoint_fails_and_tells_nobody_the_key() {
    let cluster = Cluster::start();
    let pgferry = start(&cluster.target(Way::SshLinked));
    let (wire, key, server) = busy(&pgferry);
    let (one, other) = (cluster.world.postgres.port(), cluster.other.port());
    cluster.endpoint.lead_to(if server == one.to_string() { other } else { one });
    Wire::cancel(pgferry.port("db"), &key);
    assert_eq!(counted(&pgferry, "failed"), Some(1.0), "{}", pgferry.admin("/metrics").1);
    let line = pgferry.log().wait_for("a query was not cancelled", support::PATIENCE).unwrap();
    assert!(line.contains("8 connections led to other servers"), "{line}");
    assert_eq!(cluster.strangers(), 0);
    drop(wire);
}

#[test]
fn a_cancel_for_an_address_where_nobody_listens_any_more_fails_at_once() {
    let cluster = Cluster::start();
    let mut target = cluster.target(Way::Direct);
    let gate =
        pgferry_simulators::FaultRelay::start(([127, 0, 0, 1], cluster.endpoint.port).into());
    target.database = cluster.database(&format!("address = \"{}\"", gate.address()));
    let pgferry = start(&target);
    let (wire, key, _) = busy(&pgferry);
    gate.refuse_new();
    Wire::cancel(pgferry.port("db"), &key);
    assert_eq!(counted(&pgferry, "failed"), Some(1.0), "{}", pgferry.admin("/metrics").1);
    let line = pgferry.log().wait_for("a query was not cancelled", support::PATIENCE).unwrap();
    assert!(line.contains("refused"), "{line}");
    assert_eq!(pgferry.log().count("cancel request: "), 0, "it was tried again");
    drop(wire);
}

/// A tunnel that resolves names at its far end, where the endpoint leads to `two` only once.
#[test]
fn a_tunnel_that_knows_the_instances_is_asked_for_the_sessions_own() {
    let cluster = Cluster::start();
    let (one, two) = (cluster.world.postgres.port(), cluster.other.port());
    let seen = cluster.world.directory().join("seen");
    let script = format!(
        "echo $PGFERRY_TARGET_HOST >> {seen:?}; case $PGFERRY_TARGET_HOST in \
         {ONE}) port={one};; {TWO}) port={two};; *) port={};; esac; \
         exec \"$@\" -W 127.0.0.1:$port \"$last\"",
        cluster.endpoint.port
    );
    let client = cluster.world.sshd.client(Key::Ed25519).unwrap();
    let mut words: Vec<&str> = client.get_args().map(|word| word.to_str().unwrap()).collect();
    let bastion = words.pop().unwrap();
    let script = format!("last={bastion}; {script}");
    let mut command = vec!["sh", "-c", &script, "sh", client.get_program().to_str().unwrap()];
    command.append(&mut words);
    let mut target = cluster.target(Way::Direct);
    target.database = cluster.database("port = 5432");
    target.transport = format!("{{ kind = \"exec\", command = {command:?} }}");
    let pgferry = start(&target);
    for _ in 0..2 {
        let (mut wire, key, server) = busy(&pgferry);
        let elsewhere = if server == one.to_string() { two } else { one };
        cluster.endpoint.lead_to(elsewhere);
        Wire::cancel(pgferry.port("db"), &key);
        assert_eq!(wire.fault().code, "57014", "{}", pgferry.log().text());
        let asked = std::fs::read_to_string(&seen).unwrap();
        let instance = if server == one.to_string() { ONE } else { TWO };
        assert_eq!(asked.lines().last(), Some(instance));
    }
    assert_eq!(cluster.strangers(), 0);
    // An instance that cannot be reached by its name is looked for behind the endpoint.
    let script = script
        .replace(&format!("{ONE}) port={one};; {TWO}) port={two};;"), "one.*|two.*) exit 1;;");
    command[2] = &script;
    cluster.endpoint.lead_to(one);
    target.transport = format!("{{ kind = \"exec\", command = {command:?} }}");
    assert_cancels(&start(&target));
}

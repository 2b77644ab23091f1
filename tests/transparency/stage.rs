//! Where a script is run, and how two runs are compared.

use std::sync::Arc;

use pgferry_simulators::{Authority, Role};

use crate::support::message::V3_0;
use crate::support::pgferry::Pgferry;
use crate::support::shared::Shared;
use crate::support::tls::{TlsClient, ca_file, local_tls};
use crate::support::wire::{Message, Wire};
use crate::support::world::{Way, World};

/// One database, and one pgferry with a target for each transport.
pub(crate) struct Stage {
    // First, so that pgferry is gone before what it leads to.
    pgferry: Pgferry,
    tls: TlsClient,
    world: World,
}

static STAGE: Shared<Stage> = Shared::new();

/// The target that listens on a unix socket.
const UNIX: &str = "unix";
/// The target that speaks TLS with applications.
const TLS: &str = "tls";

/// Where a script connects.
#[derive(Clone, Copy)]
enum Door<'a> {
    Plain(&'a str),
    Tls(&'a TlsClient, &'a str),
}

impl Door<'_> {
    fn connect(self) -> Wire {
        match self {
            Self::Plain(address) => Wire::connect(address),
            Self::Tls(client, address) => Wire::over(client.connect(address).expect("TLS")),
        }
    }
}

impl Stage {
    pub(crate) fn get() -> Arc<Self> {
        STAGE.get(Self::start)
    }

    fn start() -> Self {
        let world = World::start();
        let mut config: String =
            Way::ALL.iter().map(|way| world.target(&name(*way), *way, Role::Trust)).collect();
        config += &world.target(UNIX, Way::SshLinked, Role::Trust).replace(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = {{ unix = {:?}, port = 5432 }}", world.directory()),
        );
        let authority = Authority::new("local").expect("an authority");
        let local_tls = local_tls(world.directory(), &authority, &["localhost"]);
        config += &world.target(TLS, Way::Direct, Role::Trust);
        config += &["local_tls = ", &local_tls, "\n"].concat();
        let tls = TlsClient::trusting(&ca_file(world.directory(), &authority));
        let pgferry = Pgferry::start(&config);
        Self { pgferry, tls, world }
    }

    /// The database's own socket. Its roles log in there as they do behind pgferry.
    pub(crate) fn direct(&self) -> String {
        let directory = self.world.postgres.socket_directory();
        format!("{}/.s.PGSQL.{}", directory.display(), self.world.postgres.port())
    }

    /// Where pgferry listens for a transport.
    pub(crate) fn proxied(&self, way: Way) -> &str {
        self.pgferry.address(&name(way))
    }

    /// Runs SQL as the superuser, past everything under test.
    pub(crate) fn prepare(&self, sql: &str) {
        self.world.postgres.query(sql).expect("the preparation succeeds");
    }

    /// As [`Self::prepare`], for what it returns.
    pub(crate) fn ask(&self, sql: &str) -> String {
        self.world.postgres.query(sql).expect("the question is answered")
    }

    /// Runs a script against the database, then through each transport, the unix socket and TLS, and
    /// demands the same messages.
    pub(crate) fn same_everywhere(&self, script: impl Fn(&mut Scene<'_>)) {
        let expected = self.run(Door::Plain(&self.direct()), Role::Trust.name(), &script);
        let targets = Way::ALL.map(name).into_iter().chain([UNIX.to_owned()]);
        for target in targets {
            let seen = self.run(Door::Plain(self.pgferry.address(&target)), "me", &script);
            compare(&target, &expected, &seen);
        }
        let seen = self.run(Door::Tls(&self.tls, self.pgferry.address(TLS)), "me", &script);
        compare(TLS, &expected, &seen);
    }

    fn run(&self, door: Door<'_>, user: &str, script: impl Fn(&mut Scene<'_>)) -> Vec<Message> {
        let mut wire = door.connect();
        wire.greet(V3_0, &[("user", user), ("database", "app")]);
        let mut scene =
            Scene { stage: self, door, user: user.to_owned(), wire, transcript: Vec::new() };
        script(&mut scene);
        scene.transcript
    }
}

fn name(way: Way) -> String {
    format!("{way:?}").to_lowercase()
}

/// A script's view of one run.
pub(crate) struct Scene<'a> {
    stage: &'a Stage,
    door: Door<'a>,
    user: String,
    wire: Wire,
    transcript: Vec<Message>,
}

impl Scene<'_> {
    /// Starts over with a new session that asks for `parameters`; the greeting is compared too.
    pub(crate) fn open(&mut self, parameters: &[(&str, &str)]) {
        let user = self.user.clone();
        let named = [&[("user", user.as_str()), ("database", "app")], parameters].concat();
        self.wire = self.door.connect();
        let greeting = self.wire.greet(V3_0, &named);
        self.note(greeting);
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.wire.send(bytes);
    }

    pub(crate) fn trickle(&mut self, bytes: &[u8]) {
        self.wire.trickle(bytes);
    }

    /// Takes the answer up to a message of type `tag`.
    pub(crate) fn hear(&mut self, tag: u8) {
        let messages = self.wire.until(tag);
        self.note(messages);
    }

    pub(crate) fn query(&mut self, sql: &str) {
        let messages = self.wire.query(sql);
        self.note(messages);
    }

    /// Writes and reads at once, up to the `count`th `ReadyForQuery`.
    pub(crate) fn pour(&mut self, bytes: &[u8], count: usize) {
        let messages = self.wire.pour(bytes, count);
        self.note(messages);
    }

    /// Demands that nothing more comes, and that the connection ends in order.
    pub(crate) fn end(&mut self) {
        let rest = self.wire.rest();
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }

    pub(crate) fn close_write(&self) {
        self.wire.close_write();
    }

    /// Another session, past pgferry.
    pub(crate) fn elsewhere(&self, sql: &str) {
        self.stage.prepare(sql);
    }

    fn note(&mut self, messages: Vec<Message>) {
        self.transcript.extend(messages.into_iter().map(normal));
    }
}

/// Blanks what must differ: process ids and cancel keys, of which the length stays, and what temporary
/// tables are called inside.
pub(crate) fn normal(mut message: Message) -> Message {
    match message.tag {
        b'K' => message.body.fill(0),
        b'A' => message.body[..4].fill(0),
        b'T' => blank_table_ids(&mut message.body),
        b'E' => blank_temporary_schema(&mut message.body),
        _ => {}
    }
    message
}

/// The table of each column: a temporary one has another id in each session.
fn blank_table_ids(body: &mut [u8]) {
    let mut rest = &mut body[2..];
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        rest[end + 1..end + 5].fill(0);
        rest = &mut rest[end + 19..];
    }
}

/// The field that names the schema, if it is that of a session's temporary tables.
fn blank_temporary_schema(body: &mut Vec<u8>) {
    let name = b"\0spg_temp_";
    if let Some(start) = body.windows(name.len()).position(|window| window == name) {
        let digits = start + name.len();
        let end = body[digits..].iter().position(|byte| *byte == 0).expect("a whole field");
        body.drain(digits..digits + end);
    }
}

pub(crate) fn compare(target: &str, expected: &[Message], seen: &[Message]) {
    let different = expected.iter().zip(seen).position(|(expected, seen)| expected != seen);
    if let Some(place) = different {
        let (expected, seen) = (&expected[place], &seen[place]);
        panic!("{target}: message {place} is\n{seen:?} instead of\n{expected:?}");
    }
    assert_eq!(seen.len(), expected.len(), "{target}: messages are missing, or too many");
    assert!(!seen.is_empty(), "the script heard nothing");
}

//! psql, whose `\d` family reads most types of the catalogs.

use std::path::Path;
use std::process::Output;

use pgferry_simulators::Role;
use tokio::net::UnixListener;
use tokio::process::Command;

use crate::world::{LIMIT, World, client_program, direct_settings};

const COMMANDS: &[&str] = &[
    r"\d",
    r"\d pg_class",
    r"\d+ da_psql",
    r"\dt+ pg_catalog.pg_t*",
    r"\du",
    r"\l",
    r"\df pg_catalog.array_*",
    r"\dn+",
    r"\dT pg_catalog.int*",
    r"\di pg_catalog.pg_class*",
    r"\dp da_psql",
    r"\x \\ SELECT 1 AS one, NULL AS two",
    "SELECT 1; SELECT 2",
    "SELECT nothing",
];

async fn run(settings: &str, password: Option<&str>, command: &str) -> Output {
    let mut psql = Command::from(client_program("psql"));
    psql.args(["-X", "-d", settings, "-c", command]).env("LC_ALL", "C").env("PAGER", "cat");
    if let Some(password) = password {
        psql.env("PGPASSWORD", password);
    }
    psql.kill_on_drop(true);
    tokio::time::timeout(LIMIT, psql.output()).await.unwrap().unwrap()
}

/// Lets applications in at a directory's socket.
fn listen(world: &World, directory: &Path) {
    let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).unwrap();
    let doors = world.doors();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let door = doors.open().await;
            tokio::spawn(door.serve(socket));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_shows_what_it_shows_without_the_transport() {
    let direct = crate::world::direct().await;
    direct
        .batch_execute(
            "DROP TABLE IF EXISTS da_psql; CREATE TABLE da_psql (id serial PRIMARY KEY, \
             name varchar(20) NOT NULL DEFAULT 'x', price numeric(10,2) CHECK (price > 0))",
        )
        .await
        .unwrap();
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    listen(&world, directory.path());
    let through =
        format!("host={} user={} dbname=app", directory.path().display(), Role::Scram.name());
    let (settings, password) = direct_settings();
    for command in COMMANDS {
        let expected = run(&settings, Some(&password), command).await;
        let found = run(&through, None, command).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&found.stderr), text(&expected.stderr), "{command}");
        assert_eq!(text(&found.stdout), text(&expected.stdout), "{command}");
    }
}

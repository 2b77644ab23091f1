//! The database that wants a token, as psql and a bare socket see it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod dsql;
mod login;
mod tls;

use std::process::Command;

use pgferry_simulators::{Aws, IamDatabase, Postgres};

/// The three that every test wants.
struct World {
    aws: Aws,
    postgres: Postgres,
    database: IamDatabase,
}

impl World {
    fn start() -> Self {
        let (aws, postgres) = (Aws::start(), Postgres::start());
        let database = IamDatabase::builder(&aws, &postgres).port(6543).role("Mixed Case").start();
        Self { aws, postgres, database }
    }

    fn psql(&self, user: &str, token: &str, sql: &str) -> Command {
        psql(&self.postgres, &self.database, &format!("user='{user}' dbname=app"), token, sql)
    }

    fn ask(&self, user: &str, token: &str, sql: &str) -> Result<String, String> {
        said(&mut self.psql(user, token, sql))
    }
}

/// Dials the front and expects the endpoint: what a tunnel makes of it.
fn psql(
    postgres: &Postgres,
    database: &IamDatabase,
    settings: &str,
    token: &str,
    sql: &str,
) -> Command {
    let address = database.address();
    let mut psql = postgres.client("psql");
    psql.args(["-X", "-A", "-t", "-q", "-c", sql, "-d"]).arg(format!(
        "host={} hostaddr={} port={} sslmode=verify-full sslrootcert={} {settings}",
        database.endpoint(),
        address.ip(),
        address.port(),
        database.ca_file().display()
    ));
    psql.env("PGPASSWORD", token);
    psql
}

fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

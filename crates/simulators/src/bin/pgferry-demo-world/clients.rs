//! Real clients in front of pgferry.

use std::process::Command;

use pgferry_simulators::Role;

use crate::{
    failure::Failure,
    ferry::{Address, Ferry},
    narration::{self, Narration},
    world::{TOKEN_USER, World},
};

/// psql asks where it has arrived, with each of the three logins, and by the other way.
pub(crate) fn ask(world: &World, ferry: &Ferry, narration: &Narration) -> Result<(), Failure> {
    let arrived = format!("{}:{}", world.behind().ip(), world.postgres.port());
    let there = [Role::Scram.name(), "TLSv1.3", &arrived];
    narration.fact("Login", "with a password");
    ask_at(&ferry.address, (WHERE, &there), world, narration)?;
    narration.fact("Login", "with a secret of Secrets Manager");
    ask_at(&ferry.secret, (WHERE, &there), world, narration)?;
    narration.fact("Login", "with a token of IAM, which pgferry signs; that user has no password");
    ask_at(&ferry.token, (WHO, &[TOKEN_USER]), world, narration)?;
    narration.fact("Way", "through Session Manager: no bastion, no SSH key, no open port");
    ask_at(&ferry.managed, (WHERE, &there), world, narration)
}

fn ask_at(
    address: &Address,
    (question, answers): (&str, &[&str]),
    world: &World,
    narration: &Narration,
) -> Result<(), Failure> {
    let conninfo = address.conninfo();
    narration.command(&format!("psql \"{conninfo}\""));
    let mut psql = world.postgres.client("psql");
    psql.args(["-X", "-x", "-v", "ON_ERROR_STOP=1", "-d", &conninfo, "-c", question]);
    let answer = run(&mut psql)?;
    narration::block(&answer);
    for expected in answers {
        if !answer.contains(expected) {
            return Err(Failure::Unexpected(format!("the answer lacks {expected:?}")));
        }
    }
    Ok(())
}

/// pgbench makes its tables, then runs prepared statements on four connections.
pub(crate) fn load(world: &World, ferry: &Ferry, narration: &Narration) -> Result<(), Failure> {
    let conninfo = ferry.address.conninfo();
    for (arguments, shown) in [(FILL, Shown::Nothing), (RUN, Shown::Figures)] {
        narration.command(&format!("pgbench {} \"{conninfo}\"", arguments.join(" ")));
        let mut pgbench = world.postgres.client("pgbench");
        let report = run(pgbench.args(arguments).arg(&conninfo))?;
        if let Shown::Figures = shown {
            narration::block(&figures(&report));
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Shown {
    Nothing,
    Figures,
}

fn figures(report: &str) -> String {
    let told = ["number of transactions", "number of failed", "latency average", "tps"];
    let lines = report.lines().filter(|line| told.iter().any(|start| line.starts_with(start)));
    lines.collect::<Vec<_>>().join("\n")
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| Failure::Io("running a client", error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failure::Client { program, output: said })
}

const WHO: &str = "\
    SELECT current_user AS \"logged in as\", current_database() AS \"database\"";
const WHERE: &str = "\
    SELECT split_part(version(), ' on ', 1) AS \"server\", current_user AS \"logged in as\", \
    version AS \"encryption\", cipher AS \"cipher\", \
    host(inet_server_addr()) || ':' || inet_server_port() AS \"database at\" \
    FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
const FILL: &[&str] = &["-i", "-s", "1", "-q"];
const RUN: &[&str] = &["-c", "4", "-j", "2", "-T", "3", "-M", "prepared"];

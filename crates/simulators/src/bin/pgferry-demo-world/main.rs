//! The world that `make demo` shows: a throwaway PostgreSQL behind a throwaway bastion and a simulated
//! Session Manager, with the real pgferry in front, real clients, and the metrics they leave.
//!
//! Everything ends with this process, whichever way it ends. The exit code is 0 only if every step
//! did what it says.
#![expect(clippy::print_stdout, reason = "telling the story is this program's purpose")]

use std::{path::PathBuf, process::ExitCode};

use failure::Failure;
use interruption::Interruption;
use narration::Narration;

mod clients;
mod failure;
mod ferry;
mod interruption;
mod metrics;
mod narration;
mod world;

fn main() -> ExitCode {
    let narration = Narration::new();
    let shown = Arguments::parse(std::env::args_os().skip(1))
        .and_then(|arguments| show(&arguments, &narration));
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            narration.failure(&failure.to_string());
            ExitCode::from(failure.code())
        }
    }
}

fn show(arguments: &Arguments, narration: &Narration) -> Result<(), Failure> {
    let interruption = Interruption::watch()?;
    // Ctrl-C reaches psql and pgbench too: their failure is not the story.
    tell(arguments, narration, &interruption)
        .map_err(|failure| interruption.check().err().unwrap_or(failure))
}

fn tell(
    arguments: &Arguments,
    narration: &Narration,
    interruption: &Interruption,
) -> Result<(), Failure> {
    narration.step("3/6", "World: PostgreSQL behind a bastion, and behind a managed node");
    let world = world::World::start()?;
    world.describe(narration);

    narration.step(
        "4/6",
        "Ferry: pgferry, with the ssh and ssm transports loaded from their shared libraries",
    );
    let ferry = ferry::Ferry::start(arguments, &world, narration)?;
    interruption.check()?;

    narration.step("5/6", "Clients: psql and pgbench, through pgferry");
    clients::ask(&world, &ferry, narration)?;
    interruption.check()?;
    clients::load(&world, &ferry, narration)?;
    world.prove_the_way(narration)?;
    interruption.check()?;

    narration.step("6/6", "Metrics: what pgferry counted meanwhile");
    metrics::show(&ferry, narration)?;

    if arguments.once {
        narration::plain("\nEvery step worked. Taking everything down.");
        return interruption.check();
    }
    narration.invite(&ferry);
    narration::plain("Press Ctrl-C to take everything down.");
    interruption.wait_unless(&ferry)?;
    narration::plain("\nTaking everything down.");
    Ok(())
}

/// What the command line says.
struct Arguments {
    pgferry: PathBuf,
    ssh_plugin: PathBuf,
    ssm_plugin: PathBuf,
    once: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = std::ffi::OsString>) -> Result<Self, Failure> {
        let (mut pgferry, mut bastion, mut node, mut once) = (None, None, None, false);
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--pgferry") => pgferry = words.next(),
                Some("--ssh-plugin") => bastion = words.next(),
                Some("--ssm-plugin") => node = words.next(),
                Some("--once") => once = true,
                _ => return Err(Failure::Usage),
            }
        }
        let (Some(pgferry), Some(bastion), Some(node)) = (pgferry, bastion, node) else {
            return Err(Failure::Usage);
        };
        Ok(Self {
            pgferry: pgferry.into(),
            ssh_plugin: bastion.into(),
            ssm_plugin: node.into(),
            once,
        })
    }
}

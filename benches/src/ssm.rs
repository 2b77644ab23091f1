//! The ssm transport: what several sessions carry, what not sleeping is worth, and what a tunnel costs that rests.
//!
//! The service and its agents are simulated, and keep the agents' pace: 1.4 ms for each kilobyte. So the
//! figures say what the client makes of it, not what AWS's network allows.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use pgferry_simulators::{Aws, ManagedInstance, Process};
use tokio::time::Instant;

use crate::accounting::{busy_nanos, cpu_nanos, family, pss_kib};
use crate::client::Client;
use crate::machine;
use crate::peers::{Ferry, ourselves};
use crate::statistics::Spread;

/// What to measure with.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The pgferry to measure.
    #[arg(long)]
    pgferry: PathBuf,
    /// Rounds of transfers; the first one is dropped.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
}

const NODE: &str = "i-0123456789abcdef0";
/// Connections, each in a session of its own.
const SESSIONS: usize = 4;
/// Bytes of a transfer on one connection: some seconds.
const BULK: usize = 2 * 1024 * 1024;
/// Tunnels that rest, beside a first one.
const RESTING: u8 = 16;
/// Bytes of a result on each of them.
const USED: usize = 256 * 1024;
const REST: Duration = Duration::from_secs(30);
/// A message of 1,024 bytes of data as it is on the wire: headers of message and frame are 128.
const MESSAGE: usize = 1024 + 120 + 8;
/// What the original's sender sleeps after each.
const SLEEP: Duration = Duration::from_millis(1);

/// What a round of transfers shows.
const FIGURES: [&str; 6] = [
    "download, one session, MB/s",
    "download, 4 sessions, MB/s",
    "4 sessions / one",
    "upload, one session, MB/s",
    "upload with a sleep of 1 ms after each message, MB/s",
    "without / with",
];

/// Measures everything, and returns the Markdown.
pub(crate) fn measure(arguments: &Arguments) -> anyhow::Result<String> {
    let world = World::start(&arguments.pgferry)?;
    let mut text = format!("```json\n{}\n```\n\n", machine::facts());
    let (began, busy, own) = (Instant::now(), busy_nanos(None), World::cpu());
    world.transfers(arguments.rounds, &mut text)?;
    let cores = (busy_nanos(None) - busy - (World::cpu() - own)) / nanos(began.elapsed());
    writeln!(
        text,
        "\n{} rounds; others kept {:.2} cores busy.\n",
        arguments.rounds - 1,
        cores.max(0.0)
    )?;
    world.rest(&mut text)?;
    Ok(text)
}

struct World {
    program: PathBuf,
    directory: tempfile::TempDir,
    aws: Aws,
    _server: Process,
    address: SocketAddr,
}

impl World {
    fn start(program: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("pgferry-bench-").tempdir()?;
        let (server, address) = ourselves(&["serve"])?;
        let aws = Aws::start();
        aws.add_managed_instance(ManagedInstance::new(NODE));
        Ok(Self { program: program.to_owned(), directory, aws, _server: server, address })
    }

    fn ferry(&self, label: &str, more: &str) -> anyhow::Result<(Process, SocketAddr)> {
        let transport = format!("{{ kind = \"ssm\", instance = \"{NODE}\"{more} }}");
        let (program, directory) = (self.program.as_path(), self.directory.path());
        let ferry = Ferry { program, directory, label, threads: 1, transport: &transport };
        ferry.start(self.address.port(), &self.aws.envs())
    }

    /// Of all that takes part.
    fn cpu() -> f64 {
        cpu_nanos(&family(std::process::id()))
    }

    /// Downloads and uploads, round by round.
    fn transfers(&self, rounds: usize, text: &mut String) -> anyhow::Result<()> {
        let (_ours, address) = self.ferry("ours", "")?;
        let mut clients: Vec<Client> =
            (0..SESSIONS).map(|_| Client::connect(address)).collect::<Result<_, _>>()?;
        let endpoint = sleeper(self.aws.address())?;
        let slow = format!(", messages_per_second = 100000, messages_endpoint = \"{endpoint}\"");
        let (_sleeps, address) = self.ferry("sleeps", &slow)?;
        let mut sleeps = Client::connect(address)?;
        let mut figures = vec![Vec::new(); FIGURES.len()];
        for round in 0..rounds {
            let one = clients.first_mut().map(|client| client.out(1024, BULK)).transpose()?;
            let all = together(&mut clients)?;
            let up = clients.first_mut().map(|client| client.copy_in(BULK)).transpose()?;
            let (one, up) = (one.map_or(f64::NAN, rate), up.map_or(f64::NAN, rate));
            let all = rate(all) * f64::from(u32::try_from(SESSIONS)?);
            let slept = rate(sleeps.copy_in(BULK)?);
            let round_of = [one, all, all / one, up, slept, up / slept];
            if round > 0 {
                figures.iter_mut().zip(round_of).for_each(|(all, figure)| all.push(figure));
            }
        }
        table(&figures, text)
    }

    /// What tunnels cost that nobody uses.
    fn rest(&self, text: &mut String) -> anyhow::Result<()> {
        let more = format!(", max_sessions = {}, open_ahead = false", RESTING + 1);
        let (process, address) = self.ferry("resting", &more)?;
        let processes = family(process.id());
        let first = Client::idle(address)?;
        thread::sleep(Duration::from_secs(2));
        let resting = pss_kib(&processes);
        let mut clients: Vec<Client> =
            (0..RESTING).map(|_| Client::idle(address)).collect::<Result<_, _>>()?;
        thread::sleep(Duration::from_secs(2));
        let each = (pss_kib(&processes) - resting) / f64::from(RESTING);
        let before = cpu_nanos(&processes);
        thread::sleep(REST);
        let busy = (cpu_nanos(&processes) - before) / nanos(REST) / f64::from(RESTING + 1);
        for client in &mut clients {
            client.out(1024, USED)?;
        }
        thread::sleep(Duration::from_secs(2));
        let used = (pss_kib(&processes) - resting) / f64::from(RESTING);
        drop((first, clients));
        writeln!(text, "| a tunnel that rests | |\n|---|---|")?;
        writeln!(text, "| memory, its connection included | {each:.0} KiB |")?;
        writeln!(text, "| the same after a result of 256 KiB | {used:.0} KiB |")?;
        writeln!(text, "| CPU | {:.4} % of a core |", busy * 100.0)?;
        Ok(())
    }
}

/// The longest of the same transfer on all connections at once.
fn together(clients: &mut [Client]) -> anyhow::Result<f64> {
    let began = Instant::now();
    let results: Vec<_> = thread::scope(|scope| {
        let started: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(|| client.out(1024, BULK))).collect();
        started.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for result in results {
        result.map_err(|_| anyhow::anyhow!("a transfer panicked"))??;
    }
    Ok(nanos(began.elapsed()))
}

fn table(figures: &[Vec<f64>], text: &mut String) -> anyhow::Result<()> {
    writeln!(text, "| | |\n|---|---|")?;
    for (name, figures) in FIGURES.iter().zip(figures) {
        let Spread { lower, median, upper, .. } = Spread::of(figures.iter().copied());
        writeln!(text, "| {name} | {median:.2} [{lower:.2}, {upper:.2}] |")?;
    }
    Ok(())
}

/// A way to the service that sleeps after each message of the client, as the original's sender does; what comes back
/// is not held up.
fn sleeper(service: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> std::io::Result<()> {
        for client in listener.incoming() {
            let (client, service) = (client?, TcpStream::connect(service)?);
            client.set_nodelay(true)?;
            service.set_nodelay(true)?;
            let (back, up) = ((service.try_clone()?, client.try_clone()?), (client, service));
            thread::spawn(move || copy(back, Duration::ZERO));
            thread::spawn(move || copy(up, SLEEP));
        }
        Ok(())
    });
    Ok(address)
}

fn copy((mut from, mut to): (TcpStream, TcpStream), rest: Duration) -> std::io::Result<()> {
    let mut message = [0; MESSAGE];
    loop {
        let read = from.read(&mut message)?;
        if read == 0 {
            return to.shutdown(std::net::Shutdown::Write);
        }
        to.write_all(message.get(..read).unwrap_or_default())?;
        if !rest.is_zero() {
            thread::sleep(rest);
        }
    }
}

/// Megabytes a second.
fn rate(nanos: f64) -> f64 {
    f64::from(u32::try_from(BULK).unwrap_or(u32::MAX)) * 1e3 / nanos
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

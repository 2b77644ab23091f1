//! The real pgferry, configured for the world.

use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use pgferry_simulators::{Error, Grace, Key, Log, Process, Role, SERVER_NAME};
use tempfile::TempDir;

use crate::{
    Arguments,
    failure::Failure,
    narration::{self, Narration},
    world::{NODE, SECRET, TOKEN_USER, World},
};

pub(crate) struct Ferry {
    pub(crate) address: Address,
    /// The same database, logged in to with a token of IAM.
    pub(crate) token: Address,
    /// And with a secret of Secrets Manager.
    pub(crate) secret: Address,
    /// And through Session Manager.
    pub(crate) managed: Address,
    admin: String,
    log: Log,
    // Before the directory, so that pgferry is gone before its files are.
    _process: Process,
    _directory: TempDir,
}

/// Where pgferry listens for clients.
pub(crate) struct Address {
    host: String,
    port: String,
}

impl Ferry {
    pub(crate) fn start(
        arguments: &Arguments,
        world: &World,
        narration: &Narration,
    ) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new()
            .prefix("pgferry-demo-")
            .tempdir()
            .map_err(|error| Failure::Io("making a temporary directory", error))?;
        let file = write_files(directory.path(), arguments, world)?;
        narration.command(&format!("pgferry run --config {}", file.display()));
        narration::block(&fs::read_to_string(&file).unwrap_or_default());
        let mut command = Command::new(&arguments.pgferry);
        command.args(["run", "--config"]).arg(&file);
        command.envs(world.aws.envs()).env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
        let (process, log) = Process::run_in(&command, Grace::Terminate, directory.path())?;
        let at = |target: &str| Address::parse(&announced(&log, &format!("target {target} on "))?);
        let (address, token, secret) = (at("demo")?, at("token")?, at("secret")?);
        let managed = at("managed")?;
        let admin = announced(&log, "admin on ")?;
        narration.fact("Ready", &format!("target demo on {}:{}", address.host, address.port));
        Ok(Self {
            address,
            token,
            secret,
            managed,
            admin,
            log,
            _process: process,
            _directory: directory,
        })
    }

    /// Fails if pgferry has ended.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.log.wait_for("\0", Duration::ZERO) {
            Err(Error::Ended { log, .. }) => Err(Failure::FerryEnded(log)),
            _ => Ok(()),
        }
    }

    /// Where the admin listener is, as `host:port`.
    pub(crate) fn admin_address(&self) -> &str {
        self.admin.trim_start_matches("http://").trim_end_matches('/')
    }

    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.admin_address())
    }
}

impl Address {
    fn parse(text: &str) -> Result<Self, Failure> {
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| Failure::Unexpected(format!("{text:?} is no address")))?;
        Ok(Self { host: host.to_owned(), port: port.to_owned() })
    }

    /// What a client needs to connect: no password, as same-user is the way in.
    pub(crate) fn conninfo(&self) -> String {
        let (host, port, user) = (&self.host, &self.port, Role::Scram.name());
        format!("host={host} port={port} user={user} dbname=app")
    }
}

/// Waits for a line with `text` and returns the word after it.
fn announced(log: &Log, text: &str) -> Result<String, Failure> {
    let line = log.wait_for(text, READY_LIMIT)?;
    let (_, after) = line.split_once(text).unwrap_or_default();
    let word = after.split_whitespace().next().unwrap_or_default();
    Ok(word.trim_end_matches([',', ';']).to_owned())
}

fn write_files(directory: &Path, arguments: &Arguments, world: &World) -> Result<PathBuf, Failure> {
    let password = directory.join("password");
    write(&password, world.postgres.password(Role::Scram))?;
    fs::set_permissions(&password, Permissions::from_mode(0o600))
        .map_err(|error| Failure::Io("closing the password file", error))?;
    let file = directory.join("pgferry.toml");
    write(&file, &configuration(&password, arguments, world))?;
    Ok(file)
}

fn configuration(password: &Path, arguments: &Arguments, world: &World) -> String {
    let (listen, role) = (port_to_listen_on(), Role::Scram.name());
    let (ca, iam_ca) = (world.postgres.ca_file(), world.iam.ca_file());
    let behind = (world.postgres.port(), world.behind().ip().to_string());
    let iam = (world.iam.port(), world.iam.address().to_string());
    let file = password.display();
    let by_password = format!("kind = \"password\", user = \"{role}\", password_file = '{file}'");
    let by_token = format!("kind = \"iam\", user = \"{TOKEN_USER}\"");
    let by_secret = format!("kind = \"secrets-manager\", secret = \"{SECRET}\"");
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n\n{}{}{}{}{}{}",
        target(("demo", "bastion"), listen, &database(&behind, &ca), &by_password),
        target(("token", "bastion"), 0, &database(&iam, &iam_ca), &by_token),
        target(("secret", "bastion"), 0, &database(&behind, &ca), &by_secret),
        target(("managed", "node"), 0, &database(&behind, &ca), &by_secret),
        bastion(arguments, world),
        node(arguments),
    )
}

fn target(
    (name, transport): (&str, &str),
    listen: u16,
    database: &str,
    credential: &str,
) -> String {
    format!(
        "[targets.{name}]\n\
         listen = \"127.0.0.1:{listen}\"\n\
         transport = \"{transport}\"\n\
         credential = {{ {credential} }}\n\n\
         [targets.{name}.database]\n\
         {database}\n"
    )
}

fn database((port, address): &(u16, String), ca: &Path) -> String {
    format!(
        "host = \"{SERVER_NAME}\"   # the name in its certificate\n\
         port = {port}\n\
         address = \"{address}\"   # what is dialled there; a real cluster's name needs none\n\
         name = \"app\"\n\
         ca_file = '{}'\n",
        ca.display()
    )
}

fn bastion(arguments: &Arguments, world: &World) -> String {
    let bastion = &world.bastion;
    format!(
        "[transports.bastion]\n\
         kind = \"ssh\"\n\
         path = '{plugin}'\n\
         host = \"127.0.0.1\"\n\
         port = {ssh}\n\
         user = '{user}'\n\
         key_file = '{key}'\n\
         known_hosts_file = '{known_hosts}'\n\
         ssh_config = false\n\n",
        plugin = arguments.ssh_plugin.display(),
        ssh = bastion.port(),
        user = bastion.user(),
        key = bastion.key_file(Key::Ed25519).display(),
        known_hosts = bastion.known_hosts_file().display(),
    )
}

fn node(arguments: &Arguments) -> String {
    let plugin = arguments.ssm_plugin.display();
    format!("[transports.node]\nkind = \"ssm\"\npath = '{plugin}'\nname = \"{NODE}\"\n")
}

/// The port of the documentation's examples if it is free, else any.
fn port_to_listen_on() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT)).map_or(0, |_| USUAL_PORT)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::Io("writing the configuration", error))
}

const USUAL_PORT: u16 = 15_432;
const READY_LIMIT: Duration = Duration::from_secs(30);

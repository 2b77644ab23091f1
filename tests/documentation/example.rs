//! An example configuration, made whole and put before the real program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use toml::{Table, Value};

use crate::support::pgferry::{binary, write_config};
use crate::support::plugin;

/// What an example turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// A configuration, whole or a part of one.
    Configuration,
    /// A part of a `Cargo.toml`.
    Manifest,
}

/// What parts of a configuration are put into.
const FRAME: &str = r#"
[targets.dev]
listen = "127.0.0.1:15432"
database = { host = "db.example" }
credential = { kind = "password", user = "app", password_env = "DEV_PASSWORD" }
"#;
const TOP: &[&str] = &["admin", "limits", "relay", "targets", "transports"];
const OF_A_TARGET: &[&str] =
    &["listen", "database", "transport", "credential", "local_auth", "local_tls"];

/// Runs `pgferry config check` on an example. Keys of a target go into a target, what is missing is
/// supplied: a frame, files, variables. Gives the program's words if it refuses.
pub(crate) fn check(text: &str) -> Result<Checked, String> {
    let example: Table = text.parse().map_err(|error| format!("no TOML: {error}"))?;
    if example.contains_key("lib") {
        return Ok(Checked::Manifest);
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut supplies = Supplies { directory: directory.path(), variables: Vec::new() };
    let mut table: Table = FRAME.parse().expect("the frame is TOML");
    merge(&mut table, example);
    supplies.supply(&mut table);
    let text = toml::to_string(&table).expect("TOML again");
    let mut command = binary();
    command.args(["config", "check", "--config"]).arg(write_config(directory.path(), &text));
    command.arg("--plugin-dir").arg(plugin::library("tcp").parent().expect("a directory"));
    command.envs(
        supplies.variables.iter().chain(["DEV_PASSWORD".to_owned()].iter()).map(|name| (name, "x")),
    );
    command.env("XDG_DATA_HOME", directory.path()).env("HOME", directory.path());
    if text.contains("local-ca") {
        let made = binary().arg("local-ca").env("XDG_DATA_HOME", directory.path()).output();
        assert!(made.expect("the binary starts").status.success());
    }
    // A machine without a trust store can run this test too.
    command.env("SSL_CERT_FILE", supplies.certificate());
    let output = command.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(Checked::Configuration) } else { Err(said) }
}

/// Puts a part where it belongs. What belongs nowhere goes to the top, for the program to judge.
fn merge(frame: &mut Table, example: Table) {
    for (key, value) in example {
        if OF_A_TARGET.contains(&key.as_str()) {
            let dev = frame.get_mut("targets").and_then(|targets| targets.get_mut("dev"));
            dev.and_then(Value::as_table_mut).expect("the frame's target").insert(key, value);
        } else {
            frame.insert(key, value);
        }
    }
    assert!(TOP.iter().any(|key| frame.contains_key(*key)));
}

/// The files and variables that an example names.
struct Supplies<'a> {
    directory: &'a Path,
    variables: Vec<String>,
}

impl Supplies<'_> {
    fn supply(&mut self, table: &mut Table) {
        let kind = table.get("kind").and_then(Value::as_str).map(str::to_owned);
        for (key, value) in table.iter_mut() {
            match (key.as_str(), value) {
                (_, Value::Table(below)) => self.supply(below),
                ("env" | "password_env", Value::String(name)) => self.variables.push(name.clone()),
                ("path", Value::String(path)) => {
                    let library = plugin::library(kind.as_deref().unwrap_or_default());
                    *path = library.display().to_string();
                }
                (key, Value::String(path)) if key == "file" || key.ends_with("_file") => {
                    *path = self.file(key, path);
                }
                _ => {}
            }
        }
    }

    /// Writes the file a path names, here, and gives the path to it.
    fn file(&self, key: &str, path: &str) -> String {
        let name = Path::new(path).file_name().expect("a file name");
        let file = self.directory.join(name);
        match key {
            "ca_file" | "cert_file" => fs::copy(self.certificate(), &file).map(drop),
            "key_file" => fs::copy(self.key(), &file).map(drop),
            _ => fs::write(&file, "secret\n"),
        }
        .expect("the file is written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("and made private");
        file.display().to_string()
    }

    /// Somebody's certificate.
    fn certificate(&self) -> String {
        self.made("authority.pem")
    }

    /// Its key.
    fn key(&self) -> String {
        self.made("authority.key")
    }

    fn made(&self, name: &str) -> String {
        let (certificate, key) = ("authority.pem", "authority.key");
        if !self.directory.join(key).exists() {
            let made = rcgen::generate_simple_self_signed(vec!["authority.example".to_owned()]);
            let made = made.expect("a certificate");
            fs::write(self.directory.join(certificate), made.cert.pem()).expect("it is written");
            let pem = made.signing_key.serialize_pem();
            fs::write(self.directory.join(key), pem).expect("it is written");
        }
        self.directory.join(name).display().to_string()
    }
}

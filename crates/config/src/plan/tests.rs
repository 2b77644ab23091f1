mod aws;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::secret::SecretSource;

const TARGET: &str = r#"
[targets.dev]
listen = "127.0.0.1:15432"
database = { host = "dev.example", name = "app" }
credential = { kind = "password", user = "app", password_env = "PATH" }
"#;

struct Written {
    _directory: tempfile::TempDir,
    file: PathBuf,
}

fn write(text: &str) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Written { _directory: directory, file }
}

fn load(text: &str) -> Result<Plan, String> {
    let plan = Plan::load(&Found::named(&write(text).file)).and_then(|plan| plan.select(&[]));
    plan.map_err(|error| error.to_string())
}

#[test]
fn a_five_line_target_gets_every_default() {
    let plan = load(TARGET).unwrap();
    let target = &plan.targets[0];
    assert_eq!(
        target.database.endpoint(),
        Some(Endpoint { host: "dev.example".into(), port: 5432 })
    );
    assert_eq!(target.database.tls, TlsMode::VerifyFull);
    assert_eq!(target.local_auth, LocalAuth::SameUser);
    assert_eq!(plan.transports[0].kind, "direct");
    assert_eq!(plan.limits, Limits::default());
}

#[test]
fn an_unknown_key_names_the_file_the_line_and_the_nearest_key() {
    let error = load(&TARGET.replace("listen", "lisen")).unwrap_err();
    assert!(error.contains("config.toml:3"), "{error}");
    assert!(error.contains("targets.dev"), "{error}");
    assert!(error.contains("did you mean `listen`?"), "{error}");
}

#[test]
fn an_unknown_key_inside_a_choice_is_refused_too() {
    let error = load(&TARGET.replace("password_env", "pasword_env")).unwrap_err();
    assert!(error.contains("targets.dev.credential"), "{error}");
    assert!(error.contains("did you mean `password_env`?"), "{error}");
}

#[test]
fn a_transport_inside_a_target_is_for_that_target_alone() {
    let other = TARGET.replace("dev", "other").replace("15432", "15433");
    let other = format!("{other}transport = \"dev\"\n");
    let error = load(&format!("{TARGET}{other}")).unwrap_err();
    assert!(error.contains("targets.other.transport: no [transports.dev]"), "{error}");
}

#[test]
fn text_that_is_not_toml_names_its_line() {
    let error = load("[targets.dev]\nlisten = = 5\n").unwrap_err();
    assert!(error.contains("config.toml:2"), "{error}");
}

#[test]
fn a_password_of_the_wrong_type_is_not_repeated_in_the_error() {
    let error =
        load(&TARGET.replace("password_env = \"PATH\"", "password = 918273645")).unwrap_err();
    assert!(!error.contains("918273645"), "{error}");
    assert!(error.contains("string in quotes"), "{error}");
}

#[test]
fn a_literal_password_in_a_file_that_others_can_read_stops_the_start() {
    let written = write(&TARGET.replace("password_env = \"PATH\"", "password = \"hunter2\""));
    let checked = || Plan::load(&Found::named(&written.file)).and_then(|plan| plan.select(&[]));
    assert!(checked().is_ok());
    fs::set_permissions(&written.file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = checked().unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_plan_printed_for_debugging_shows_no_password() {
    let plan = load(&TARGET.replace("password_env = \"PATH\"", "password = \"hunter2\"")).unwrap();
    assert!(!format!("{plan:?}").contains("hunter2"));
}

#[test]
fn an_address_that_others_can_reach_needs_scram() {
    for auth in ["", "local_auth = { kind = \"trust\" }\n"] {
        let text = TARGET.replace("127.0.0.1", "0.0.0.0") + auth;
        let error = load(&text).unwrap_err();
        assert!(error.contains("scram"), "{error}");
    }
}

#[test]
fn trust_is_accepted_on_loopback_when_it_is_spoken() {
    let plan = load(&format!("{TARGET}local_auth = {{ kind = \"trust\" }}\n")).unwrap();
    assert_eq!(plan.targets[0].local_auth, LocalAuth::Trust);
}

#[test]
fn a_named_transport_is_shared_and_a_mistyped_name_is_corrected() {
    let named = "\n[transports.bastion]\nkind = \"ssh\"\nhost = \"b\"\nkey_file = \"id\"\n";
    let text = TARGET.replace("credential", "transport = \"bastion\"\ncredential") + named;
    let plan = load(&text).unwrap();
    assert_eq!(plan.targets[0].transport, "bastion");
    let key = plan.transports[0].config["key_file"].as_str().unwrap();
    assert!(Path::new(key).is_absolute(), "{key}");

    let error = load(&text.replace("= \"bastion\"", "= \"bastoin\"")).unwrap_err();
    assert!(error.contains("did you mean `bastion`?"), "{error}");
}

#[test]
fn the_program_of_exec_is_a_path_beside_the_file_or_a_bare_name() {
    let program = |word: &str| {
        let transport =
            format!("transport = {{ kind = \"exec\", command = [\"{word}\", \"./x\"] }}");
        let plan =
            load(&TARGET.replace("credential", &format!("{transport}\ncredential"))).unwrap();
        plan.transports[0].config["command"].clone()
    };
    assert_eq!(program("nc"), serde_json::json!(["nc", "./x"]));
    assert_eq!(program("/bin/nc")[0], "/bin/nc");
    for relative in ["bin/nc", "./nc", "~/nc"] {
        let path = program(relative)[0].as_str().unwrap().to_owned();
        assert!(Path::new(&path).is_absolute(), "{path}");
    }
}

#[test]
fn secrets_of_a_transport_are_granted_by_name_and_never_reach_its_configuration() {
    let transport = "transport = { kind = \"ssh\", host = \"b\", secrets = { key_passphrase = { \
                     env = \"PATH\" } } }\ncredential";
    let plan = load(&TARGET.replace("credential", transport)).unwrap();
    let transport = &plan.transports[0];
    assert_eq!(transport.secrets["key_passphrase"], SecretSource::Env("PATH".into()));
    assert_eq!(transport.config, serde_json::json!({ "host": "b" }));
}

#[test]
fn a_secret_of_a_transport_has_to_be_there_and_closed_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("passphrase");
    let granted = |grant: &str| {
        let transport =
            format!("transport = {{ kind = \"ssh\", secrets.p = {grant} }}\ncredential");
        load(&TARGET.replace("credential", &transport))
    };
    let error = granted("{ env = \"PGFERRY_NEVER_SET\" }").unwrap_err();
    assert!(error.contains("secrets.p of transport dev: the environment variable"), "{error}");
    let grant = format!("{{ file = {file:?} }}");
    assert!(granted(&grant).unwrap_err().contains("passphrase: No such file"));
    fs::write(&file, "open").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(granted(&grant).unwrap_err().contains("run: chmod 600"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    granted(&grant).unwrap();
}

#[test]
fn two_targets_cannot_listen_on_one_address() {
    let second = TARGET.replace("targets.dev", "targets.other");
    let error = load(&format!("{TARGET}{second}")).unwrap_err();
    assert!(error.contains("already taken by target `dev`"), "{error}");
}

#[test]
fn selecting_targets_keeps_only_the_transports_they_use() {
    let second = TARGET.replace("targets.dev", "targets.other").replace("15432", "15433");
    let plan = load(&format!("{TARGET}{second}")).unwrap();
    let plan = plan.select(&["other".into()]).unwrap();
    assert_eq!(plan.targets.len(), 1);
    assert_eq!(plan.transports.len(), 1);
    let error = plan.select(&["othr".into()]).unwrap_err().to_string();
    assert!(error.contains("did you mean `other`?"), "{error}");
}

#[test]
fn an_address_overrides_where_to_dial_but_not_who_is_verified() {
    let text = TARGET.replace("name = \"app\"", "address = \"127.0.0.1:6543\"");
    let database = &load(&text).unwrap().targets[0].database;
    let endpoint = Endpoint { host: "dev.example".into(), port: 5432 };
    assert_eq!(database.dial(&endpoint), Endpoint { host: "127.0.0.1".into(), port: 6543 });
    assert_eq!(database.location, Location::Host("dev.example".into()));
}

#[test]
fn a_limit_of_zero_is_no_limit_and_refused() {
    let error = load(&format!("{TARGET}[limits]\ntls = \"0s\"\n")).unwrap_err();
    assert!(error.contains("limits.tls"), "{error}");
    let error = load(&format!("{TARGET}[limits]\ntls = \"10\"\n")).unwrap_err();
    assert!(error.contains("limits.tls") && error.contains("\"30s\""), "{error}");
}

#[test]
fn a_target_that_is_not_served_needs_no_secrets() {
    let second = TARGET.replace("targets.dev", "targets.other").replace("15432", "15433");
    let second = second.replace("\"PATH\"", "\"PGFERRY_NEVER_SET\"");
    let written = write(&format!("{TARGET}{second}"));
    let plan = Plan::load(&Found::named(&written.file)).unwrap();
    assert!(plan.clone().select(&["dev".into()]).is_ok());
    let error = plan.select(&[]).unwrap_err().to_string();
    assert!(error.contains("targets.other") && error.contains("PGFERRY_NEVER_SET"), "{error}");
}

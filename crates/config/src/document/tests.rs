use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::setting::Origin;

const ASKS: &str = r#"[targets.dev]
listen = "127.0.0.1:0"
database.host = "dev.example"
credential = { kind = "password", user = "app", password_env = "PATH" }
"#;
const HARMLESS: &str = r#"[targets.dev]
listen = "127.0.0.1:0"
database.host = "dev.example"
credential = { kind = "password", user = "app", password = "hunter2" }
"#;

struct Repository {
    directory: tempfile::TempDir,
    store: TrustStore,
}

impl Repository {
    fn with(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = TrustStore::at(directory.path().join("state/trusted.toml"));
        let repository = Self { directory, store };
        repository.write(text);
        repository
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join(".pgferry.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
        fs::set_permissions(self.file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn read(&self) -> Result<Document, ConfigError> {
        Document::read_with(&Found::of_repository(&self.file()), Some(&self.store))
    }
}

#[test]
fn a_file_runs_once_its_very_content_is_agreed_to() {
    let repository = Repository::with(ASKS);
    let document = repository.read().unwrap();
    assert_eq!(document.trust(), Trust::Missing);
    document.agree(&repository.store).unwrap();
    let error = document.plan().unwrap_err().to_string();
    assert!(error.contains("line 4: targets.dev.credential.password_env"), "{error}");
    assert!(error.ends_with("read it, then run: pgferry config trust"), "{error}");
    assert!(repository.read().unwrap().plan().is_ok());

    repository.write(&ASKS.replace("dev.example", "evil.example"));
    let error = repository.read().unwrap().plan().unwrap_err().to_string();
    assert!(error.contains("has changed since you trusted it"), "{error}");
    assert!(error.contains("PATH, for evil.example"), "{error}");
}

#[test]
fn what_is_agreed_to_is_what_was_read_and_not_what_is_there_now() {
    let repository = Repository::with(ASKS);
    let document = repository.read().unwrap();
    repository.write(&ASKS.replace("dev.example", "evil.example"));
    document.agree(&repository.store).unwrap();
    assert_eq!(repository.read().unwrap().trust(), Trust::Changed);
}

#[test]
fn the_same_content_elsewhere_has_to_be_trusted_there() {
    let (one, other) = (Repository::with(ASKS), Repository::with(ASKS));
    one.read().unwrap().agree(&one.store).unwrap();
    let link = Document::read_with(&Found::of_repository(&other.file()), Some(&one.store));
    assert_eq!(link.unwrap().trust(), Trust::Missing);
    fs::remove_file(other.file()).unwrap();
    std::os::unix::fs::symlink(one.file(), other.file()).unwrap();
    let link = Document::read_with(&Found::of_repository(&other.file()), Some(&one.store));
    assert_eq!(link.unwrap().trust(), Trust::Missing);
}

#[test]
fn a_file_that_was_named_needs_no_trust_and_a_harmless_one_neither() {
    let repository = Repository::with(ASKS);
    let named = Document::read_with(&Found::named(&repository.file()), None).unwrap();
    assert_eq!(named.trust(), Trust::NotNeeded);
    assert!(named.plan().is_ok());
    let harmless = Repository::with(HARMLESS);
    assert_eq!(harmless.read().unwrap().trust(), Trust::NotNeeded);
    assert!(harmless.read().unwrap().plan().is_ok());
}

#[test]
fn without_a_place_for_the_record_nothing_is_trusted() {
    let repository = Repository::with(ASKS);
    let read = Document::read_with(&Found::of_repository(&repository.file()), None).unwrap();
    assert_eq!(read.trust(), Trust::Missing);
    assert!(read.plan().is_err());
}

#[test]
fn what_is_no_usual_file_is_refused_at_once() {
    let repository = Repository::with(HARMLESS);
    let refused = || repository.read().unwrap_err().to_string();
    fs::write(repository.file(), vec![b'#'; 2 << 20]).unwrap();
    assert!(refused().contains("longer than 1 MiB"));
    fs::remove_file(repository.file()).unwrap();
    fs::create_dir(repository.file()).unwrap();
    assert!(refused().contains("no regular file"));
    fs::remove_dir(repository.file()).unwrap();
    std::os::unix::fs::symlink("/dev/zero", repository.file()).unwrap();
    assert!(refused().contains("no regular file"));
    fs::remove_file(repository.file()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(repository.file()).status().unwrap();
    assert!(made.success());
    assert!(refused().contains("no regular file"));
}

#[test]
fn every_setting_has_its_origin_and_no_secret_is_shown() {
    let repository = Repository::with(&format!("{HARMLESS}[limits]\ntls = \"5s\"\n"));
    let document = repository.read().unwrap();
    let settings = document.settings();
    let of = |key: &str| settings.iter().find(|setting| setting.key == key).unwrap();
    assert_eq!(of("targets.dev.database.host").origin, Origin::Line(3));
    assert_eq!(of("targets.dev.database.port").value, 5432);
    assert_eq!(of("targets.dev.database.port").origin, Origin::Default);
    assert_eq!(of("targets.dev.credential.password").value, "[secret]");
    assert!(of("targets.dev.credential.password").note.as_ref().unwrap().contains("private"));
    assert_eq!((of("limits.tls").origin, &of("limits.tls").value), (Origin::Line(6), &"5s".into()));
    assert_eq!(
        (of("limits.tcp").origin, &of("limits.tcp").value),
        (Origin::Default, &"10s".into())
    );
    assert!(settings.is_sorted_by(|a, b| a.key < b.key));
    assert!(!format!("{document:?}{settings:?}").contains("hunter2"));
}

#[test]
fn a_target_that_uses_aws_shows_whose_and_where_that_is_said() {
    let text = "[targets.dev]\nlisten = \"127.0.0.1:1\"\ndatabase.host = \
                \"dev.cluster-abc.us-east-1.rds.amazonaws.com\"\n\
                credential = { kind = \"iam\", user = \"app\" }\n[aws]\nprofile = \"work\"\n";
    let settings = Repository::with(text).read().unwrap().settings();
    let of = |key: &str| settings.iter().find(|setting| setting.key == key).unwrap();
    let profile = of("targets.dev.aws.profile");
    assert_eq!((profile.origin, &profile.value), (Origin::Line(6), &"work".into()));
    let region = of("targets.dev.aws.region");
    assert_eq!((region.origin, &region.value), (Origin::Default, &"us-east-1".into()));
    let settings = Repository::with(HARMLESS).read().unwrap().settings();
    assert!(settings.iter().all(|setting| !setting.key.contains("aws")), "{settings:?}");
}

#[test]
fn a_variable_is_set_or_not_and_a_file_has_a_mode_or_is_not_there() {
    let text = ASKS.to_owned()
        + "transport = { kind = \"ssh\", key_file = \"id\", secrets.p = { env = \"PGFERRY_NEVER_SET\" } }\n\
           local_auth = { kind = \"scram\", password_file = \"open.pw\" }\n";
    let repository = Repository::with(&text);
    let open = repository.directory.path().join("open.pw");
    fs::write(&open, "x").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let settings = repository.read().unwrap().settings();
    let of = |key: &str| settings.iter().find(|setting| setting.key == key).unwrap();
    let note = |key: &str| of(key).note.clone().unwrap();
    assert_eq!(note("targets.dev.credential.password_env"), "set in the environment");
    assert_eq!(note("targets.dev.transport.secrets.p.env"), "not set in the environment");
    assert!(note("targets.dev.transport.key_file").contains("No such file"));
    assert_eq!(note("targets.dev.local_auth.password_file"), "mode 0644, others may use it");
    assert_eq!(of("targets.dev.local_auth.password_file").value, open.to_str().unwrap());
}

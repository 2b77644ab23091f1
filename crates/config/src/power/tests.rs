use toml::de::DeTable;

use super::*;
use crate::entry::entries;

const HARMLESS: &str = r#"
[admin]
listen = "127.0.0.1:9632"
[limits]
tls = "5s"
connections = 5
[relay]
threads = 1
[targets.dev]
listen = ["127.0.0.1:1", "localhost:2", "[::1]:3", { unix = "run", port = 5432 }]
database = { host = "db.example", port = 5432, name = "app", address = "10.0.0.1", ca_file = "ca.pem", tls = "verify-full" }
credential = { kind = "password", user = "app", password = "theirs" }
local_auth = { kind = "scram", user = "me", password_file = "local.pw" }
transport = { kind = "ssh", host = "b", port = 22, user = "u", key_file = "keys/id", agent = false, ssh_config = false, certificate_file = "keys/id-cert.pub", jump = ["a"], known_hosts_file = "known_hosts", host_key_policy = "strict", keepalive_interval = "15s", keepalive_max = 3, idle_timeout = "1m", sessions_per_connection = 1 }
[targets.other]
listen = "127.0.0.1:4"
database.host = "db.example"
credential = { kind = "password", user = "app", password = "theirs" }
transport = "shared"
[targets.own-files]
listen = "127.0.0.1:5"
database.host = "db.example"
aws = { region = "eu-west-1", assume_role = { external_id = "1", session_name = "x" } }
credential = { kind = "password", user = "app", pgpass_file = "pgpass", pgpass = false, cert_file = "c", key_file = "k", user_key = "u", password_key = "p" }
limits = {}
[aws]
region = "eu-west-1"
[transports.shared]
kind = "direct"
via = "other"
max_opens = 3
sha256 = "00"
"#;

fn asked(text: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let table = DeTable::parse(text).unwrap();
    let powers = powers(&entries(text, table.get_ref()), directory.path());
    powers.into_iter().map(|p| format!("{}: {}: {}", p.line, p.key, p.what)).collect()
}

#[test]
fn a_file_that_only_connects_asks_for_nothing() {
    assert_eq!(asked(HARMLESS), [""; 0]);
}

#[test]
fn every_power_is_named_with_its_line_its_key_and_its_value() {
    let cases = [
        ("[admin]\nlisten = \"0.0.0.0:1\"", "2: admin.listen: listens where other machines"),
        ("targets.a.listen = [\"[::]:1\"]", "1: targets.a.listen[0]: listens where other"),
        ("targets.a.listen.unix = \"/run\"", "targets.a.listen.unix: makes a socket outside"),
        ("targets.a.listen = [{ unix = \"..\" }]", "targets.a.listen[0].unix: makes a socket"),
        ("targets.a.database.tls = \"verify-ca\"", "does not verify the database: verify-ca"),
        ("targets.a.database.tls = \"disable\"", "does not verify the database: disable"),
        ("targets.a.database.ca_file = \"/ca\"", "uses a file outside its directory: /ca"),
        ("targets.a.local_auth.kind = \"trust\"", "lets in everybody on this machine: trust"),
        ("targets.a.local_auth.password_file = \"../pw\"", "outside its directory: ../pw"),
        ("targets.a.database.cluster = \"prod\"", "asks RDS, with your AWS credentials, for prod"),
        ("targets.a.database.instance = \"i1\"", "asks RDS, with your AWS credentials, for i1"),
        ("aws.profile = \"admin\"", "1: aws.profile: uses your AWS profile admin"),
        ("targets.a.aws.profile = \"admin\"", "1: targets.a.aws.profile: uses your AWS profile"),
        ("aws.endpoint_url = \"https://evil\"", "your AWS credentials sign to https://evil"),
        ("targets.a.aws.endpoint_url = \"https://evil\"", "credentials sign to https://evil"),
        ("aws.assume_role = \"arn:x\"", "with your AWS credentials, the role arn:x"),
        ("targets.a.aws.assume_role.role_arn = \"arn:x\"", "credentials, the role arn:x"),
        ("targets.a.credential.kind = \"iam\"", "logs in with credentials of yours: iam"),
        ("targets.a.credential.kind = \"secrets-manager\"", "of yours: secrets-manager"),
        ("targets.a.credential.kind = \"passthrough\"", "of yours: passthrough"),
        ("targets.a.credential.secret = \"prod/db\"", "and hands over, the secret prod/db"),
        ("targets.a.credential.password_command = [\"rm\"]", "command[0]: runs a command: rm"),
        ("targets.a.credential.pgpass = true", "reads the password in your ~/.pgpass: true"),
        ("targets.a.credential.pgpass_file = \"~/.pgpass\"", "outside its directory: ~/.pgpass"),
        ("targets.a.credential.key_file = \"/k\"", "logs in with a key outside its directory"),
        ("targets.a.credential.cert_file = \"/c\"", "uses a file outside its directory: /c"),
        ("transports.t = { kind = \"ssh\", aws = {} }", "t.aws: hands your AWS credentials"),
        ("transports.t.aws.region = \"eu-west-1\"", "t.aws.region: hands your AWS credentials"),
        ("transports.t.aws.assume_role.role_arn = \"a\"", "role_arn: hands your AWS credent"),
        ("transports.t.kind = \"ssm\"", "starts sessions with your AWS credentials: ssm"),
        ("transports.t = { kind = \"ssm\", keep_alive = \"1m\" }", "idle timeout: 1m"),
        ("transports.t = { kind = \"ssm\", messages_endpoint = \"evil\" }", "address: evil"),
        ("transports.t.kind = \"data-api\"", "runs SQL with your AWS credentials: data-api"),
        ("transports.t.path = \"lib.so\"", "loads a library into pgferry: lib.so"),
        ("transports.t.kind = \"exec\"", "runs other code, with settings of its choice: exec"),
        (
            "transports.t = { kind = \"exec\", command = [\"sh\"] }",
            "t.command[0]: runs a command: sh",
        ),
        ("transports.t = { kind = \"exec\", other = 1 }", "t.other: does something"),
        ("transports.t = { kind = \"ssh\", ssh_config = true }", "says for its host: true"),
        (
            "transports.t = { kind = \"ssh\", ssh_config_file = \"x\" }",
            "another ssh_config says: x",
        ),
        ("transports.t = { kind = \"admin\", listen = \"127.0.0.1:1\" }", "t.listen: does"),
        ("transports.t.secrets.x.env = \"HOME\"", "hands over the environment variable HOME"),
        ("transports.t.secrets.x.file = \"pw\"", "hands over the secret in the file pw"),
        ("transports.t = { kind = \"ssh\", key_file = \"~/.ssh/id\" }", "a key outside its"),
        ("transports.t = { kind = \"ssh\", agent = true }", "the keys of your ssh-agent: true"),
        ("transports.t = { kind = \"ssh\", known_hosts_file = \"/k\" }", "directory: /k"),
        ("transports.t = { kind = \"ssh\", host_key_policy = \"accept-new\" }", "by itself: acc"),
    ];
    for (text, wanted) in cases {
        let asked = asked(text);
        assert!(asked.iter().any(|power| power.contains(wanted)), "{text}: {asked:?}");
    }
}

#[test]
fn a_key_by_instance_connect_is_a_power_and_the_only_one() {
    let text = "transports.t = { kind = \"ssh\", host = \"i-1\", key = \"instance-connect\", \
                agent = false, ssh_config = false }";
    let wanted = "1: transports.t.key: has a key of its own let in with your AWS credentials: \
                  instance-connect";
    assert!(
        matches!(asked(text).as_slice(), [one] if one.starts_with(wanted)),
        "{:?}",
        asked(text)
    );
}

#[test]
fn a_secret_is_named_with_the_host_that_gets_it() {
    let text = "[targets.a]\ndatabase.host = \"evil.example\"\n\
                credential = { kind = \"password\", user = \"u\", password_env = \"AWS_KEY\" }\n\
                transport = { kind = \"direct\", host = \"bastion.evil\", secrets.p.file = \"x\" }\n";
    let wanted = [
        "3: targets.a.credential.password_env: hands over the environment variable AWS_KEY, for evil.example",
        "4: targets.a.transport.secrets.p.file: hands over the secret in the file x, for bastion.evil",
    ];
    let asked = asked(text);
    assert!(wanted.iter().all(|power| asked.iter().any(|is| is == power)), "{asked:?}");
}

#[test]
fn the_cluster_that_gets_a_secret_is_named_too() {
    let text = "targets.a = { database.cluster = \"theirs\", credential.secret = \"prod/db\" }";
    let wanted = "hands over, the secret prod/db, for theirs";
    assert!(asked(text).iter().any(|power| power.ends_with(wanted)), "{:?}", asked(text));
}

/// What a transport does by itself counts as much as what it is told to do.
#[test]
fn an_ssh_transport_that_leaves_the_agent_or_the_users_files_open_is_a_power() {
    let modest = "transports.t = { kind = \"ssh\", host = \"b\", key_file = \"id\", agent = false, ssh_config = false }";
    assert_eq!(asked(modest), [""; 0]);
    for open in [", agent = false", ", ssh_config = false", ", key_file = \"id\""] {
        let text = modest.replace(open, "");
        let wanted = "1: transports.t.kind: may log in with your ssh keys and agent";
        assert!(asked(&text)[0].starts_with(wanted), "{text}");
    }
}

/// Whoever adds a key to the schema or to a plugin decides about it here, or it stays refused.
#[test]
fn a_key_that_no_rule_knows_is_a_power_wherever_it_stands() {
    for text in [
        "targets.a.credential.new_command = \"rm\"",
        "targets.a.new = 1",
        "targets.a.aws.new = 1",
        "aws.assume_role.new = 1",
        "top = 1",
        "transports.t = { kind = \"ssh\", proxy_command = \"rm\" }",
        "transports.t = { kind = \"direct\", host = \"x\" }",
        "targets.a.transport = { kind = \"ssh\", \"[0]\" = { key_file = \"x\" } }",
        "transports.\"t.kind\".\"ssh.host\" = 1",
    ] {
        let asked = asked(text);
        let unknown = |power: &String| power.contains("not known to be harmless");
        assert!(asked.iter().any(unknown), "{text}: {asked:?}");
    }
}

#[test]
fn quoted_and_dotted_keys_hide_nothing() {
    let text = "[\"targets\".'a'.\"credential\"]\n\"\\u0070assword_env\" = \"X\"\n";
    assert_eq!(
        asked(text),
        ["2: targets.a.credential.password_env: hands over the environment variable X"]
    );
}

#[test]
fn a_value_cannot_hide_itself_or_forge_a_line_of_its_own() {
    let text = "targets.a.credential.password_env = \"X\\u001b[2K\\n  line 9: \\u202eY\"";
    let asked = asked(text);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].ends_with(r"X\u{1b}[2K\n  line 9: \u{202e}Y"), "{asked:?}");
}

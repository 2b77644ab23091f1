//! What `ssh_config` means, held against OpenSSH's own `ssh -G`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgferry_transport_ssh::config::{Config, HostKeyPolicy};
use pgferry_transport_ssh::ssh_config::{AgentSetting, Query, Settings, SshConfig};
use pgferry_transport_ssh::surroundings::Surroundings;
use proptest::prelude::*;

/// What both say about a host, as text. Values at OpenSSH's defaults are left out.
type Said = BTreeMap<&'static str, Vec<String>>;

#[test]
fn what_a_file_says_is_what_openssh_understands() {
    let directory = tempfile::tempdir().unwrap();
    for (text, host) in FILES {
        agree(directory.path(), text, host);
    }
}

/// A file, and a host to look up in it.
const FILES: &[(&str, &str)] = &[
    ("", "gate"),
    ("HostName=10.0.0.1\nPort 2222\nUser = jo\n", "gate"),
    ("Host gate\n HostName %h.example.com\n User jo\nHost *\n User other\n Port 23\n", "gate"),
    ("Host !gate *\n Port 23\nHost g?te !other\n User jo\n", "gate"),
    ("Host \"gate\" other # a comment\n User \"jo\"\n", "gate"),
    ("Host GATE\n User jo\nHost gate\n User mo\n", "GATE"),
    ("HostName B.Example.COM\n", "x"),
    ("IdentityFile /a\nIdentityFile /b\nIdentityFile /a\nIdentitiesOnly yes\n", "gate"),
    ("IdentityFile none\n", "gate"),
    ("CertificateFile /a-cert.pub\nCertificateFile \"/b c\"\n", "gate"),
    ("IdentityAgent none\nServerAliveInterval 1m\nServerAliveCountMax 7\n", "gate"),
    ("IdentityAgent /run/%r/%n\nUser jo\n", "gate"),
    ("Host a\nProxyJump none\nHost *\nProxyJump j1,jo@j2:2222\n", "a"),
    ("Host a\nProxyJump none\nHost *\nProxyJump j1,jo@j2:2222\n", "b"),
    ("ProxyCommand none\nProxyJump j\n", "b"),
    ("ProxyJump ssh://jo@j:77\n", "b"),
    ("UserKnownHostsFile /k/%h /k/%n-%p-%r /%u%%\nGlobalKnownHostsFile /g /h\nPort 7\n", "b"),
    ("UserKnownHostsFile ${PATH}/x\nHostKeyAlias Alias\n", "b"),
    ("UserKnownHostsFile none\nGlobalKnownHostsFile none\n", "b"),
    ("StrictHostKeyChecking accept-new\nConnectTimeout 1m30s\n", "b"),
    ("StrictHostKeyChecking yes\nConnectTimeout none\n", "b"),
    ("Match host *.example.com\n User jo\nMatch originalhost b\n Port 7\n", "b"),
    ("HostName c.Example.com\nMatch host *.example.com\n User jo\n", "b"),
    ("User jo\nMatch user jo,mo !host x\n Port 7\nMatch all\n Port 8\n", "b"),
    ("Match !user root originalhost b,!c\n Port 7\nMatch !all\n Port 8\n", "b"),
    ("Match final host c\n User jo\nMatch host b\n HostName c\n", "b"),
    ("Host c\n Port 9\nHost b\n HostName c\nMatch final all\n User jo\n", "b"),
    ("Match !final\n User jo\nMatch canonical\n User mo\n", "b"),
    ("Match localuser nobody-of-that-name\n User jo\n", "b"),
    ("IgnoreUnknown Foo*,bar\nFooBar x\nBAR y z\nUser jo\n", "b"),
    ("ForwardAgent yes\nLocalForward 1 b:2\nSendEnv LANG\nControlMaster auto\nUser jo\n", "b"),
    ("IdentityFile /a\\ b\nUser 'jo'\n", "b"),
    ("\tport\t7 \r\nuser jo\u{c}\n", "b"),
];

#[test]
fn what_openssh_refuses_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    for text in [
        "Port\n",
        "Port 0\n",
        "Port 65536\n",
        "Port x\n",
        "User a b\n",
        "User \"a\n",
        "NoSuchKeyword yes\n",
        "IdentitiesOnly maybe\n",
        "StrictHostKeyChecking perhaps\n",
        "ServerAliveInterval 1y\n",
        "ConnectTimeout -1\n",
        "ProxyJump @b\n",
        "ProxyJump a,,b\n",
        "UserKnownHostsFile none /a\n",
        "Match\n",
        "Match nonsense x\n",
        "Match host\n",
        "Match user a host b all\n",
        "HostName %q\n",
        "UserKnownHostsFile /%q\n",
        "UserKnownHostsFile ${NO_SUCH_VARIABLE_HERE}\n",
    ] {
        let file = directory.path().join("config");
        fs::write(&file, format!("# first\n{text}")).unwrap();
        assert!(ssh(&file, "b").is_none(), "OpenSSH takes {text:?}");
        let error = ours(&file, "b").expect_err(text);
        // A host name has no place of its own once the files are read.
        let place = if text.starts_with("HostName") {
            "%q".to_owned()
        } else {
            format!("{}:2", file.display())
        };
        assert!(error.contains(&place), "{text:?}: {error}");
    }
}

#[test]
fn included_files_count_where_they_stand() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::create_dir(path("d")).unwrap();
    write(&path("d/2"), "User two\nPort 22\nHost other\n Port 1\n");
    write(&path("d/1"), "User one\n");
    write(&path("d/.hidden"), "User hidden\n");
    write(
        &path("nested"),
        &format!("Include {}\nMatch originalhost b\n HostName n\n", path("d/2")),
    );
    for text in [
        format!("Include {}\nPort 7\n", path("d/*")),
        format!("Host other\n Include {}\nHost b\n User jo\n", path("d/*")),
        format!("Host b\n Include {}\n ServerAliveInterval 5\n", path("nested")),
        format!("Include {} {}\n", path("d/[2-9]"), path("nested")),
        format!("Include {}\nUser jo\n", path("missing*")),
    ] {
        agree(directory.path(), &text, "b");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_means_what_openssh_understands(
        text in blocks(),
        included in blocks(),
        host in prop::sample::select(HOSTS),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let include = directory.path().join("included");
        write(include.to_str().unwrap(), &included);
        agree(directory.path(), &text.replace("INCLUDED", include.to_str().unwrap()), host);
    }
}

const HOSTS: &[&str] = &["a", "b", "ab", "a.example", "10.0.0.1"];

fn blocks() -> impl Strategy<Value = String> {
    let lines = || prop::collection::vec(directive(), 0..4).prop_map(|lines| lines.concat());
    let block = (condition(), lines()).prop_map(|(condition, lines)| condition + &lines);
    (lines(), prop::collection::vec(block, 0..5)).prop_map(|(first, rest)| first + &rest.concat())
}

fn condition() -> impl Strategy<Value = String> {
    let names =
        prop::sample::select(&["a", "b", "*", "a*", "?b", "!a", "!b", "*.example", "10.*"][..]);
    let host = prop::collection::vec(names.clone(), 1..4).prop_map(|names| names.join(" "));
    let list = prop::collection::vec(names, 1..3).prop_map(|names| names.join(","));
    let kind =
        prop::sample::select(&["host", "originalhost", "user", "!host", "!user", "localuser"][..]);
    let one = (kind, list).prop_map(|(kind, list)| format!("{kind} {list}"));
    let many = prop::collection::vec(one, 1..3).prop_map(|all| all.join(" "));
    prop_oneof![
        4 => host.prop_map(|names| format!("Host {names}\n")),
        4 => (any::<bool>(), many).prop_map(|(last, all)| {
            format!("Match {}{all}\n", if last { "final " } else { "" })
        }),
        1 => Just("Match all\n".to_owned()),
        // Not `!final`: whether it alone asks for a second reading differs between versions.
    ]
}

fn directive() -> impl Strategy<Value = String> {
    let line = prop::sample::select(
        &[
            "HostName %h.example",
            "HostName b",
            "HostName AB",
            "User a",
            "User b",
            "Port 7",
            "Port=8",
            "IdentityFile /a",
            "IdentityFile /b",
            "IdentityFile \"/a b\"",
            "IdentitiesOnly yes",
            "IdentitiesOnly no",
            "CertificateFile /c",
            "IdentityAgent none",
            "IdentityAgent /s/%h",
            "ProxyJump none",
            "ProxyJump j1",
            "ProxyJump u@j1:9,j2",
            "ProxyCommand none",
            "UserKnownHostsFile /u/%h/%n/%p/%r",
            "UserKnownHostsFile none",
            "GlobalKnownHostsFile /g /h",
            "HostKeyAlias Key",
            "StrictHostKeyChecking ask",
            "StrictHostKeyChecking accept-new",
            "ServerAliveInterval 5",
            "ServerAliveCountMax 4",
            "ConnectTimeout 2m",
            "ForwardAgent no",
            "Include INCLUDED",
            "# nothing",
            "IgnoreUnknown Foo",
            "Compression yes",
        ][..],
    );
    line.prop_map(|line| format!("  {line}\n"))
}

fn agree(directory: &Path, text: &str, host: &str) {
    let file = directory.join("config");
    write(file.to_str().unwrap(), text);
    let theirs = ssh(&file, host).unwrap_or_else(|| panic!("OpenSSH refuses {text:?}"));
    let ours = ours(&file, host).unwrap_or_else(|error| panic!("{error} in {text:?}"));
    assert_eq!(ours, theirs, "{host} in\n{text}");
}

/// Writes a file that only its owner may change, as an included one has to be.
fn write(path: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn ssh(file: &Path, host: &str) -> Option<Said> {
    let output = Command::new("ssh")
        .args(["-G", "-F"])
        .args([file.as_os_str(), host.as_ref()])
        .stdin(Stdio::null())
        .output()
        .expect("these tests need ssh; on Debian: apt-get install openssh-client");
    if !output.status.success() {
        return None;
    }
    let mut said = Said::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(&name) = KEYWORDS.iter().find(|keyword| **keyword == name) {
            said.entry(name).or_default().push(value.to_owned());
        }
    }
    let user = Surroundings::here().user;
    let is_default = |name: &str, value: &[String]| match name {
        "port" => value == ["22"],
        "user" => value == [user.as_str()],
        "identitiesonly" => value == ["no"],
        "identityfile" => value.iter().any(|file| file.starts_with("~/.ssh/id_")),
        "userknownhostsfile" => value.iter().any(|files| files.ends_with(".ssh/known_hosts2")),
        "globalknownhostsfile" => value == ["/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"],
        // Nobody can be asked here, so both are the same.
        "stricthostkeychecking" => value == ["ask"] || value == ["true"],
        "serveraliveinterval" => value == ["0"],
        "serveralivecountmax" => value == ["3"],
        "connecttimeout" => value == ["none"],
        _ => false,
    };
    said.retain(|name, value| !is_default(name, value));
    // It keeps these words as files' names, or shows nothing.
    for name in ["identityfile", "userknownhostsfile", "globalknownhostsfile"] {
        if said.get(name).is_some_and(|files| files == &["none"] || files == &[""]) {
            said.insert(name, vec![String::new()]);
        }
    }
    Some(said)
}

const KEYWORDS: &[&str] = &[
    "hostname",
    "port",
    "user",
    "identityfile",
    "certificatefile",
    "identitiesonly",
    "identityagent",
    "proxyjump",
    "userknownhostsfile",
    "globalknownhostsfile",
    "hostkeyalias",
    "stricthostkeychecking",
    "serveraliveinterval",
    "serveralivecountmax",
    "connecttimeout",
];

fn ours(file: &Path, host: &str) -> Result<Said, String> {
    let config = Config { ssh_config_file: Some(file.to_owned()), ..Config::default() };
    let here = Surroundings::here();
    let query = Query {
        host,
        user: None,
        port: None,
        has_jumps: false,
        has_keys: false,
        has_known_hosts: false,
    };
    let settings = SshConfig::of(&config, &here).look_up(&query, &here);
    settings.map(|settings| said(&settings, &here)).map_err(|error| error.message().to_owned())
}

fn said(settings: &Settings, here: &Surroundings) -> Said {
    let mut said = Said::new();
    let mut say = |name, value: Option<String>| {
        if let Some(value) = value {
            said.insert(name, vec![value]);
        }
    };
    let joined = |files: &Vec<PathBuf>| {
        files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ")
    };
    say("hostname", Some(settings.host.clone()));
    say("port", settings.port.filter(|&port| port != 22).map(|port| port.to_string()));
    say("user", settings.user.clone().filter(|user| *user != here.user));
    say("identitiesonly", settings.identities_only.then(|| "yes".to_owned()));
    say(
        "identityagent",
        settings.agent.as_ref().map(|agent| match agent {
            AgentSetting::Off => "none".to_owned(),
            AgentSetting::Environment => "SSH_AUTH_SOCK".to_owned(),
            AgentSetting::Socket(path) => path.display().to_string(),
        }),
    );
    let jumps = settings.jumps.as_ref().map(|(jumps, _)| jumps).filter(|jumps| !jumps.is_empty());
    say(
        "proxyjump",
        jumps.map(|jumps| {
            let shown = jumps.iter().map(|jump| {
                let user = jump.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let port = jump.port.map(|port| format!(":{port}")).unwrap_or_default();
                format!("{user}{}{port}", jump.host)
            });
            shown.collect::<Vec<_>>().join(",")
        }),
    );
    say("userknownhostsfile", settings.user_known_hosts.as_ref().map(joined));
    say("globalknownhostsfile", settings.global_known_hosts.as_ref().map(joined));
    say("hostkeyalias", settings.host_key_alias.clone());
    let accepts_new = settings.host_key_policy == Some(HostKeyPolicy::AcceptNew);
    say("stricthostkeychecking", accepts_new.then(|| "accept-new".to_owned()));
    let seconds = |time: std::time::Duration| time.as_secs().to_string();
    say("serveraliveinterval", settings.alive_interval.map(seconds));
    let count = settings.alive_count_max.filter(|&count| count != 3);
    say("serveralivecountmax", count.map(|count| count.to_string()));
    say("connecttimeout", settings.connect_timeout.map(seconds));
    let each = |files: &[PathBuf]| files.iter().map(|file| file.display().to_string()).collect();
    if let Some(files) = &settings.identity_files {
        let files: Vec<_> = each(files);
        said.insert("identityfile", if files.is_empty() { vec![String::new()] } else { files });
    }
    if !settings.certificate_files.is_empty() {
        said.insert("certificatefile", each(&settings.certificate_files));
    }
    said
}

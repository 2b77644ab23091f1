//! The keywords of `ssh_config(5)`, and what each of them means here.

/// What a keyword means to this transport.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meaning {
    /// It is followed.
    Followed,
    /// It is about what this transport does not do, or does not loosen: it is passed over.
    Harmless,
    /// It would change the route or the security, and cannot be followed.
    Refused(&'static Refusal),
    /// Not even OpenSSH knows it.
    Unknown,
}

/// A keyword that cannot be followed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) keyword: &'static str,
    /// The values under which it changes nothing.
    pub(crate) neutral: &'static [&'static str],
    /// What it would have decided. The transport's own configuration may have decided that already.
    pub(crate) about: About,
    /// What to do instead.
    pub(crate) instead: &'static str,
}

/// What a keyword decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The servers on the way: `jump`.
    Jumps,
    /// The keys to log in with: `key_file` and `agent`.
    Keys,
    /// The known hosts: `known_hosts_file`.
    KnownHosts,
    /// Nothing that the transport has a key for.
    Else,
}

/// The meaning of a keyword in lower case and without an alias.
pub(crate) fn meaning(keyword: &str) -> Meaning {
    if FOLLOWED.contains(&keyword) {
        return Meaning::Followed;
    }
    if let Some(refusal) = REFUSED.iter().find(|refusal| refusal.keyword == keyword) {
        return Meaning::Refused(refusal);
    }
    if HARMLESS.contains(&keyword) { Meaning::Harmless } else { Meaning::Unknown }
}

/// The present name of a keyword that has an older one.
pub(crate) fn present_name(keyword: &str) -> &str {
    match keyword {
        "identityfile2" => "identityfile",
        "smartcarddevice" => "pkcs11provider",
        "dsaauthentication" => "pubkeyauthentication",
        other => other,
    }
}

const FOLLOWED: &[&str] = &[
    "certificatefile",
    "connecttimeout",
    "globalknownhostsfile",
    "host",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "ignoreunknown",
    "include",
    "match",
    "port",
    "proxyjump",
    "serveralivecountmax",
    "serveraliveinterval",
    "stricthostkeychecking",
    "tag",
    "user",
    "userknownhostsfile",
];

const REFUSED: &[Refusal] = &[
    Refusal {
        keyword: "proxycommand",
        neutral: &["none"],
        about: About::Jumps,
        instead: "this transport runs no commands: put a transport of kind \"exec\" with that \
                  command beneath it (via = \"…\"), or one of kind \"ssm\" for Session Manager, and \
                  set jump = []; or name the servers in jump",
    },
    Refusal {
        keyword: "proxyusefdpass",
        neutral: &["no", "false"],
        about: About::Jumps,
        instead: "put a transport of kind \"exec\" beneath this one (via = \"…\") and set jump = []",
    },
    Refusal {
        keyword: "bindaddress",
        neutral: &[],
        about: About::Else,
        instead: "leave the address to the system's routes, in a Match or Host that does not hold \
                  here, or read another file (ssh_config_file)",
    },
    Refusal {
        keyword: "bindinterface",
        neutral: &["none"],
        about: About::Else,
        instead: "leave the interface to the system's routes, in a Match or Host that does not \
                  hold here, or read another file (ssh_config_file)",
    },
    Refusal {
        keyword: "canonicalizehostname",
        neutral: &["no", "false", "none"],
        about: About::Else,
        instead: "write the whole name of the host, and CanonicalizeHostname no for it",
    },
    Refusal {
        keyword: "knownhostscommand",
        neutral: &["none"],
        about: About::KnownHosts,
        instead: "write the keys into a file and set known_hosts_file",
    },
    Refusal {
        keyword: "revokedhostkeys",
        neutral: &["none"],
        about: About::Else,
        instead: "mark the keys @revoked in the file of known hosts, and read another file \
                  (ssh_config_file) without this line",
    },
    Refusal {
        keyword: "pkcs11provider",
        neutral: &["none"],
        about: About::Keys,
        instead: "load the token into an agent (ssh-add -s) and set agent = true",
    },
    Refusal {
        keyword: "securitykeyprovider",
        neutral: &["internal"],
        about: About::Keys,
        instead: "add the key to an agent (ssh-add) and set agent = true",
    },
    Refusal {
        keyword: "pubkeyauthentication",
        neutral: &["yes", "true", "unbound", "host-bound"],
        about: About::Keys,
        instead: "this transport logs in with keys only: set key_file, or agent = true",
    },
    Refusal {
        keyword: "refuseconnection",
        neutral: &[],
        about: About::Else,
        instead: "connect to another host",
    },
];

/// Those that concern terminals, forwardings and whatever else only ssh itself does; those that
/// would only loosen what this transport insists on; and the algorithms, which are its own choice.
const HARMLESS: &[&str] = &[
    "addkeystoagent",
    "addressfamily",
    "afstokenpassing",
    "batchmode",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "casignaturealgorithms",
    "challengeresponseauthentication",
    "channeltimeout",
    "checkhostip",
    "cipher",
    "ciphers",
    "clearallforwardings",
    "compression",
    "compressionlevel",
    "connectionattempts",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fallbacktorsh",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "globalknownhostsfile2",
    "gssapiauthentication",
    "gssapiclientidentity",
    "gssapidelegatecredentials",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hashknownhosts",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "hostbasedkeytypes",
    "hostkeyalgorithms",
    "ipqos",
    "kbdinteractiveauthentication",
    "kbdinteractivedevices",
    "keepalive",
    "kerberosauthentication",
    "kerberostgtpassing",
    "kexalgorithms",
    "localcommand",
    "localforward",
    "loglevel",
    "logverbose",
    "macs",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "passwordauthentication",
    "permitlocalcommand",
    "permitremoteopen",
    "preferredauthentications",
    "protocol",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "rekeylimit",
    "remotecommand",
    "remoteforward",
    "requesttty",
    "requiredrsasize",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "sendenv",
    "sessiontype",
    "setenv",
    "skeyauthentication",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tcpkeepalive",
    "tisauthentication",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    // macOS's own: an agent with the key does the same.
    "usekeychain",
    "useprivilegedport",
    "userknownhostsfile2",
    "useroaming",
    "usersh",
    "verifyhostkeydns",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

//! The operating system account the server runs under: PostgreSQL refuses to be root.

use std::{fs, os::unix::fs::chown, path::Path, process::Command};

use rustix::process::geteuid;

use crate::{
    error::{Context, Error},
    tool,
};

/// `program`, to be run as an account that may run a server, and to die with whoever starts it.
pub(super) fn command(program: &Path) -> Result<Command, Error> {
    let mut command = Command::new(tool::find("setpriv", "util-linux")?);
    command.args(["--pdeathsig", "KILL"]);
    if let Some(account) = other_account() {
        let (user, group) = (account.user.to_string(), account.group.to_string());
        command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// Hands a file or directory to the account the server runs under.
pub(super) fn give(path: &Path) -> Result<(), Error> {
    let Some(account) = other_account() else { return Ok(()) };
    chown(path, Some(account.user), Some(account.group))
        .doing(|| format!("handing {} to the server's account", path.display()))
}

struct Account {
    user: u32,
    group: u32,
}

/// Debian's `postgres` if there is one, else `nobody`; none for an ordinary user, who runs the
/// server under his own account.
fn other_account() -> Option<Account> {
    if !geteuid().is_root() {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = |name| accounts.lines().find_map(|line| account(line, name));
    Some(named("postgres").or_else(|| named("nobody")).unwrap_or(NOBODY))
}

fn account(line: &str, name: &str) -> Option<Account> {
    let mut fields = line.split(':');
    if fields.next()? != name {
        return None;
    }
    let mut numbers = fields.skip(1).map_while(|field| field.parse().ok());
    Some(Account { user: numbers.next()?, group: numbers.next()? })
}

const NOBODY: Account = Account { user: 65_534, group: 65_534 };

//! Whether the lines after a `Host` or `Match` hold: pure.

use super::pattern::{list_matches, matches};

/// What is known about the host when a condition is reached.
pub(crate) struct Facts<'a> {
    /// Its name after `HostName`.
    pub(crate) host: &'a str,
    /// Its name as the user wrote it.
    pub(crate) original_host: &'a str,
    /// Who logs in there.
    pub(crate) user: &'a str,
    /// Who we are here.
    pub(crate) local_user: &'a str,
    /// The value of `Tag`.
    pub(crate) tag: &'a str,
    /// Whether the files are read a second time, with the name that the first time gave.
    pub(crate) last_pass: bool,
}

/// What a `Match` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) holds: bool,
    /// Whether the files are to be read a second time.
    pub(crate) wants_last_pass: bool,
}

/// Whether a `Host` line holds for a name.
///
/// Source: `ssh_config(5)`, Host: a negated pattern that matches outweighs all others.
pub(crate) fn host_holds(patterns: &[String], name: &str) -> bool {
    let mut holds = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(name, excluded) => return false,
            Some(_) => {}
            None => holds |= matches(name, pattern),
        }
    }
    holds
}

/// Whether a `Match` line holds.
///
/// Errors: in words: a line that OpenSSH would not take, or one that hangs on what is not known
/// here: the outcome of a command (nothing is ever run), the networks of this machine. Neither answer
/// would be safe then, for the lines below may decide about the route or the host key. Where another
/// criterion of the line fails, that one does not matter.
///
/// Source: `ssh_config(5)`, Match.
pub(crate) fn match_holds(arguments: &[String], facts: &Facts<'_>) -> Result<Verdict, String> {
    let mut verdict = Verdict { holds: true, wants_last_pass: false };
    let mut unknown = None;
    let mut words = arguments.iter().map(String::as_str);
    let mut count = 0;
    while let Some(word) = words.next() {
        let (negated, criterion) =
            word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
        let (criterion, inline) =
            criterion.split_once('=').map_or((criterion, None), |(name, arg)| (name, Some(arg)));
        let criterion = criterion.to_ascii_lowercase();
        if criterion == "all" {
            if count > 1 || words.next().is_some() {
                return Err(format!("{word:?} cannot be combined with other criteria"));
            }
            verdict.holds &= !negated;
            count += 1;
            break;
        }
        count += 1;
        if criterion == "final" || criterion == "canonical" {
            verdict.wants_last_pass |= criterion == "final" && !negated;
            verdict.holds &= facts.last_pass != negated;
            continue;
        }
        let argument = inline.or_else(|| words.next());
        let argument = argument.ok_or_else(|| format!("{word:?} needs an argument"))?;
        match holds(&criterion, argument, facts)? {
            Some(matched) => verdict.holds &= matched != negated,
            None => unknown = Some(criterion),
        }
    }
    match unknown {
        _ if count == 0 => Err("Match needs a criterion".to_owned()),
        Some(criterion) if verdict.holds => Err(format!(
            "whether this Match holds depends on {criterion:?}, which is not evaluated"
        )),
        _ => Ok(verdict),
    }
}

/// Whether one criterion holds, if that is known.
fn holds(criterion: &str, argument: &str, facts: &Facts<'_>) -> Result<Option<bool>, String> {
    let may_be_empty = matches!(criterion, "tagged" | "command");
    if argument.is_empty() && !may_be_empty {
        return Err(format!("{criterion:?} needs an argument"));
    }
    let text = |value: &str| {
        if value.is_empty() { argument.is_empty() } else { list_matches(value, argument) }
    };
    let host = |name: &str| list_matches(&name.to_lowercase(), &argument.to_lowercase());
    Ok(Some(match criterion {
        "host" => host(facts.host),
        "originalhost" => host(facts.original_host),
        "user" => list_matches(facts.user, argument),
        "localuser" => list_matches(facts.local_user, argument),
        "tagged" => text(facts.tag),
        // As for ssh -N: nothing is run there.
        "command" => text(""),
        "sessiontype" => list_matches("none", argument),
        "exec" | "localnetwork" | "version" => return Ok(None),
        _ => return Err(format!("{criterion:?} is not a criterion of Match")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts<'static> {
        Facts {
            host: "db.example.com",
            original_host: "db",
            user: "jo",
            local_user: "me",
            tag: "",
            last_pass: false,
        }
    }

    fn verdict(line: &str) -> Result<bool, String> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        match_holds(&words, &facts()).map(|verdict| verdict.holds)
    }

    #[test]
    fn every_criterion_of_a_line_has_to_hold() {
        for line in [
            "all",
            "host *.example.com",
            "host *.EXAMPLE.com user jo",
            "originalhost db,other localuser me",
            "!user root",
            "user !root,*",
            "!final host *",
            "tagged= host db.*",
            "host=db.*",
        ] {
            assert_eq!(verdict(line), Ok(true), "{line}");
        }
        for line in ["!all", "host db", "user jo,!jo", "!host *", "final", "final all", "tagged x"]
        {
            assert_eq!(verdict(line), Ok(false), "{line}");
        }
    }

    #[test]
    fn a_command_matters_only_where_everything_else_holds() {
        assert_eq!(verdict("host other exec true"), Ok(false));
        assert_eq!(verdict("exec true user root"), Ok(false));
        for line in ["exec true", "host db.* exec false", "!exec true", "localnetwork 10.0.0.0/8"] {
            assert!(verdict(line).unwrap_err().contains("is not evaluated"), "{line}");
        }
    }

    #[test]
    fn a_line_that_openssh_would_not_take_is_a_mistake() {
        for line in ["host", "user a host b all", "all user a", "nonsense x", "user jo exec"] {
            assert!(verdict(line).is_err(), "{line}");
        }
    }

    #[test]
    fn final_asks_for_a_second_reading() {
        let words = ["final".to_owned()];
        let first = match_holds(&words, &facts()).unwrap();
        assert_eq!(first, Verdict { holds: false, wants_last_pass: true });
        let last = Facts { last_pass: true, ..facts() };
        assert!(match_holds(&words, &last).unwrap().holds);
    }
}

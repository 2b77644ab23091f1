//! Tokens, variables and `~` in values.

use std::path::PathBuf;

use crate::surroundings::Surroundings;

/// What the tokens stand for.
pub(crate) struct Tokens<'a> {
    /// `%h`.
    pub(crate) host: &'a str,
    /// `%n`.
    pub(crate) original_host: &'a str,
    /// `%k`, if it is not `%n`.
    pub(crate) host_key_alias: Option<&'a str>,
    /// `%p`.
    pub(crate) port: u16,
    /// `%r`.
    pub(crate) user: &'a str,
    /// `%j`.
    pub(crate) jump: &'a str,
    pub(crate) here: &'a Surroundings,
}

/// The value of `HostName` for a host: `%h` stands for the name as it was written.
///
/// Errors: in words.
/// Source: `ssh_config(5)`, TOKENS.
pub(crate) fn host_name(value: &str, original_host: &str) -> Result<String, String> {
    expand(value, |token| (token == 'h').then(|| original_host.to_owned()), None)
}

impl Tokens<'_> {
    /// A path with `~`, tokens and `${VARIABLE}`.
    ///
    /// Errors: in words: what cannot be expanded.
    /// Source: `ssh_config(5)`, TOKENS and ENVIRONMENT VARIABLES.
    pub(crate) fn path(&self, value: &str) -> Result<PathBuf, String> {
        let rest = tilde(value, self.here)?;
        expand(&rest, |token| self.token(token), Some(self.here)).map(PathBuf::from)
    }

    /// A value with tokens alone.
    ///
    /// Errors: as [`Self::path`].
    pub(crate) fn text(&self, value: &str) -> Result<String, String> {
        expand(value, |token| self.token(token), None)
    }

    fn token(&self, token: char) -> Option<String> {
        let here = self.here;
        Some(match token {
            'd' => here.home.as_ref()?.to_string_lossy().into_owned(),
            'h' => self.host.to_owned(),
            'i' => here.uid.to_string(),
            'j' => self.jump.to_owned(),
            'k' => self.host_key_alias.unwrap_or(self.original_host).to_owned(),
            'L' => here.host_name.split('.').next().unwrap_or_default().to_owned(),
            'l' => here.host_name.clone(),
            'n' => self.original_host.to_owned(),
            'p' => self.port.to_string(),
            'r' => self.user.to_owned(),
            'u' => here.user.clone(),
            _ => return None,
        })
    }
}

/// A path in which a leading `~` stands for the home directory.
pub(crate) fn tilde(value: &str, here: &Surroundings) -> Result<String, String> {
    let Some(rest) = value.strip_prefix('~') else { return Ok(value.to_owned()) };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(format!("{value}: the home directory of another user is not looked up"));
    }
    let home = here.home.as_ref().ok_or_else(|| format!("{value}: there is no home directory"))?;
    Ok(format!("{}{rest}", home.display()))
}

fn expand(
    value: &str,
    token: impl Fn(char) -> Option<String>,
    variables: Option<&Surroundings>,
) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(['%', '$']) {
        let (before, special) = rest.split_at(at);
        out.push_str(before);
        let mut chars = special.chars();
        let sign = chars.next();
        match (sign, variables) {
            (Some('$'), Some(here)) if special.starts_with("${") => {
                let (name, after) = special
                    .get(2..)
                    .and_then(|name| name.split_once('}'))
                    .ok_or_else(|| format!("{value}: a brace is not closed"))?;
                let found = here.variables.get(name);
                out += found.ok_or_else(|| format!("{value}: {name} is not set"))?;
                rest = after;
                continue;
            }
            (Some('$'), _) => out.push('$'),
            _ => match chars.next() {
                Some('%') => out.push('%'),
                Some(letter) => {
                    let text = token(letter);
                    out += &text.ok_or_else(|| format!("{value}: %{letter} is not known here"))?;
                }
                None => return Err(format!("{value}: nothing follows the %")),
            },
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn here() -> Surroundings {
        Surroundings {
            home: Some("/home/jo".into()),
            user: "jo".to_owned(),
            uid: 1000,
            host_name: "desk.example.com".to_owned(),
            system: "/etc/ssh".into(),
            variables: HashMap::from([("KEYS".to_owned(), "/k%h".to_owned())]),
        }
    }

    fn path(value: &str) -> Result<String, String> {
        let here = here();
        let tokens = Tokens {
            host: "10.0.0.1",
            original_host: "gate",
            host_key_alias: None,
            port: 2222,
            user: "ec2-user",
            jump: "",
            here: &here,
        };
        tokens.path(value).map(|path| path.display().to_string())
    }

    #[test]
    fn tokens_variables_and_the_home_directory_are_put_in() {
        for (value, expected) in [
            ("~/.ssh/id_%h", "/home/jo/.ssh/id_10.0.0.1"),
            (
                "%d/%n:%p:%r:%u:%i:%L:%l:%k",
                "/home/jo/gate:2222:ec2-user:jo:1000:desk:desk.example.com:gate",
            ),
            ("${KEYS}/100%%", "/k%h/100%"),
            ("a$b/~", "a$b/~"),
            ("~", "/home/jo"),
        ] {
            assert_eq!(path(value).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_put_in_is_named() {
        for (value, words) in [
            ("%C", "%C is not known"),
            ("a%", "nothing follows"),
            ("${NOWHERE}/x", "NOWHERE is not set"),
            ("${KEYS", "brace"),
            ("~root/x", "another user"),
        ] {
            assert!(path(value).unwrap_err().contains(words), "{value}");
        }
    }

    #[test]
    fn a_host_name_knows_but_one_token() {
        assert_eq!(host_name("%h.example.com", "db").as_deref(), Ok("db.example.com"));
        assert!(host_name("%n", "db").is_err());
        assert_eq!(host_name("${x}%%", "db").as_deref(), Ok("${x}%"));
    }
}

//! The command of an `exec` transport: what may be configured, and what becomes of it for one target.
//! Pure, but for a look at the program's file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

/// A command as configured: a program and its arguments. No shell reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    program: String,
    arguments: Vec<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Host,
    Port,
}

impl Command {
    /// Reads the transport's own configuration.
    ///
    /// **Errors**: why it cannot be run; the user's fault.
    pub(crate) fn read(config: &Value) -> Result<Self, String> {
        let keys = config.as_object().ok_or("its configuration is not a table")?;
        if let Some(unknown) = keys.keys().find(|key| *key != "command") {
            return Err(format!("unknown field `{unknown}`, expected `command`"));
        }
        let words = keys.get("command").ok_or("missing field `command`")?;
        let words: Option<Vec<&str>> =
            words.as_array().and_then(|words| words.iter().map(Value::as_str).collect());
        let words =
            words.ok_or("command is a list of texts, for example [\"nc\", \"%h\", \"%p\"]")?;
        let (program, arguments) = words.split_first().ok_or("command is empty")?;
        let program = program_name(program)?;
        let arguments = arguments.iter().map(|argument| pieces(argument));
        Ok(Self { program, arguments: arguments.collect::<Result<_, _>>()? })
    }

    /// The program, as configured.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// The arguments for one target.
    ///
    /// **Errors**: a host that a program could take for something else than a host.
    pub(crate) fn arguments(&self, host: &str, port: u16) -> Result<Vec<String>, String> {
        harmless(host)?;
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Host => host.to_owned(),
            Piece::Port => port.to_string(),
        };
        Ok(self.arguments.iter().map(|pieces| pieces.iter().map(fill).collect()).collect())
    }
}

/// A name for the search path, or an absolute path to something that can be run.
fn program_name(word: &str) -> Result<String, String> {
    let name = match &*pieces(word)? {
        [Piece::Text(name)] => name.clone(),
        [] => return Err("the program in command is empty".to_owned()),
        _ => return Err(format!("the program in command cannot depend on the target: {word}")),
    };
    if !name.contains('/') {
        return Ok(name);
    }
    let path = Path::new(&name);
    if !path.is_absolute() {
        return Err(format!("the program {name} is neither a bare name nor an absolute path"));
    }
    let file = fs::metadata(path).map_err(|error| format!("cannot run {name}: {error}"))?;
    if !file.is_file() || file.permissions().mode() & 0o111 == 0 {
        return Err(format!("cannot run {name}: it is not an executable file"));
    }
    Ok(name)
}

/// Cuts a word at its tokens. Anything else with a `%` is refused, so that a token of OpenSSH's
/// that is not known here (`%r`, `%n`) cannot pass for text.
fn pieces(word: &str) -> Result<Vec<Piece>, String> {
    if word.contains('\0') {
        return Err("command contains a zero byte".to_owned());
    }
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let token = match letters.next() {
            Some('%') => {
                text.push('%');
                continue;
            }
            Some('h') => Piece::Host,
            Some('p') => Piece::Port,
            other => {
                let token: String = other.into_iter().collect();
                return Err(format!(
                    "command has %{token} in \"{word}\"; there are %h (host), %p (port) and %% (a %)"
                ));
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(token);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// Names and addresses alone: nothing that a program could take for an option, or, should it hand
/// its arguments to a shell, that a shell could take for anything.
fn harmless(host: &str) -> Result<(), String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    if host.is_empty() || host.len() > LONGEST_HOST {
        return Err("the host is empty or too long to be one".to_owned());
    }
    if host.starts_with('-') || !host.chars().all(letters) {
        return Err(format!(
            "the host {host:?} is not handed to a command: letters, digits and . _ - : only, and \
             no - in front"
        ));
    }
    Ok(())
}

/// Source: RFC 1035, 2.3.4.
const LONGEST_HOST: usize = 255;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn command(words: &Value) -> Result<Command, String> {
        Command::read(&json!({ "command": words }))
    }

    #[test]
    fn tokens_are_replaced_and_nothing_is_split() {
        let words = json!(["ssh", "-W", "%h:%p", "100%%", "a b; $(c)", ""]);
        let arguments = command(&words).unwrap().arguments("db.example", 5432).unwrap();
        assert_eq!(arguments, ["-W", "db.example:5432", "100%", "a b; $(c)", ""]);
    }

    #[test]
    fn any_other_token_is_refused_with_those_there_are() {
        for word in ["%r", "%", "%H", "a%n", "%%%"] {
            let error = command(&json!(["nc", word])).unwrap_err();
            assert!(error.contains("%h (host), %p (port)"), "{error}");
        }
    }

    #[test]
    fn a_host_that_could_be_an_option_or_more_than_a_host_is_refused() {
        let command = command(&json!(["nc", "%h", "%p"])).unwrap();
        for host in ["-oProxyCommand=x", "", "a b", "a;b", "a\nb", "$(a)", "a,b", "h\u{e9}", "a/b"]
        {
            assert!(command.arguments(host, 1).is_err(), "{host:?} was taken");
        }
        for host in ["db.example", "10.0.0.1", "::1", "a_b", "db-1"] {
            assert!(command.arguments(host, 1).is_ok(), "{host:?} was refused");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_in_words() {
        for (config, words) in [
            (json!({}), "missing field `command`"),
            (json!([]), "not a table"),
            (json!({ "command": "nc %h %p" }), "is a list of texts"),
            (json!({ "command": ["nc", 5432] }), "is a list of texts"),
            (json!({ "command": [] }), "is empty"),
            (json!({ "command": [""] }), "is empty"),
            (json!({ "command": ["%h"] }), "cannot depend on the target"),
            (json!({ "command": ["nc"], "comand": 1 }), "unknown field `comand`"),
            (json!({ "command": ["./nc"] }), "neither a bare name nor an absolute path"),
            (json!({ "command": ["/no/such/nc"] }), "cannot run /no/such/nc: No such file"),
            (json!({ "command": ["/etc/passwd"] }), "it is not an executable file"),
            (json!({ "command": ["/"] }), "it is not an executable file"),
        ] {
            let error = Command::read(&config).unwrap_err();
            assert!(error.contains(words), "{config}: {error}");
        }
    }

    #[test]
    fn a_bare_name_is_left_to_the_search_path() {
        assert_eq!(command(&json!(["no-such-program"])).unwrap().program(), "no-such-program");
    }
}

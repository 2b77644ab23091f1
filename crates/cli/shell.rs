//! Settings of the environment in the languages of shells.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::args::client::Shell;
use crate::conninfo::Variable;

/// What a shell has to read to have these variables, and none of those that are `removed`.
pub(crate) fn settings(
    shell: Shell,
    variables: &[Variable],
    removed: &[&str],
) -> Zeroizing<String> {
    let assignment = |(name, value): &Variable| match shell {
        Shell::Sh => format!("export {name}={}", sh(value)),
        Shell::Fish => format!("set -gx {name} {};", fish(value)),
        Shell::Pwsh => format!("$Env:{name} = {}", pwsh(value)),
        Shell::Dotenv => format!("{name}={}", dotenv(value)),
        Shell::Json => String::new(),
    };
    let removal = match shell {
        Shell::Sh => Some(format!("unset {}", removed.join(" "))),
        // It is a failure in fish to erase what is not there.
        Shell::Fish => Some(format!("set -e {}; or true;", removed.join(" "))),
        Shell::Pwsh => {
            let names: Vec<_> = removed.iter().map(|name| format!("Env:{name}")).collect();
            Some(format!("Remove-Item -ErrorAction Ignore {}", names.join(",")))
        }
        Shell::Dotenv => None,
        Shell::Json => return json(variables),
    };
    let lines: Vec<_> = removal.into_iter().chain(variables.iter().map(assignment)).collect();
    Zeroizing::new(lines.join("\n"))
}

/// Between single quotes nothing is special but the quote itself.
fn sh(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Source: fish documentation, "Quotes": `\'` and `\\` are the only escapes there.
fn fish(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Source: PowerShell's `about_Quoting_Rules`: a quote is doubled. The typographic ones count too.
fn pwsh(value: &str) -> String {
    let mut quoted = String::from("'");
    for letter in value.chars() {
        if matches!(letter, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(letter);
        }
        quoted.push(letter);
    }
    quoted + "'"
}

/// As it is where every reader agrees on it, else in the quotes that most of them know.
fn dotenv(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~/:@%?&=,+".contains(letter);
    if value.chars().all(plain) {
        value.to_owned()
    } else if value.contains('\'') {
        let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
        format!("\"{escaped}\"")
    } else {
        format!("'{value}'")
    }
}

fn json(variables: &[Variable]) -> Zeroizing<String> {
    let members = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::String(value.to_string())));
    Zeroizing::new(format!("{:#}", Value::Object(members.collect::<Map<_, _>>())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(shell: Shell, value: &str) -> String {
        let variables = [("PGUSER", Zeroizing::new(value.to_owned()))];
        let text = settings(shell, &variables, &[]);
        text.lines().last().map(str::to_owned).unwrap_or_default()
    }

    #[test]
    fn each_language_has_its_own_quotes() {
        let value = r#"a'b\c"d$e"#;
        assert_eq!(line(Shell::Sh, value), r#"export PGUSER='a'\''b\c"d$e'"#);
        assert_eq!(line(Shell::Fish, value), r#"set -gx PGUSER 'a\'b\\c"d$e';"#);
        assert_eq!(line(Shell::Pwsh, value), r#"$Env:PGUSER = 'a''b\c"d$e'"#);
        assert_eq!(line(Shell::Dotenv, value), r#"PGUSER="a'b\\c\"d\$e""#);
    }

    #[test]
    fn powershells_typographic_quotes_are_doubled_too() {
        assert_eq!(line(Shell::Pwsh, "a\u{2019}b"), "$Env:PGUSER = 'a\u{2019}\u{2019}b'");
    }

    #[test]
    fn a_dotenv_value_has_quotes_only_where_it_needs_them() {
        let url = "postgresql://a%20b:c@127.0.0.1:1/d?sslmode=disable";
        assert_eq!(line(Shell::Dotenv, url), format!("PGUSER={url}"));
        assert_eq!(line(Shell::Dotenv, "a b#c"), "PGUSER='a b#c'");
    }

    #[test]
    fn shells_unset_what_would_lead_elsewhere() {
        for shell in [Shell::Sh, Shell::Fish, Shell::Pwsh] {
            let text = settings(shell, &[], &["PGHOSTADDR", "PGSERVICE"]);
            assert!(text.contains("PGHOSTADDR") && text.contains("PGSERVICE"), "{}", *text);
        }
    }
}

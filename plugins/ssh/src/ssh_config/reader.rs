//! Reads the files for one host, and collects what they say about it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pgferry_transport_sdk::Error;

use super::condition::{Facts, host_holds, match_holds};
use super::keyword::{Meaning, meaning, present_name};
use super::line::{self, Line};
use super::pattern::list_matches;
use super::tokens::{host_name, tilde};
use super::{Query, Source, Whose};
use crate::known_hosts::Place;
use crate::surroundings::Surroundings;

/// A line that holds for the host.
#[derive(Debug, Clone)]
pub(crate) struct Directive {
    pub(crate) keyword: String,
    pub(crate) arguments: Vec<String>,
    /// The arguments as they stand.
    pub(crate) rest: String,
    pub(crate) place: Place,
}

/// All that the files say about a host.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The first line for each keyword: it wins.
    pub(crate) first: BTreeMap<String, Directive>,
    /// These add up.
    pub(crate) identity_files: Vec<Directive>,
    pub(crate) certificate_files: Vec<Directive>,
}

impl Found {
    pub(crate) fn text(&self, keyword: &str) -> Option<&str> {
        self.first.get(keyword)?.arguments.first().map(String::as_str)
    }

    /// The host's name after `HostName`.
    pub(crate) fn host(&self, query: &Query<'_>) -> Result<String, String> {
        let Some(value) = self.text("hostname") else { return Ok(query.host.to_owned()) };
        host_name(value, query.host)
    }

    /// Like OpenSSH: what stands first of `ProxyCommand` and `ProxyJump` decides about both.
    fn is_decided(&self, keyword: &str) -> bool {
        let other = match keyword {
            "proxycommand" => "proxyjump",
            "proxyjump" => "proxycommand",
            _ => return false,
        };
        match self.first.get(other) {
            Some(jump) if other == "proxyjump" => !jump.rest.eq_ignore_ascii_case("none"),
            Some(_) => true,
            None => false,
        }
    }

    fn add(&mut self, directive: Directive) {
        let list = match directive.keyword.as_str() {
            "identityfile" => &mut self.identity_files,
            "certificatefile" => &mut self.certificate_files,
            keyword if self.is_decided(keyword) => return,
            _ => {
                self.first.entry(directive.keyword.clone()).or_insert(directive);
                return;
            }
        };
        if list.iter().all(|other| other.arguments != directive.arguments) {
            list.push(directive);
        }
    }
}

/// One pass over the files.
pub(crate) struct Reader<'a> {
    pub(crate) query: &'a Query<'a>,
    pub(crate) here: &'a Surroundings,
    /// The name that the pass before has given; `Host` lines are held against it.
    pub(crate) last_pass: Option<String>,
    pub(crate) found: Found,
    pub(crate) wants_last_pass: bool,
}

impl Reader<'_> {
    /// Reads one file and those that it includes.
    ///
    /// Errors: config: a file that cannot be read or trusted, a line that cannot be understood.
    pub(crate) fn read(&mut self, source: &Source, depth: usize) -> Result<(), Error> {
        let Some(text) = self.text(source)? else { return Ok(()) };
        let mut holds = true;
        for (index, text) in text.lines().enumerate() {
            let place = || Place { file: source.path.clone(), line: index + 1 };
            let wrong = |text: String| Error::config(format!("{}: {text}", place()));
            // Where nothing holds, nothing is understood either: it is for other hosts.
            let line = match line::cut(text) {
                Ok(Some(line)) => line,
                Ok(None) => continue,
                Err(_) if !holds => continue,
                Err(text) => return Err(wrong(text)),
            };
            match line.keyword.as_str() {
                "host" => holds = host_holds(&line.arguments, self.name()),
                "match" => {
                    holds = self.matches(&line).map_err(|text| refused_match(wrong(text)))?;
                }
                _ if !holds => {}
                "include" => self.include(&line, source, depth).map_err(|error| match error {
                    Included::Wrong(text) => wrong(text),
                    Included::Failed(error) => error,
                })?,
                _ => self.take(line, place())?,
            }
        }
        Ok(())
    }

    fn take(&mut self, line: Line<'_>, place: Place) -> Result<(), Error> {
        let keyword = present_name(&line.keyword);
        match meaning(keyword) {
            Meaning::Harmless => Ok(()),
            Meaning::Unknown => {
                let ignored = self.found.text("ignoreunknown");
                if ignored.is_some_and(|list| list_matches(keyword, &list.to_ascii_lowercase())) {
                    return Ok(());
                }
                Err(Error::config(format!("{place}: {keyword} is not a keyword of ssh_config"))
                    .with_hint("correct it, or put IgnoreUnknown with that keyword before it"))
            }
            Meaning::Followed | Meaning::Refused(_) => {
                let (keyword, rest) = (keyword.to_owned(), line.rest.to_owned());
                self.found.add(Directive { keyword, arguments: line.arguments, rest, place });
                Ok(())
            }
        }
    }

    /// What `Host` lines are held against.
    fn name(&self) -> &str {
        self.last_pass.as_deref().unwrap_or(self.query.host)
    }

    fn matches(&mut self, line: &Line<'_>) -> Result<bool, String> {
        let host = match &self.last_pass {
            Some(host) => host.clone(),
            None => self.found.host(self.query)?,
        };
        let user = self.query.user.or_else(|| self.found.text("user"));
        let facts = Facts {
            host: &host,
            original_host: self.query.host,
            user: user.unwrap_or(&self.here.user),
            local_user: &self.here.user,
            tag: self.found.text("tag").unwrap_or_default(),
            last_pass: self.last_pass.is_some(),
        };
        let verdict = match_holds(&line.arguments, &facts)?;
        self.wants_last_pass |= verdict.wants_last_pass;
        Ok(verdict.holds)
    }

    fn include(&mut self, line: &Line<'_>, from: &Source, depth: usize) -> Result<(), Included> {
        if depth >= MAX_DEPTH {
            return Err(Included::Wrong(format!("Include goes deeper than {MAX_DEPTH} files")));
        }
        for pattern in &line.arguments {
            let pattern = self.anchored(pattern, from.whose).map_err(Included::Wrong)?;
            let paths = glob::glob_with(&pattern, GLOB)
                .map_err(|error| Included::Wrong(format!("{pattern}: {error}")))?;
            for path in paths {
                let path = path.map_err(|error| Included::Wrong(error.to_string()))?;
                let source = Source { path, whose: from.whose, checked: true, required: false };
                self.read(&source, depth + 1).map_err(Included::Failed)?;
            }
        }
        Ok(())
    }

    /// Where an included path leads that is not absolute.
    fn anchored(&self, pattern: &str, whose: Whose) -> Result<String, String> {
        if pattern.starts_with('~') {
            return match whose {
                Whose::User => tilde(pattern, self.here),
                Whose::System => Err(format!("{pattern}: the system's file cannot include it")),
            };
        }
        let directory = match whose {
            Whose::User => self.here.user_directory().ok_or("there is no home directory")?,
            Whose::System => self.here.system.clone(),
        };
        // An absolute path replaces the directory.
        Ok(directory.join(pattern).to_string_lossy().into_owned())
    }

    /// The text of a file; none where it is missing and may be.
    fn text(&self, source: &Source) -> Result<Option<String>, Error> {
        let (name, hint) = (source.path.display(), "correct it, or set ssh_config = false");
        let cannot = |error: io::Error| Error::config(format!("cannot read {name}: {error}"));
        let mut file = match File::open(&source.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !source.required => {
                return Ok(None);
            }
            Err(error) => return Err(cannot(error).with_hint(hint)),
        };
        if source.checked && self.others_may_write(&file).map_err(cannot)? {
            let text = format!("{name} can be changed by others, or belongs to somebody else");
            return Err(Error::config(text).with_hint(format!("run: chmod go-w {name}")));
        }
        let mut bytes = Vec::new();
        let read = (&mut file).take(MAX_LEN).read_to_end(&mut bytes).map_err(cannot)?;
        if read as u64 == MAX_LEN {
            return Err(Error::config(format!("{name} is too long")).with_hint(hint));
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// OpenSSH's rule for the user's files.
    fn others_may_write(&self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let strange = metadata.uid() != 0 && metadata.uid() != self.here.uid;
        Ok(strange || metadata.mode() & 0o022 != 0)
    }
}

/// Why an `Include` came to nothing.
enum Included {
    /// The line itself is wrong.
    Wrong(String),
    /// A file that it names is.
    Failed(Error),
}

fn refused_match(error: Error) -> Error {
    error.with_hint(
        "nothing is run and no guess is made: name another file in ssh_config_file, or write what \
         it decides into this transport and set ssh_config = false",
    )
}

/// The same limit as OpenSSH's.
const MAX_DEPTH: usize = 16;
const MAX_LEN: u64 = 1024 * 1024;
/// As glob(3) does it.
const GLOB: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// For those who only need the path.
pub(crate) fn user_file(here: &Surroundings) -> Option<PathBuf> {
    Some(here.user_directory()?.join("config"))
}

/// The system-wide file.
pub(crate) fn system_file(here: &Surroundings) -> PathBuf {
    Path::new(&here.system).join("ssh_config")
}

//! How the demo talks: numbered steps, colours only where someone can see them.

use std::io::{IsTerminal, stdout};

use crate::ferry::Ferry;

pub(crate) struct Narration {
    colours: Colours,
}

enum Colours {
    On,
    Off,
}

impl Narration {
    pub(crate) fn new() -> Self {
        let wanted = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colours: if wanted { Colours::On } else { Colours::Off } }
    }

    pub(crate) fn step(&self, number: &str, title: &str) {
        println!("\n{} {}", self.paint("1;36", number), self.paint("1", title));
    }

    pub(crate) fn fact(&self, name: &str, value: &str) {
        println!("  {} {value}", self.paint("2", &format!("{name:<12}")));
    }

    /// A command as a reader would type it.
    pub(crate) fn command(&self, line: &str) {
        println!("  {} {}", self.paint("32", "$"), self.paint("1", line));
    }

    pub(crate) fn failure(&self, text: &str) {
        println!("\n{} {text}", self.paint("1;31", "Failed:"));
    }

    /// What to try next.
    pub(crate) fn invite(&self, ferry: &Ferry) {
        println!("\n{}", self.paint("1;36", "Everything is up. Try it from another terminal:"));
        self.command(&format!("psql \"{}\"", ferry.address.conninfo()));
        self.command(&format!("curl {}", ferry.metrics_url()));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.colours {
            Colours::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colours::Off => text.to_owned(),
        }
    }
}

/// Text as it is.
pub(crate) fn plain(text: &str) {
    println!("{text}");
}

/// What a program wrote, set off from the story.
pub(crate) fn block(text: &str) {
    for line in text.trim_end().lines() {
        println!("    {line}");
    }
}

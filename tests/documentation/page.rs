//! A page of the documentation, as far as tests read Markdown.

use std::fs;
use std::path::{Path, PathBuf};

/// A page.
pub(crate) struct Page {
    pub(crate) file: PathBuf,
    text: String,
}

/// A fenced block.
pub(crate) struct Block {
    /// File and line, for messages.
    pub(crate) place: String,
    pub(crate) text: String,
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page: those at the top, and those below `docs`.
pub(crate) fn pages() -> Vec<Page> {
    let mut files = Vec::new();
    for directory in [".", "docs", "docs/decisions"] {
        for entry in fs::read_dir(root().join(directory)).expect("a directory") {
            let file = entry.expect("an entry").path();
            if file.extension().is_some_and(|extension| extension == "md") {
                files.push(file.canonicalize().expect("a file"));
            }
        }
    }
    assert!(files.len() >= 20, "{files:?}");
    let page = |file: PathBuf| Page { text: fs::read_to_string(&file).expect("a page"), file };
    files.into_iter().map(page).collect()
}

impl Page {
    pub(crate) fn directory(&self) -> &Path {
        self.file.parent().expect("a file is in a directory")
    }

    /// The fenced blocks in a language.
    pub(crate) fn blocks(&self, language: &str) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let Some(info) = line.strip_prefix("```") else { continue };
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let text: Vec<&str> = body.collect();
            if info == language {
                let place = format!("{}:{}", self.file.display(), number + 1);
                blocks.push(Block { place, text: text.join("\n") + "\n" });
            }
        }
        blocks
    }

    /// Where the links to other files and to headings lead, as written.
    pub(crate) fn links(&self) -> Vec<String> {
        let targets = self.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.filter(|to| !to.contains("://")).map(str::to_owned).collect()
    }

    /// The names under which headings can be linked to.
    pub(crate) fn headings(&self) -> impl Iterator<Item = String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings.map(|heading| anchor(heading.trim_start_matches('#').trim()))
    }
}

/// As GitHub makes it: lower case, blanks as hyphens, other punctuation left out.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

//! Operators.

/// The longest one that PostgreSQL takes has 63 characters; a comment may begin behind it. Beyond that
/// nobody looks, so that a long row of signs takes time in proportion.
const WINDOW: usize = 66;

/// Characters that let an operator end in `+` or `-`: `?-` is an operator, `=-` is two.
const PECULIAR: &[u8] = b"~!@#^&|`?%";

/// Whether an operator may hold it.
pub(super) fn has(byte: u8) -> bool {
    PECULIAR.contains(&byte) || b"+-*/<>=".contains(&byte)
}

/// The length of the operator that `rest` begins with. No comment begins there.
pub(super) fn length(rest: &[u8]) -> usize {
    let run = rest.iter().take(WINDOW).take_while(|byte| has(**byte)).count();
    let run = rest.get(..run).unwrap_or_default();
    let comment = run.windows(2).position(|pair| matches!(pair, b"--" | b"/*"));
    let run = comment.and_then(|start| run.get(..start)).unwrap_or(run);
    let (last, before) = run.split_last().unwrap_or((&b'+', &[]));
    if !b"+-".contains(last) || before.iter().any(|byte| PECULIAR.contains(byte)) {
        return run.len();
    }
    let signs = run.iter().rev().take_while(|byte| b"+-".contains(byte)).count();
    (run.len() - signs).max(1)
}

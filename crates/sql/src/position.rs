//! Where a character of one text is in another.

use std::ops::Range;

/// Leads from positions in a rewritten text to those in the text it was made of, and back.
///
/// Positions are as PostgreSQL has them in its messages: in characters, the first is 1. In the text that
/// was rewritten they count from the beginning of the query string that the statement is part of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PositionMap {
    /// Characters of the query string before the statement.
    before: usize,
    /// What was replaced, in order, in characters from 0. Between them both texts are equal.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    source: Range<usize>,
    rewritten: Range<usize>,
}

impl PositionMap {
    pub(crate) fn new(before: usize) -> Self {
        Self { before, pieces: Vec::new() }
    }

    /// Says that the characters `source` became `rewritten`.
    pub(crate) fn replace(&mut self, source: Range<usize>, rewritten: Range<usize>) {
        self.pieces.push(Piece { source, rewritten });
    }

    /// Where the character of the rewritten text was in the query string. Of what was replaced, the
    /// beginning.
    pub fn to_source(&self, position: usize) -> usize {
        let pieces = self.pieces.iter().map(|piece| (&piece.rewritten, &piece.source));
        through(pieces, position.saturating_sub(1)) + self.before + 1
    }

    /// Where the character of the query string went. Of what was replaced, the beginning.
    pub fn to_rewritten(&self, position: usize) -> usize {
        let pieces = self.pieces.iter().map(|piece| (&piece.source, &piece.rewritten));
        through(pieces, position.saturating_sub(self.before + 1)) + 1
    }
}

fn through<'a>(
    pieces: impl DoubleEndedIterator<Item = (&'a Range<usize>, &'a Range<usize>)>,
    position: usize,
) -> usize {
    match pieces.rev().find(|(from, _)| from.start <= position) {
        Some((from, to)) if position < from.end => to.start,
        // An insertion has no characters: what is at its place stands behind it.
        Some((from, to)) => to.end + (position - from.end),
        None => position,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_lead_to_and_fro() {
        // "ab$1cd" to "abCAST(:p1)cd".
        let mut map = PositionMap::new(10);
        map.replace(2..4, 2..11);
        for (source, rewritten) in [(11, 1), (12, 2), (13, 3), (15, 12), (16, 13)] {
            assert_eq!(map.to_source(rewritten), source);
            assert_eq!(map.to_rewritten(source), rewritten);
        }
        assert_eq!(map.to_source(7), 13);
        assert_eq!(map.to_rewritten(14), 3);
    }

    #[test]
    fn what_is_inserted_belongs_to_what_follows() {
        let mut map = PositionMap::new(0);
        map.replace(1..1, 1..3);
        assert_eq!([1, 2, 3, 4].map(|position| map.to_source(position)), [1, 2, 2, 2]);
        assert_eq!(map.to_rewritten(2), 4);
    }

    #[test]
    fn no_position_is_too_far() {
        let mut map = PositionMap::new(3);
        map.replace(0..1, 0..5);
        assert_eq!(map.to_source(0), 4);
        assert_eq!(map.to_rewritten(0), 1);
        assert_eq!(map.to_source(usize::MAX - 9), usize::MAX - 10);
    }
}

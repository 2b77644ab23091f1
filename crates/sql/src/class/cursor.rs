//! Cursors.

use std::ops::Range;

/// A statement about a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// `DECLARE name … CURSOR … FOR query`.
    Declare {
        /// Its name.
        name: String,
        /// `BINARY`.
        binary: bool,
        /// `SCROLL` or `NO SCROLL`, if said.
        scroll: Option<bool>,
        /// `WITH HOLD`: it outlives the transaction.
        hold: bool,
        /// The query.
        query: Range<usize>,
    },
    /// `FETCH`.
    Fetch(Movement),
    /// `MOVE`.
    Move(Movement),
    /// `CLOSE`; none is `ALL`.
    Close(Option<String>),
}

/// Which rows of which cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The cursor.
    pub name: String,
    /// Which rows.
    pub count: Count,
}

/// Where to, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many rows on; back if it is below zero; the same row again if it is zero.
    Forward(i64),
    /// The rest.
    ForwardAll,
    /// Back to the beginning.
    BackwardAll,
    /// The row of that number, from the end if it is below zero. `FIRST` is 1, `LAST` is -1.
    Absolute(i64),
    /// The one row that is so many away.
    Relative(i64),
}

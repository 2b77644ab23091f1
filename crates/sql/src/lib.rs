//! PostgreSQL's SQL as text, pure: tokens, statements, what they do, rewriting.
//!
//! No grammar: it never says that a statement is right, and what is wrong it hands on, so that PostgreSQL
//! says what is wrong with it. What it says of a right statement is exact, or on the safe side.
//!
//! [`statements`] cuts a query string, [`Statement`] says the rest.

pub mod class;
mod classify;
pub mod copy;
mod effect;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod literal;
mod position;
mod rewrite;
mod statement;
mod tag;
mod token;
mod words;

pub use class::Class;
pub use position::PositionMap;
pub use rewrite::{Binding, Bound, ParameterUse, Plan, Rewritten, TooLong};
pub use statement::{Statement, statements};
pub use token::{Backslashes, Quoting, Token, TokenKind, Tokens, tokens};

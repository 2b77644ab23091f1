//! PostgreSQL's SQL as text, pure: tokens, statements, what they do, rewriting.

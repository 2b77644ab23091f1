//! PostgreSQL's values, pure: the text and the binary form of every built-in type.

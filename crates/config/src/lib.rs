//! What a user may write (schema), and what the program runs (plan).

//! One PostgreSQL session from the application to the database: listener, logins, relay, cancel, drain.

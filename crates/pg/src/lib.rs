//! PostgreSQL's protocol rules, pure: no sockets, no clock, no runtime.

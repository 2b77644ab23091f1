//! The ssh transport: PostgreSQL sessions through an SSH bastion.

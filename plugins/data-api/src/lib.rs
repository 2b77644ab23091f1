//! The data-api transport: PostgreSQL sessions over the RDS Data API.

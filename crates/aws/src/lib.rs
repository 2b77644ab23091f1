//! What pgferry knows of AWS: one SDK configuration and credential chain for the whole process, and
//! AWS's errors in plain words.
//!
//! It opens no database connection and knows nothing of PostgreSQL.

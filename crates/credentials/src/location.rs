//! How the database is found.

/// Where a database is, or whom to ask.
#[derive(Clone, Debug)]
pub enum Location {
    /// An endpoint by its own name.
    Host {
        /// The name.
        host: String,
        /// Its port.
        port: u16,
    },
}

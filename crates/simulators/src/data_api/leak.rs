//! What a client has left behind in sessions that are not its own.

use std::thread;

use tokio_postgres::{Client, Error};

use super::DataApi;

/// Something in a session that the next caller meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The process id of the session's backend.
    pub backend: i32,
    /// `prepared statement`, `advisory lock`, `temporary table`, `setting`, `role`, `cursor` or
    /// `channel`.
    pub kind: String,
    /// Which.
    pub name: String,
}

impl DataApi {
    /// What is left in sessions that no call and no transaction uses. PostgreSQL does not list
    /// settings of a client's own, such as `app.user`: those are not found.
    ///
    /// # Panics
    ///
    /// When a session cannot be asked.
    #[expect(clippy::panic, reason = "a test that cannot look must not pass")]
    pub fn leaks(&self) -> Vec<Leak> {
        let sessions = self.0.state().pools.drain();
        // A thread, because the caller may be within a runtime of its own.
        let asked = thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build()?;
                let mut leaks = Vec::new();
                for session in &sessions {
                    let found = runtime.block_on(left_in(&session.client, session.backend));
                    leaks.extend(found.map_err(std::io::Error::other)?);
                }
                Ok::<_, std::io::Error>(leaks)
            });
            asking.join().unwrap_or_else(|_| panic!("asking sessions for leaks panicked"))
        });
        let mut state = self.0.state();
        for session in sessions {
            state.pools.put(session);
        }
        asked.unwrap_or_else(|error| panic!("a session cannot be asked for leaks: {error}"))
    }
}

async fn left_in(client: &Client, backend: i32) -> Result<Vec<Leak>, Error> {
    let rows = client.query(LEFT, &[]).await?;
    rows.iter()
        .map(|row| Ok(Leak { backend, kind: row.try_get(0)?, name: row.try_get(1)? }))
        .collect()
}

/// Statements that the protocol has prepared are the service's own.
const LEFT: &str = "\
    SELECT 'prepared statement', name FROM pg_catalog.pg_prepared_statements WHERE from_sql \
    UNION ALL SELECT 'advisory lock', pg_catalog.concat_ws(' ', classid, objid, mode) \
        FROM pg_catalog.pg_locks \
        WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() \
    UNION ALL SELECT 'temporary table', relname::text FROM pg_catalog.pg_class \
        WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind = 'r' \
    UNION ALL SELECT 'setting', name FROM pg_catalog.pg_settings WHERE source = 'session' \
    UNION ALL SELECT 'role', current_user::text WHERE current_user <> session_user \
    UNION ALL SELECT 'cursor', name FROM pg_catalog.pg_cursors WHERE is_holdable \
    UNION ALL SELECT 'channel', pg_catalog.pg_listening_channels()";

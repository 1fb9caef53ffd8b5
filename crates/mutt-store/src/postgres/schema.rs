//! The schema's versions that this program knows, and how it finds the one that stands.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::errors::words;

/// One step forward.
pub(super) struct Migration {
    pub(super) sql: &'static str,
    /// The oldest version that a program must know to work on the schema after this step: a step that
    /// only expands leaves it where it was.
    pub(super) needs: i64,
}

/// Oldest first; the version is the position from 1.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { sql: include_str!("../../migrations/postgres/0001_first.sql"), needs: 1 },
    // Only adds and takes an index away.
    Migration { sql: include_str!("../../migrations/postgres/0002_retention.sql"), needs: 1 },
    // Only adds.
    Migration { sql: include_str!("../../migrations/postgres/0003_sources.sql"), needs: 1 },
    // Only adds.
    Migration { sql: include_str!("../../migrations/postgres/0004_mibs.sql"), needs: 1 },
];

/// What the services' role may do, `{app}` for its name.
pub(super) const GRANTS: &str = include_str!("../../migrations/postgres/grants.sql");

/// The newest version that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The version that stands, and the oldest that a program must know; both 0 without a schema.
pub(super) async fn found(client: &Client) -> Result<(i64, i64), String> {
    let sql = "SELECT version, needs FROM mutt.schema_version ORDER BY version DESC LIMIT 1";
    match client.query_opt(sql, &[]).await {
        Ok(Some(row)) => Ok((row.get(0), row.get(1))),
        Ok(None) => Ok((0, 0)),
        Err(error)
            if error.code() == Some(&SqlState::UNDEFINED_TABLE)
                || error.code() == Some(&SqlState::INVALID_SCHEMA_NAME)
                || error.code() == Some(&SqlState::UNDEFINED_OBJECT) =>
        {
            Ok((0, 0))
        }
        // The schema stands, but nothing was granted yet: as good as not there.
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok((0, 0)),
        Err(error) => Err(words(&error)),
    }
}

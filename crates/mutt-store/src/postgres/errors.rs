//! What PostgreSQL's errors mean for the caller: try again, or the data itself is refused.

use mutt_model::codes::{self, Code};
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// The error's own words with what the server added, in one line.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let mut words = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let cause_words = cause.to_string();
            if !words.contains(&cause_words) {
                words = format!("{words}: {cause_words}");
            }
            source = cause.source();
        }
        return words;
    };
    let detail = db.detail().map(|d| format!(" ({d})")).unwrap_or_default();
    format!("{} [{}]{detail}", db.message(), db.code().code())
}

/// Class 22 (data exception), 23 (constraints) and 54 (limits) are refused again whenever the same is
/// tried; all else may pass.
pub(super) fn is_data(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => matches!(&code.code()[..2], "22" | "23" | "54"),
        // Values that do not fit their parameter or column.
        None => {
            let words = error.to_string();
            words.starts_with("error serializing") || words.starts_with("error deserializing")
        }
    }
}

/// Whether it only says that an earlier statement of the transaction has failed.
pub(super) fn is_consequence(error: &StoreError) -> bool {
    let aborted = SqlState::IN_FAILED_SQL_TRANSACTION.code();
    matches!(error, StoreError::Transient { why, .. } if why.contains(&format!("[{aborted}]")))
}

/// What a person must mend before the same call can succeed.
pub(super) fn hindrance(error: &tokio_postgres::Error) -> Option<Code> {
    let code = error.code()?;
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        Some(codes::STORE_READ_ONLY)
    } else if *code == SqlState::DISK_FULL {
        Some(codes::STORE_FULL)
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        Some(codes::STORE_CONNECTIONS)
    } else {
        None
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let (doing, why) = ("answer", words(&error));
        match hindrance(&error) {
            Some(code) => Self::Hindered { code: Box::new(code), doing, why },
            None if is_data(&error) => Self::Data(why),
            None => Self::Transient { doing, why },
        }
    }
}

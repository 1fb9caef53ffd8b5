//! What PostgreSQL's errors mean for the caller: try again, or the data itself is refused.

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

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        if is_data(&error) {
            Self::Data(words(&error))
        } else {
            Self::Transient { doing: "answer", why: words(&error) }
        }
    }
}

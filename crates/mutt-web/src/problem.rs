//! Refusals: what went wrong, with its error code; turned into an answer at the edge, where the
//! correlation id is known and the form (RFC 9457, v1, page) is chosen.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mutt_model::codes::{self, Code};
use mutt_store::store::StoreError;

use crate::state::HookError;

/// A refusal. As a response it carries itself in the extensions; the edge writes the body.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static Code,
    pub(crate) detail: String,
    pub(crate) retry_after: Option<u64>,
    /// The engine's own words: for the log, for nobody outside.
    pub(crate) cause: Option<String>,
}

/// What an API handler gives.
pub(crate) type Answer<T = Response> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static Code, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None, cause: None }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, &codes::API_BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, &codes::API_NOT_FOUND, detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, &codes::API_CONFLICT, detail)
    }

    /// What the client looked at stands no more.
    pub(crate) fn stale(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, &codes::API_CONFLICT, detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, &codes::API_FORBIDDEN, detail)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            &codes::API_UNAUTHORIZED,
            "Send a token: Authorization: Bearer TOKEN, or X-API-KEY: TOKEN.",
        )
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, &codes::API_INTERNAL, detail);
        problem.retry_after = Some(RETRY_AFTER_SECS);
        problem
    }
}

/// What a client is told to wait when the store is away.
const RETRY_AFTER_SECS: u64 = 5;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(err: StoreError) -> Self {
        match err {
            StoreError::Data(why) => Self::bad(why),
            StoreError::NotFound(why) => Self::not_found(why),
            StoreError::Conflict(why) => Self::conflict(why),
            StoreError::Stale(why) => Self::stale(why),
            // The engine's own words stay in the log: they may name files, hosts and users. The edge
            // writes them, where the correlation id is known.
            err @ (StoreError::Transient { .. }
            | StoreError::Hindered { .. }
            | StoreError::LeaseLost
            | StoreError::Open(_)) => {
                let mut problem =
                    Self::unavailable("The store cannot answer now; the log has the details.");
                problem.cause = Some(err.to_string());
                problem
            }
        }
    }
}

impl From<HookError> for Problem {
    fn from(err: HookError) -> Self {
        match err {
            HookError::NotFound(why) => Self::not_found(why),
            HookError::Bad(why) => Self::bad(why),
            HookError::Conflict(why) => Self::conflict(why),
            HookError::Unavailable(why) => Self::unavailable(why),
        }
    }
}

/// The nearest of the allowed words, when it is near enough to be a slip.
pub(crate) fn nearest<'a>(
    word: &str,
    allowed: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase();
    allowed
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance; inputs are names, cut so that the work stays small.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(LONGEST).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Adds "did you mean" to serde's words about an unknown field.
pub(crate) fn with_suggestion(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let Some((_, rest)) = message.split_once("unknown field `") else {
        return message.to_owned();
    };
    let mut quoted = rest.split('`');
    let unknown = quoted.next().unwrap_or_default();
    let allowed: Vec<&str> = quoted.skip(1).step_by(2).collect();
    match nearest(unknown, allowed.iter().copied()) {
        Some(near) => format!("unknown field `{unknown}`, did you mean `{near}`?"),
        None => format!("unknown field `{unknown}`; allowed: {}", allowed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let check = |word: &str, expected: Option<&str>| {
            assert_eq!(nearest(word, ["match_string", "priority", "host"]), expected, "{word}");
        };
        check("match_sting", Some("match_string"));
        check("Priorty", Some("priority"));
        check("zebra", None);
    }

    #[test]
    fn an_unknown_field_gets_a_suggestion() {
        let message = "unknown field `prioity`, expected one of `id`, `priority`, `host` at line 1";
        assert_eq!(with_suggestion(message), "unknown field `prioity`, did you mean `priority`?");
        assert_eq!(with_suggestion("missing field `x`"), "missing field `x`");
    }
}

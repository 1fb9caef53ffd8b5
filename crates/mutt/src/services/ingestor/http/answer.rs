//! What a client hears, in its own API's words: of a request that was taken, and of one that was
//! refused.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mutt_model::codes::{self, Code};
use serde_json::json;

use super::{Api, Asked, content_type};

/// Seconds that a refused client is told to wait, where nothing says more.
pub(super) const RETRY_AFTER: u64 = 1;

/// A refusal: status, code, words, and the reason that is counted.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The id of its error code.
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) reason: &'static str,
    /// Seconds to wait.
    retry_after: u64,
    /// The number that Splunk's clients know it by, where the status alone does not tell it.
    hec: Option<u8>,
    /// The name of the key that was held back.
    key: Option<String>,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        code: Code,
        message: String,
        reason: &'static str,
    ) -> Self {
        let (retry_after, hec, key) = (RETRY_AFTER, None, None);
        Self { status, code: code.id, message, reason, retry_after, hec, key }
    }

    /// With Splunk's number.
    pub(super) fn hec(mut self, number: u8) -> Self {
        self.hec = Some(number);
        self
    }

    /// Of a key that sends more than it may.
    pub(super) fn held_back(mut self, key: &str, seconds: u64) -> Self {
        self.retry_after = seconds;
        self.key = Some(key.to_owned());
        self
    }
}

/// What became of a request that was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) accepted: u64,
    pub(super) flagged: u64,
    pub(super) queue_depth: u64,
    /// By which a client of the event collector may ask again.
    pub(super) ack_id: Option<u64>,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Loki,
    Hec,
    OtlpJson,
    OtlpProto,
}

impl Form {
    pub(super) fn of(asked: &Asked) -> Self {
        match asked.api {
            Api::Plain => Self::Plain,
            Api::Loki => Self::Loki,
            Api::Hec | Api::HecRaw => Self::Hec,
            Api::Otlp if content_type(&asked.headers) == "application/json" => Self::OtlpJson,
            Api::Otlp => Self::OtlpProto,
        }
    }
}

const PROTOBUF: [(header::HeaderName, &str); 1] =
    [(header::CONTENT_TYPE, "application/x-protobuf")];

pub(super) fn taken(form: Form, taken: &Taken, correlation_id: &str) -> Response {
    match form {
        Form::Plain => Json(json!({
            "status": "queued", "correlation_id": correlation_id,
            "queue_depth": taken.queue_depth, "accepted": taken.accepted,
            "flagged": taken.flagged,
        }))
        .into_response(),
        Form::Loki => StatusCode::NO_CONTENT.into_response(),
        Form::Hec => {
            let mut body = json!({"text": "Success", "code": 0});
            if let Some(id) = taken.ack_id {
                body["ackId"] = id.into();
            }
            Json(body).into_response()
        }
        // Nothing is ever taken in part: there is no partial success to tell of.
        Form::OtlpJson => Json(json!({"partialSuccess": {}})).into_response(),
        Form::OtlpProto => (PROTOBUF, Vec::new()).into_response(),
    }
}

pub(super) fn refused(form: Form, refusal: Refusal, correlation_id: &str) -> Response {
    let Refusal { status, code, message, retry_after, hec, key, .. } = refusal;
    let (status, text) = match form {
        Form::Hec => hec_words(status, code, hec),
        _ => (status, (0, "")),
    };
    let mut response = match form {
        Form::Plain | Form::Loki => {
            let mut body = json!({
                "status": "error", "code": code, "message": message,
                "correlation_id": correlation_id,
            });
            if let Some(key) = key {
                body["key"] = key.into();
            }
            (status, Json(body)).into_response()
        }
        Form::Hec => {
            let (number, text) = text;
            let body = json!({
                "text": text, "code": number, "error": code, "message": message,
                "correlation_id": correlation_id,
            });
            (status, Json(body)).into_response()
        }
        Form::OtlpJson => {
            let message = format!("{code}: {message}");
            let body = json!({"code": rpc_code(status), "message": message});
            (status, Json(body)).into_response()
        }
        Form::OtlpProto => {
            let message = format!("{code}: {message}");
            (status, PROTOBUF, rpc_status(rpc_code(status), &message)).into_response()
        }
    };
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
    }
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

/// Status, number and text as Splunk's clients know them.
fn hec_words(
    status: StatusCode,
    code: &str,
    number: Option<u8>,
) -> (StatusCode, (u8, &'static str)) {
    let number = number.unwrap_or(match status.as_u16() {
        400 | 408 | 413 | 415 => 6,
        401 if code == codes::INGEST_BAD_KEY.id => 4,
        429 | 503 => 9,
        _ => 8,
    });
    let text = match number {
        2 => "Token is required",
        3 => "Invalid authorization",
        4 => "Invalid token",
        5 => "No data",
        6 => "Invalid data format",
        9 => "Server is busy",
        10 => "Data channel is missing",
        11 => "Invalid data channel",
        _ => "Internal server error",
    };
    (if number == 4 { StatusCode::FORBIDDEN } else { status }, (number, text))
}

/// The code of `google.rpc.Status` that goes with a status.
fn rpc_code(status: StatusCode) -> u8 {
    match status.as_u16() {
        401 => 16,
        408 => 4,
        413 | 429 => 8,
        415 => 12,
        503 => 14,
        400..500 => 3,
        _ => 13,
    }
}

/// `google.rpc.Status` as protobuf: code 1, message 2.
fn rpc_status(code: u8, message: &str) -> Vec<u8> {
    let mut out = vec![8, code, 0x12];
    let mut length = message.len();
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(message.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_on_the_wire() {
        assert_eq!(rpc_status(3, "ab"), [8, 3, 0x12, 2, b'a', b'b']);
        let long = rpc_status(14, &"x".repeat(300));
        assert_eq!((&long[..5], long.len()), (&[8, 14, 0x12, 0xac, 2][..], 305));
    }

    #[test]
    fn refusals_in_the_words_of_splunk() {
        let check = |status: u16, code: Code, number, expected: (u16, u8)| {
            let status = StatusCode::from_u16(status).unwrap();
            let (status, (number, text)) = hec_words(status, code.id, number);
            assert_eq!((status.as_u16(), number), expected);
            assert!(!text.is_empty());
        };
        check(401, codes::INGEST_BAD_KEY, None, (403, 4));
        check(401, codes::INGEST_BAD_KEY, Some(2), (401, 2));
        check(400, codes::INGEST_NOT_JSON, None, (400, 6));
        check(400, codes::INGEST_NOT_JSON, Some(5), (400, 5));
        check(413, codes::INGEST_TOO_LARGE, None, (413, 6));
        check(429, codes::INGEST_RATE, None, (429, 9));
        check(503, codes::INGEST_QUEUE_FULL, None, (503, 9));
    }
}

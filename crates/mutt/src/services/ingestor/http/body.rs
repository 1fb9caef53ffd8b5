//! The body of a request: read and unpacked within bounds, or refused.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use mutt_model::codes;
use mutt_wire::http::unpack::{RATIO_MAX, Unpack, unpack};

use super::HttpDoor;
use super::answer::Refusal;

/// Reads and unpacks the body.
pub(super) async fn read(
    door: &HttpDoor,
    headers: &HeaderMap,
    body: Body,
) -> Result<Vec<u8>, Refusal> {
    let packed = match Limited::new(body, door.max_body).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(refusal(door, "", &Unpack::TooLarge));
        }
        Err(error) => {
            let why = format!("the body could not be read: {error}");
            let status = StatusCode::BAD_REQUEST;
            return Err(Refusal::new(status, codes::INGEST_NOT_JSON, why, "json"));
        }
    };
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|v| v.to_str().ok());
    let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(encoding.as_str(), "" | "identity") {
        return Ok(packed.to_vec());
    }
    tokio::task::block_in_place(|| unpack(&encoding, &packed, door.max_body))
        .map_err(|why| refusal(door, &encoding, &why))
}

fn refusal(door: &HttpDoor, encoding: &str, why: &Unpack) -> Refusal {
    let max = door.max_body;
    let too_large = |message| {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Refusal::new(status, codes::INGEST_TOO_LARGE, message, "too_large")
    };
    match why {
        Unpack::TooLarge => {
            too_large(format!("the body is larger than ingestor.http.max_body = {max} bytes"))
        }
        Unpack::Ratio => too_large(format!(
            "the body unpacks to more than {RATIO_MAX} times its size; send smaller batches"
        )),
        Unpack::Damaged(error) => Refusal::new(
            StatusCode::BAD_REQUEST,
            codes::INGEST_NOT_JSON,
            format!("the body is not {encoding} as Content-Encoding says: {error}"),
            "json",
        ),
        Unpack::Unknown => Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            codes::INGEST_ENCODING,
            format!(
                "Content-Encoding `{encoding}` is not understood; send gzip, deflate, zstd, snappy or none"
            ),
            "encoding",
        ),
    }
}

//! The files of the pages: style, script, icon. They lie in the program, so nothing is fetched from
//! elsewhere; a strong ETag lets browsers keep them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;

use crate::problem::{Answer, Problem};

struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static str,
    etag: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    [
        ("app.css", "text/css; charset=utf-8", include_str!("../static/app.css")),
        ("app.js", "text/javascript; charset=utf-8", include_str!("../static/app.js")),
        ("live.js", "text/javascript; charset=utf-8", include_str!("../static/live.js")),
        ("theme.js", "text/javascript; charset=utf-8", include_str!("../static/theme.js")),
        ("icon.svg", "image/svg+xml", include_str!("../static/icon.svg")),
    ]
    .into_iter()
    .map(|(name, kind, body)| Asset { name, kind, body, etag: etag(body) })
    .collect()
});

fn etag(body: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    format!("\"{}\"", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]))
}

/// One file, or "not modified".
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Answer<Response> {
    let asset = ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .ok_or_else(|| Problem::not_found(format!("there is no file {name}")))?;
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == asset.etag));
    let about = [(header::ETAG, asset.etag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    Ok((about, [(header::CONTENT_TYPE, asset.kind)], asset.body).into_response())
}

//! The edge of the service: correlation ids, security headers, refusals written out in the right form,
//! keys in URLs refused, requests counted.

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mutt_model::codes;
use serde_json::json;

use crate::problem::Problem;
use crate::state::WebState;

/// A client's own id is kept when it is at most this long and plain.
const CORRELATION_MAX: usize = 128;

/// Nothing from elsewhere, nothing inline, no frames, forms to ourselves only.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Query parameters that old clients put keys into.
const KEY_NAMES: [&str; 7] =
    ["api_key", "apikey", "api-key", "x-api-key", "key", "token", "access_token"];

fn correlation_of(headers: &HeaderMap, state: &WebState) -> String {
    let plain = |text: &&str| {
        !text.is_empty()
            && text.len() <= CORRELATION_MAX
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b))
    };
    headers
        .get("x-correlation-id")
        .and_then(|value| value.to_str().ok())
        .filter(plain)
        .map_or_else(|| state.auth.request_id(), str::to_owned)
}

fn has_key(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        KEY_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
    })
}

/// The outermost layer.
pub(crate) async fn edge(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let began = state.clock.monotonic();
    let correlation = correlation_of(request.headers(), &state);
    let path = request.uri().path().to_owned();
    let target = request.uri().path_and_query().map_or_else(|| path.clone(), ToString::to_string);
    let method = request.method().clone();
    let endpoint = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |matched| matched.as_str().to_owned());
    let mut response = if request.uri().query().is_some_and(has_key) {
        Problem::new(
            StatusCode::BAD_REQUEST,
            &codes::API_KEY_IN_URL,
            "A key in the URL is refused: send it as Authorization: Bearer or X-API-KEY, and change it.",
        )
        .into_response()
    } else {
        next.run(request).await
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if let Some(error) = &problem.cause {
            tracing::warn!(code = %problem.code, error, endpoint, correlation_id = %correlation, "the store did not answer");
        }
        response = write_problem(&state, &problem, &path, &target, &correlation);
    }
    finish_headers(&state, &mut response, &path, &correlation);
    let status = response.status().as_u16();
    let took = state.clock.monotonic().saturating_sub(began);
    tracing::debug!(%method, endpoint, status, correlation_id = %correlation, "answered");
    state.program.observe(&endpoint, method.as_str(), status, took);
    response
}

fn finish_headers(state: &WebState, response: &mut Response, path: &str, correlation: &str) {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if state.secure {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if path.starts_with("/api/") {
        headers.insert("x-api-version", HeaderValue::from_static(crate::api::v1::CURRENT));
        let supported = HeaderValue::from_static(crate::api::v1::SUPPORTED_LINE);
        headers.insert("x-api-supported-versions", supported);
    }
    if let Ok(value) = HeaderValue::try_from(correlation) {
        headers.insert("x-correlation-id", value);
    }
}

/// A refusal as API, v1 or page.
fn write_problem(
    state: &WebState,
    problem: &Problem,
    path: &str,
    target: &str,
    correlation: &str,
) -> Response {
    if problem.status.is_server_error() {
        tracing::warn!(code = %problem.code, path, correlation_id = correlation, "refused");
    }
    let mut response = if path.starts_with("/api/v1/") {
        let body = json!({
            "error": problem.detail, "code": problem.code.id, "correlation_id": correlation,
        });
        (problem.status, axum::Json(body)).into_response()
    } else if path.starts_with("/api/") {
        let body = json!({
            "type": "about:blank",
            "title": problem.code.title,
            "status": problem.status.as_u16(),
            "detail": problem.detail,
            "instance": path,
            "code": problem.code.id,
            "correlation_id": correlation,
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (problem.status, kind, body.to_string()).into_response()
    } else {
        crate::pages::problem_page(state, problem, path, target, correlation)
    };
    if problem.status == StatusCode::UNAUTHORIZED && path.starts_with("/api/") {
        let value = HeaderValue::from_static("Bearer realm=\"mutt\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What is asked for does not exist.
pub(crate) async fn no_such_path(request: Request<Body>) -> Problem {
    Problem::not_found(format!("there is no {}", request.uri().path()))
}

/// The path exists, the method does not.
pub(crate) async fn no_such_method(request: Request<Body>) -> Problem {
    let detail = format!("{} is not allowed on {}", request.method(), request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, &codes::API_NOT_FOUND, detail)
}

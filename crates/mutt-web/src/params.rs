//! What a request says: query parameters (checked against the route's list by its guard) and JSON or
//! form bodies, unknown fields refused with a suggestion.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::Form;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use mutt_model::{Id, Timestamp, codes};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::{Problem, nearest, with_suggestion};

/// Items on a page when the request names no limit.
pub(crate) const PAGE_DEFAULT: usize = 50;
/// A request body may hold this many bytes.
pub(crate) const BODY_MAX: usize = 1024 * 1024;

/// The query parameters of a request; empty ones count as absent (a form sends all its fields).
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads the query and refuses names that are not `allowed`.
    pub(crate) fn read<'a>(
        uri: &Uri,
        allowed: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|err| Problem::bad(err.body_text()))?;
        let mut map = BTreeMap::new();
        for (name, value) in pairs {
            if !allowed.clone().any(|known| known == name) {
                let hint = nearest(&name, allowed.clone())
                    .map_or(String::new(), |near| format!(", did you mean `{near}`?"));
                return Err(Problem::bad(format!("unknown parameter `{name}`{hint}")));
            }
            if !value.is_empty() {
                map.insert(name, value);
            }
        }
        Ok(Self(map))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// The parameters but `cursor`, for links to the next page and for filling a form again.
    pub(crate) fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// A parameter in the form that `read` understands.
    pub(crate) fn with<T>(
        &self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.get(name)
            .map(|text| {
                read(text).ok_or_else(|| {
                    Problem::bad(format!("`{text}` is no {name}: {allowed} is expected"))
                })
            })
            .transpose()
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.with(name, "a number", |text| text.parse().ok())
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.with(name, "true or false", |text| match text {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        })
    }

    pub(crate) fn id(&self, name: &str) -> Result<Option<Id>, Problem> {
        self.with(name, "an id", |text| text.parse().ok())
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.with(name, "an RFC 3339 time with offset", read_time)
    }

    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let most = mutt_store::store::PAGE_MAX;
        match self.number::<usize>("limit")? {
            None => Ok(PAGE_DEFAULT),
            Some(limit) if (1..=most).contains(&limit) => Ok(limit),
            Some(limit) => Err(Problem::bad(format!("limit {limit} is not in 1 to {most}"))),
        }
    }
}

/// RFC 3339; a `+` that a sloppy client left unescaped (and that became a space) is understood; a
/// form's `2026-01-31T10:00` is taken as UTC.
pub(crate) fn read_time(text: &str) -> Option<Timestamp> {
    let plain = text.trim().replace(' ', "+");
    Timestamp::parse_rfc3339(&plain)
        .or_else(|| Timestamp::parse_rfc3339(&text.trim().replacen(' ', "T", 1)))
        .or_else(|| Timestamp::parse_rfc3339(&format!("{plain}Z")))
        .or_else(|| Timestamp::parse_rfc3339(&format!("{plain}:00Z")))
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// A JSON body as it came; `Null` for an empty one.
#[derive(Debug)]
pub(crate) struct JsonBody(pub(crate) Value);

impl JsonBody {
    /// Takes `reason` out of an object: every write may carry one.
    pub(crate) fn take_reason(&mut self) -> Result<Option<String>, Problem> {
        match self.0.as_object_mut().and_then(|map| map.shift_remove("reason")) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::bad("`reason` is a text")),
        }
    }

    /// Takes `expected_version` out of an object: a write of one who looked at this version.
    pub(crate) fn take_expected_version(&mut self) -> Result<Option<i64>, Problem> {
        match self.0.as_object_mut().and_then(|map| map.shift_remove("expected_version")) {
            None | Some(Value::Null) => Ok(None),
            Some(version) => version
                .as_i64()
                .map(Some)
                .ok_or_else(|| Problem::bad("`expected_version` is a number")),
        }
    }

    /// The body as a type that denies unknown fields.
    pub(crate) fn into<T: DeserializeOwned>(self) -> Result<T, Problem> {
        let value = if self.0.is_null() { Value::Object(serde_json::Map::new()) } else { self.0 };
        read_value(value)
    }
}

/// A JSON value as a type that denies unknown fields.
pub(crate) fn read_value<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_str(&value.to_string())
        .map_err(|err| Problem::bad(with_suggestion(&err.to_string())))
}

/// The tag of `If-Match`: the write is meant for what had this tag. `*` is met by whatever exists, and
/// every write that takes this header is one of something that exists.
#[derive(Clone, Debug, Default)]
pub(crate) struct IfMatch(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut given = parts.headers.get_all(header::IF_MATCH).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return match parts.headers.contains_key(header::IF_MATCH) {
                true => Err(Problem::bad("one If-Match is understood")),
                false => Ok(Self(None)),
            };
        };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        // A proxy that compresses marks tags as weak; of ours there is one for each content anyway.
        let tag = text.strip_prefix("W/").unwrap_or(text);
        let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        match tag.filter(|tag| !tag.is_empty() && !tag.contains(['"', ','])) {
            Some(tag) => Ok(Self(Some(tag.to_owned()))),
            None => Err(Problem::bad("If-Match holds one tag as ETag gave it, in quotes, or *")),
        }
    }
}

/// `ETag: "..."`
pub(crate) fn etag(tag: &str) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{tag}\""))]
}

async fn bytes_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|err| {
        if err.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let detail = format!("the body is larger than {BODY_MAX} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, &codes::API_BAD_REQUEST, detail)
        } else {
            Problem::bad("the body could not be read")
        }
    })
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = bytes_of(request, state).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Value::Null));
        }
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|err| Problem::bad(format!("the body is no JSON: {err}")))
    }
}

/// The fields of a page's form.
#[derive(Debug, Default)]
pub(crate) struct FormBody(pub(crate) BTreeMap<String, String>);

impl FormBody {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

impl<S: Send + Sync> FromRequest<S> for FormBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, state)
            .await
            .map_err(|_| Problem::bad("the form could not be read"))?;
        Ok(Self(pairs.into_iter().collect()))
    }
}

/// An id in a path.
pub(crate) fn path_id(text: &str) -> Result<Id, Problem> {
    text.parse().map_err(|_| Problem::not_found(format!("`{text}` is no id")))
}

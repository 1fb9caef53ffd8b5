//! Parts of the HTTP door that need no program.

use super::*;

fn asked(api: Api, content_type: &str) -> Asked {
    let mut headers = HeaderMap::new();
    if !content_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    }
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    Asked { api, peer, uri: Uri::from_static("/"), headers }
}

#[test]
fn digests_tell_lists_apart() {
    let key = |parts: &[&[u8]]| digest_key(parts, Timestamp(0)).digest;
    assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
}

#[test]
fn a_sane_correlation_id_is_kept() {
    let check = |value: &str, kept: bool| {
        let mut headers = HeaderMap::new();
        headers.insert("x-correlation-id", HeaderValue::from_str(value).unwrap());
        assert_eq!(correlation_id(&headers).is_some(), kept, "{value}");
    };
    check("abc-123", true);
    check("two words", false);
    check(&"x".repeat(129), false);
}

#[test]
fn path_and_content_type_tell_the_shape() {
    let check = |api, content_type: &str, expected: Option<Shape>| {
        assert_eq!(shape(&asked(api, content_type)).ok(), expected, "{api:?} {content_type}");
    };
    check(Api::Plain, "", Some(Shape::Json));
    check(Api::Plain, "application/json; charset=utf-8", Some(Shape::Json));
    check(Api::Plain, "application/x-ndjson", Some(Shape::Json));
    check(Api::Plain, "application/x-www-form-urlencoded", Some(Shape::Json));
    check(Api::Plain, "Text/Plain; charset=UTF-8", Some(Shape::Text));
    check(Api::Plain, "application/msgpack", None);
    check(Api::Plain, "application/x-protobuf", None);
    check(Api::Loki, "application/json", Some(Shape::Loki));
    check(Api::Loki, "application/x-protobuf", None);
    check(Api::Hec, "", Some(Shape::Hec));
    check(Api::Hec, "text/plain", Some(Shape::Hec));
    check(Api::HecRaw, "text/plain", Some(Shape::HecRaw));
    check(Api::Otlp, "application/x-protobuf", Some(Shape::OtlpProto));
    check(Api::Otlp, "application/json", Some(Shape::OtlpJson));
    check(Api::Otlp, "text/plain", None);
    check(Api::Otlp, "", None);
}

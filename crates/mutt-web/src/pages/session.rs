//! Signing in with a token, and out.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use minijinja::context;

use super::{go, render_form, with_header};
use crate::auth::{self, Peer};
use crate::params::{FormBody, Params};
use crate::problem::{Answer, Problem};
use crate::state::{Principal, WebState};

/// A path of ours to go to, or home: never another site.
fn checked_next(next: Option<&str>) -> String {
    let ours = |next: &&str| {
        next.starts_with('/')
            && !next.starts_with("//")
            && !next.contains('\\')
            && !next.contains(char::is_control)
            && !next.starts_with("/sign-in")
    };
    // The parts came decoded; what may stand in a header goes as it is.
    next.filter(ours).filter(|next| next.is_ascii()).unwrap_or("/").to_owned()
}

fn page(state: &WebState, next: &str, problem: Option<&Problem>) -> Answer<Response> {
    let content = context! {
        page => "sign-in",
        next => next,
        code => problem.map(|problem| problem.code.id),
    };
    render_form(state, None, "sign_in.html", content, problem)
}

pub(crate) async fn form(
    State(state): State<WebState>,
    who: Option<Extension<Principal>>,
    params: Params,
) -> Answer {
    let next = checked_next(params.get("next"));
    if who.is_some() {
        return Ok(go(&next));
    }
    page(&state, &next, None)
}

pub(crate) async fn sign_in(
    State(state): State<WebState>,
    peer: Option<Extension<Peer>>,
    params: Params,
    headers: HeaderMap,
    body: FormBody,
) -> Answer {
    let next = checked_next(body.get("next").as_deref().or(params.get("next")));
    let unknown = Peer(std::net::Ipv4Addr::UNSPECIFIED.into());
    let peer = peer.map_or(unknown, |Extension(peer)| peer);
    let token = body.get("token").unwrap_or_default();
    match auth::sign_in(&state, &headers, peer, &token) {
        Ok(cookie) => Ok(with_header(go(&next), header::SET_COOKIE, cookie)),
        Err(problem) => {
            let mut response = page(&state, &next, Some(&problem))?;
            if let Some(seconds) = problem.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            Ok(response)
        }
    }
}

pub(crate) async fn sign_out(
    State(state): State<WebState>,
    Extension(who): Extension<Principal>,
) -> Answer {
    if let Some(id) = who.session {
        state.auth.end(id);
    }
    Ok(with_header(go("/sign-in"), header::SET_COOKIE, auth::signed_out(state.secure)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_after_signing_in_stays_here() {
        let check = |next: &str, expected: &str| assert_eq!(checked_next(Some(next)), expected);
        check("/alerts?state=open", "/alerts?state=open");
        check("//evil.example", "/");
        check("/\\evil.example", "/");
        check("https://evil.example", "/");
        check("/a\r\nSet-Cookie: x", "/");
    }
}

//! Who asks: tokens compared in constant time, sessions of people, failed sign-ins held back, requests
//! from other sites refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use base64::Engine as _;
use mutt_model::codes;
use ring::rand::SecureRandom as _;
use ring::{digest, hmac, rand};

use crate::problem::Problem;
use crate::state::{Principal, Role, Token, WebState};

/// A session ends after this time without a request.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(2 * 3600);
/// A session ends after this time in any case (a shift and its hand-over).
pub(crate) const SESSION_MAX: Duration = Duration::from_secs(14 * 3600);
/// At most this many sessions; the one unused longest makes room.
const SESSIONS: usize = 1_000;
/// Failed sign-ins from one address ...
const FAILURES: u32 = 10;
/// ... within this time are the last for as long.
const FAILURES_WINDOW: Duration = Duration::from_secs(60);
/// At most this many addresses are remembered.
const ADDRESSES: usize = 10_000;

const COOKIE: &str = "mutt_session";
const COOKIE_SECURE: &str = "__Host-mutt_session";

/// The address that a request came from; the program's server puts it into the extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(pub IpAddr);

/// A digest under a key of this process: comparing digests tells nothing about tokens by time.
pub(crate) type Mark = [u8; 32];

#[derive(Debug)]
struct Session {
    token: String,
    mark: Mark,
    began: Duration,
    seen: Duration,
}

/// Sessions, failures, and the key for comparing.
pub(crate) struct Auth {
    key: hmac::Key,
    random: rand::SystemRandom,
    sessions: Mutex<HashMap<[u8; 32], Session>>,
    failures: Mutex<HashMap<IpAddr, (u32, Duration)>>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn to_32(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&bytes[..32]);
    out
}

impl Auth {
    pub(crate) fn new() -> Result<Self, ring::error::Unspecified> {
        let random = rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random)?;
        Ok(Self { key, random, sessions: Mutex::default(), failures: Mutex::default() })
    }

    /// A fresh id for a request that brought none.
    pub(crate) fn request_id(&self) -> String {
        let mut id = [0u8; 12];
        // Without randomness the id is all zeros: it is a label, not a secret.
        let _ = self.random.fill(&mut id);
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(id)
    }

    fn mark(&self, secret: &str) -> Mark {
        to_32(hmac::sign(&self.key, secret.as_bytes()).as_ref())
    }

    /// The token with this value. Every token is compared, in constant time.
    fn find<'a>(&self, tokens: &'a [Token], candidate: &str) -> Option<&'a Token> {
        let mut found = None;
        for token in tokens.iter().filter(|token| !token.secret.is_empty()) {
            let mark = self.mark(token.secret.expose());
            if hmac::verify(&self.key, candidate.as_bytes(), &mark).is_ok() && found.is_none() {
                found = Some(token);
            }
        }
        found
    }

    /// Begins a session under a new random id, which is returned once and kept as a digest only.
    fn begin(&self, token: &Token, now: Duration) -> Result<String, Problem> {
        let mut id = [0u8; 32];
        self.random
            .fill(&mut id)
            .map_err(|_| Problem::unavailable("No session can be begun now."))?;
        let text = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(id);
        let mark = self.mark(token.secret.expose());
        let session = Session { token: token.name.clone(), mark, began: now, seen: now };
        let mut sessions = lock(&self.sessions);
        sessions.retain(|_, session| alive(session, now));
        if sessions.len() >= SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, s)| s.seen).map(|(id, _)| *id)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(id_digest(&text), session);
        Ok(text)
    }

    /// The token of this name, as long as it is configured as it was.
    fn unchanged<'a>(&self, tokens: &'a [Token], name: &str, mark: &Mark) -> Option<&'a Token> {
        tokens.iter().find(|token| token.name == name && self.mark(token.secret.expose()) == *mark)
    }

    /// The principal of a session, as long as its token is still configured as it was. Whether that
    /// counts as a request of the person is `used`.
    fn resume(
        &self,
        tokens: &[Token],
        id: [u8; 32],
        now: Duration,
        used: bool,
    ) -> Option<Principal> {
        let mut sessions = lock(&self.sessions);
        let session = sessions.get_mut(&id)?;
        match self.unchanged(tokens, &session.token, &session.mark) {
            Some(token) if alive(session, now) => {
                if used {
                    session.seen = now;
                }
                Some(Principal {
                    name: token.name.clone(),
                    role: token.role,
                    mark: session.mark,
                    session: Some(id),
                })
            }
            _ => {
                sessions.remove(&id);
                None
            }
        }
    }

    pub(crate) fn end(&self, id: [u8; 32]) {
        lock(&self.sessions).remove(&id);
    }

    fn held_back(&self, peer: IpAddr, now: Duration) -> bool {
        lock(&self.failures).get(&peer).is_some_and(|(count, since)| {
            *count >= FAILURES && now.saturating_sub(*since) < FAILURES_WINDOW
        })
    }

    fn count_failure(&self, peer: IpAddr, now: Duration) {
        let mut failures = lock(&self.failures);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, (_, since)| now.saturating_sub(*since) < FAILURES_WINDOW);
            if failures.len() >= ADDRESSES {
                failures.clear();
            }
        }
        let entry = failures.entry(peer).or_insert((0, now));
        if now.saturating_sub(entry.1) >= FAILURES_WINDOW {
            *entry = (0, now);
        }
        entry.0 += 1;
        if entry.0 == FAILURES {
            // The wait counts from the failure that brought it about.
            entry.1 = now;
        }
    }
}

fn alive(session: &Session, now: Duration) -> bool {
    now.saturating_sub(session.seen) < SESSION_IDLE
        && now.saturating_sub(session.began) < SESSION_MAX
}

fn id_digest(text: &str) -> [u8; 32] {
    to_32(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn cookie_name(secure: bool) -> &'static str {
    if secure { COOKIE_SECURE } else { COOKIE }
}

fn session_of(headers: &HeaderMap, secure: bool) -> Option<[u8; 32]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == cookie_name(secure))
        .map(|(_, id)| id_digest(id))
}

/// Who asks, by token in a header or by session.
pub(crate) fn identify(state: &WebState, headers: &HeaderMap) -> Option<Principal> {
    let tokens = state.program.tokens();
    let bearer = header(headers, "authorization").map(|value| {
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" }
    });
    if let Some(candidate) = bearer.or_else(|| header(headers, "x-api-key")) {
        let token = state.auth.find(&tokens, candidate)?;
        let mark = state.auth.mark(token.secret.expose());
        return Some(Principal { name: token.name.clone(), role: token.role, mark, session: None });
    }
    let id = session_of(headers, state.secure)?;
    state.auth.resume(&tokens, id, state.clock.monotonic(), true)
}

/// Whether somebody who was let in may still look on (a live stream lasts). Looking on is no request:
/// a page left open does not keep its session from ending.
pub(crate) fn still_valid(state: &WebState, who: &Principal) -> bool {
    let tokens = state.program.tokens();
    match who.session {
        Some(id) => state.auth.resume(&tokens, id, state.clock.monotonic(), false).is_some(),
        None => state
            .auth
            .unchanged(&tokens, &who.name, &who.mark)
            .is_some_and(|token| token.role == who.role),
    }
}

/// Whether a request that changes something came from our own pages. Browsers say so themselves
/// (`Sec-Fetch-Site`); where they do not, the origin must be the host that was asked.
pub(crate) fn same_site(headers: &HeaderMap) -> Option<bool> {
    if let Some(site) = header(headers, "sec-fetch-site") {
        return Some(matches!(site, "same-origin" | "none"));
    }
    let origin = header(headers, "origin")?;
    let host = header(headers, "host").unwrap_or_default();
    let bare = origin.split_once("://").map_or("", |(_, rest)| rest);
    Some(!host.is_empty() && bare.eq_ignore_ascii_case(host))
}

/// Lets a request in, or says why not. `needs` is `None` on public routes.
pub(crate) fn admit(
    state: &WebState,
    method: &Method,
    headers: &HeaderMap,
    needs: Option<Role>,
) -> Result<Option<Principal>, Problem> {
    let who = identify(state, headers);
    let Some(needs) = needs else { return Ok(who) };
    if who.is_none() && state.program.tokens().is_empty() {
        return Err(Problem::unavailable("No token is known yet: their secrets are waited for."));
    }
    let who = who.ok_or_else(Problem::unauthorized)?;
    if who.session.is_some() && !method.is_safe() && same_site(headers) != Some(true) {
        return Err(Problem::forbidden(
            "A change by session must come from MUTT's own pages; programs send a token instead.",
        ));
    }
    if who.role < needs {
        return Err(Problem::forbidden(format!(
            "This needs the role {}; the token `{}` has the role {}.",
            needs.name(),
            who.name,
            who.role.name()
        )));
    }
    Ok(Some(who))
}

/// Signs a person in with a token: the cookie of a new session. An earlier session ends.
pub(crate) fn sign_in(
    state: &WebState,
    headers: &HeaderMap,
    peer: Peer,
    candidate: &str,
) -> Result<HeaderValue, Problem> {
    let now = state.clock.monotonic();
    if same_site(headers) == Some(false) {
        return Err(Problem::forbidden("Signing in must come from MUTT's own page."));
    }
    if state.auth.held_back(peer.0, now) {
        let mut problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            &codes::API_TOO_MANY,
            "Too many failed sign-ins from this address. Wait a minute, then use the right token.",
        );
        problem.retry_after = Some(FAILURES_WINDOW.as_secs());
        return Err(problem);
    }
    let tokens = state.program.tokens();
    let Some(token) = state.auth.find(&tokens, candidate.trim()) else {
        state.auth.count_failure(peer.0, now);
        tracing::warn!(code = %codes::API_UNAUTHORIZED, peer = %peer.0, "a sign-in failed");
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            &codes::API_UNAUTHORIZED,
            "This token is not known.",
        ));
    };
    if let Some(old) = session_of(headers, state.secure) {
        state.auth.end(old);
    }
    let id = state.auth.begin(token, now)?;
    cookie(state.secure, &id, SESSION_MAX)
}

/// The cookie that takes a session's cookie away.
pub(crate) fn signed_out(secure: bool) -> Result<HeaderValue, Problem> {
    cookie(secure, "", Duration::ZERO)
}

fn cookie(secure: bool, value: &str, age: Duration) -> Result<HeaderValue, Problem> {
    let name = cookie_name(secure);
    let extra = if secure { "; Secure" } else { "" };
    let age = age.as_secs();
    HeaderValue::try_from(format!(
        "{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{extra}"
    ))
    .map_err(|_| Problem::unavailable("No session can be begun now."))
}

#[cfg(test)]
mod tests {
    use mutt_model::Secret;

    use super::*;

    #[test]
    fn looking_on_does_not_keep_a_session() {
        let auth = Auth::new().unwrap();
        let token =
            Token { name: "eye".to_owned(), role: Role::Viewer, secret: Secret::new("secret") };
        let tokens = [token];
        let id = id_digest(&auth.begin(&tokens[0], Duration::ZERO).unwrap());
        let at = |part: u32| SESSION_IDLE / 4 * part;
        let resume = |part, used| auth.resume(&tokens, id, at(part), used).is_some();
        assert!(resume(2, true), "a request");
        assert!(resume(4, false), "a stream, half the idle time after it");
        assert!(resume(5, false));
        assert!(!resume(6, false), "the idle time counts from the request");
        assert!(!resume(3, true), "it is gone");
    }
}

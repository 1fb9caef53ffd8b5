//! The table of routes: method, path, role, words, parameters, bodies, handler. The router, the guard
//! of each route and the OpenAPI document are all made from it, so that they cannot disagree.

mod table;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;

use crate::api::mibs::UPLOAD_MAX;
use crate::params::{BODY_MAX, Params};
use crate::problem::Problem;
use crate::state::{Role, WebState};
use crate::{auth, edge};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Public,
    /// This role and those above.
    Needs(Role),
}

/// A route as others may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteFacts {
    /// `GET`, `POST` ...
    pub method: &'static str,
    /// With `{name}` for parts that vary.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// One line for people; empty for pages.
    pub summary: &'static str,
}

/// A query parameter: name, JSON type, words.
pub(crate) type Param = (&'static str, &'static str, &'static str);

/// What a successful answer holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// One object of this schema.
    Object(&'static str),
    /// A new object of this schema, status 201.
    Created(&'static str),
    /// As an object, with status 201 where there was none.
    Set(&'static str),
    /// `{"items":[schema],"next_cursor":...}`.
    List(&'static str),
    /// Status 204.
    Nothing,
    /// Server-sent events.
    Events,
}

/// One row of the table.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) summary: &'static str,
    pub(crate) params: &'static [Param],
    pub(crate) body: Option<&'static str>,
    pub(crate) reply: Reply,
    pub(crate) handler: fn() -> MethodRouter<WebState>,
}

impl Route {
    fn facts(&self) -> RouteFacts {
        let Self { method, path, access, summary, .. } = *self;
        RouteFacts { method, path, access, summary }
    }
}

/// The documented routes of the API.
pub(crate) fn api() -> impl Iterator<Item = &'static Route> {
    table::API.iter()
}

/// Every route: API, then pages.
pub fn route_facts() -> impl Iterator<Item = RouteFacts> {
    table::API.iter().chain(table::PAGES).map(Route::facts)
}

#[derive(Clone)]
struct Guard {
    state: WebState,
    access: Access,
    params: &'static [Param],
}

async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let needs = match guard.access {
        Access::Public => None,
        Access::Needs(role) => Some(role),
    };
    let method: &Method = request.method();
    let admitted = auth::admit(&guard.state, method, request.headers(), needs).and_then(|who| {
        let names = guard.params.iter().map(|(name, _, _)| *name);
        Params::read(request.uri(), names).map(|params| (who, params))
    });
    match admitted {
        Ok((who, params)) => {
            if let Some(who) = who {
                request.extensions_mut().insert(who);
            }
            request.extensions_mut().insert(params);
            next.run(request).await
        }
        Err(problem) => Problem::into_response(problem),
    }
}

/// The whole service. The program may merge its own routes (health, metrics) beside it.
pub fn router(state: WebState) -> Router {
    let mut router = Router::new();
    for route in table::API.iter().chain(table::PAGES) {
        let guarded = Guard { state: state.clone(), access: route.access, params: route.params };
        let mut handler = (route.handler)().layer(from_fn_with_state(guarded, guard));
        if matches!(route.path, "/api/v2/mibs" | "/mibs") {
            handler = handler.layer(DefaultBodyLimit::max(UPLOAD_MAX));
        }
        router = router.route(route.path, handler);
    }
    router
        .fallback(edge::no_such_path)
        .method_not_allowed_fallback(edge::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(state.clone(), edge::edge))
        .with_state(state)
}

//! The Web UI's stages: what the web layer is given of the program, and who may use it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mutt_model::codes;
use mutt_store::queue::EventQueue;
use mutt_store::store::Store;
use mutt_web::{Notice, Token, WebParts, WebState};

use super::super::ServeError;
use super::super::listeners::Bound;
use super::{Wiring, first_start, host_name, scheme};
use crate::config::{Config, Role, token_slot};
use crate::secrets::Keyring;
use crate::services::Service;
use crate::services::web_ui::{Running, WebMetrics};
use crate::supervise::Phase;

impl Wiring<'_> {
    pub(super) fn web_ui(
        &mut self,
        store: &Arc<dyn Store>,
        queue: Option<&Arc<dyn EventQueue>>,
        bound: &Bound,
    ) -> Result<Arc<Running>, ServeError> {
        let metrics = self.metrics();
        let running = Arc::new(Running {
            tokens: ArcSwap::from_pointee(self.tokens()?),
            config: ArcSwap::from_pointee(self.config.redacted()),
            sinks: self.takers.policy.load().sinks.clone(),
            live: Arc::clone(&self.settings),
            make_sinks: self
                .sinks
                .iter()
                .map(|(name, (_, make))| (name.clone(), Arc::clone(make)))
                .collect(),
            queue: queue.cloned(),
            store: Arc::clone(store),
            board: Arc::clone(self.board),
            notices: ArcSwap::from_pointee(small_buffers(bound)),
            host: host_name(),
            data_dir: self.config.data_dir.clone(),
            mibs: self.live.has_mibs.then(|| Arc::clone(&self.live.mibs)),
            keyring: self.keyring.clone(),
            clock: self.clock.clone(),
            metrics: WebMetrics::new(&metrics),
        });
        let Some(listener) = &bound.web_ui else { return Ok(running) };
        if let Ok(address) = listener.local() {
            self.summary.web_ui = Some((scheme(listener), address));
        }
        let (tell, stop) = tokio::sync::watch::channel(false);
        let token = self.supervisor.stop().working;
        let tell = Arc::new(tell);
        self.supervisor.start(Phase::Working, "web-ui stop", move || {
            let (token, tell) = (token.clone(), Arc::clone(&tell));
            Box::pin(async move {
                token.cancelled().await;
                tell.send_replace(true);
                Ok(())
            })
        });
        let state = WebState::new(WebParts {
            store: Arc::clone(store),
            program: Arc::clone(&running) as Arc<dyn mutt_web::Program>,
            clock: self.clock.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            secure: listener.is_tls() || self.config.web_ui.behind_proxy,
            stop,
        })
        .map_err(|why| ServeError::new(codes::START_FAILED, why))?;
        let routes = mutt_web::router(state).layer(axum::middleware::map_request(tell_peer));
        self.board.set(Service::WebUi, true, "running");
        self.serve(Service::WebUi, listener, &metrics, routes);
        Ok(running)
    }

    fn tokens(&mut self) -> Result<Vec<Token>, ServeError> {
        if !self.config.web_ui.tokens.is_empty() {
            return Ok(configured_tokens(self.keyring, self.config));
        }
        let first = first_start(self.config)?;
        self.summary.admin_token = Some(first.admin_token_file);
        Ok(vec![Token {
            name: "admin".to_owned(),
            role: mutt_web::Role::Admin,
            secret: first.admin_token,
        }])
    }
}

/// The address that the sign-in throttle and the log see.
async fn tell_peer(mut request: axum::extract::Request) -> axum::extract::Request {
    let peer = request
        .extensions()
        .get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
        .map(|info| info.0.ip());
    if let Some(peer) = peer {
        request.extensions_mut().insert(mutt_web::Peer(peer));
    }
    request
}

/// What everybody should know about receive buffers that the kernel refused.
fn small_buffers(bound: &Bound) -> Vec<Notice> {
    let sockets = bound.syslog_udp.iter().chain(&bound.snmp_udp);
    sockets
        .filter(|socket| socket.granted < socket.asked)
        .map(|socket| Notice {
            level: "warning".to_owned(),
            code: Some(codes::INGEST_RCVBUF.id.to_owned()),
            text: format!(
                "The kernel granted {} a receive buffer of {} bytes instead of {}: a burst may be dropped.",
                socket.local(),
                socket.granted,
                socket.asked
            ),
        })
        .collect()
}

/// The tokens whose secrets are known.
pub(in crate::serve) fn configured_tokens(keyring: &Keyring, config: &Config) -> Vec<Token> {
    let mut tokens = Vec::new();
    for token in &config.web_ui.tokens {
        let role = match token.role {
            Role::Viewer => mutt_web::Role::Viewer,
            Role::Operator => mutt_web::Role::Operator,
            Role::Admin => mutt_web::Role::Admin,
        };
        for secret in keyring.live(&token_slot(&token.name)).get().iter() {
            tokens.push(Token { name: token.name.clone(), role, secret: secret.clone() });
        }
    }
    tokens
}

//! `serve --demo`: a local receiver and bounded synthetic traffic, so that alerts are delivered within
//! seconds and nobody has to own a router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use mutt_model::codes;

use super::ServeError;
use super::summary::Summary;
use crate::config::{Config, RepeatMode, SinkConfig, SinkKind};
use crate::net::http::HttpListener;
use crate::services::alerter::rest;
use crate::supervise::{Phase, Supervisor};

/// One line of traffic is sent this often.
pub(super) const DEMO_PERIOD: Duration = Duration::from_millis(500);
/// The traffic ends by itself after this many lines.
pub(super) const DEMO_LINES_MAX: usize = 2_400;

/// What the demo's devices say, in turns; `{n}` is an interface's number.
const LINES: [(&str, &str); 6] = [
    ("<187>", "demo-edge-r1 %LINK-3-UPDOWN: Interface GigabitEthernet0/{n}, changed state to down"),
    ("<189>", "demo-edge-r1 %SYS-5-CONFIG_I: Configured from console by demo on vty0"),
    (
        "<187>",
        "demo-core-r2 rpd[1234]: RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 192.0.2.{n} (External AS 64512) changed state from Established to Idle (event HoldTime)",
    ),
    (
        "<190>",
        "demo-fw-1 sshd[77]: Accepted publickey for demo from 198.51.100.{n} port 52211 ssh2",
    ),
    ("<189>", "demo-edge-r1 %LINK-3-UPDOWN: Interface GigabitEthernet0/{n}, changed state to up"),
    ("<188>", "demo-core-r2 chassisd[9]: CHASSISD_FAN: Fan tray {n} failed"),
];

/// Starts the receiver and adds it as a sink.
pub(super) async fn receiver(
    supervisor: &mut Supervisor,
    config: &mut Config,
) -> Result<(), ServeError> {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let failed = |error: std::io::Error| {
        ServeError::new(codes::INGEST_BIND, format!("the demo's receiver: {error}"))
    };
    let listener = Arc::new(HttpListener::bind(address, None, 64).map_err(failed)?);
    let address = listener.local().map_err(failed)?;
    let router = Router::new().route("/", post(received));
    let stop = supervisor.stop().serving;
    supervisor.start(Phase::Serving, "demo receiver", move || {
        let (listener, router, stop) = (Arc::clone(&listener), router.clone(), stop.clone());
        Box::pin(async move {
            listener.serve(router, stop).await;
            Ok(())
        })
    });
    config.sinks.insert(
        "demo".to_owned(),
        SinkConfig {
            kind: SinkKind::Webhook,
            url: format!("http://{address}/"),
            auth: None,
            rate: Some(50.0),
            retry_for: Duration::from_secs(3_600),
            teams: Vec::new(),
            decisions: Vec::new(),
            environments: Vec::new(),
            repeat: RepeatMode::Changes,
            repeat_interval: Duration::from_secs(3_600),
            timeout: Duration::from_secs(10),
            in_flight: 8,
            probe_interval: Duration::from_secs(30),
            ca: None,
        },
    );
    Ok(())
}

async fn received(Json(body): Json<serde_json::Value>) -> &'static str {
    let text = |pointer: &str| body.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    tracing::info!(
        kind = text("/kind"),
        key = text("/alert/key"),
        message = text("/alert/message"),
        "the demo's receiver took an alert"
    );
    "ok"
}

/// Sends the demo's lines to this process's own syslog listener.
pub(super) fn traffic(supervisor: &mut Supervisor, summary: &Summary) {
    let Some(address) = summary.syslog_udp.first().copied() else { return };
    let stop = supervisor.stop().accepting;
    supervisor.start(Phase::Accepting, "demo traffic", move || {
        let stop = stop.clone();
        Box::pin(async move {
            let socket =
                tokio::net::UdpSocket::bind("127.0.0.1:0").await.map_err(|e| e.to_string())?;
            for turn in 0..DEMO_LINES_MAX {
                let (priority, text) = LINES[turn % LINES.len()];
                let number = (turn / LINES.len()) % 8 + 1;
                let now = mutt_model::Clock::System.wall();
                let (host, rest_of_line) = text.split_once(' ').unwrap_or(("demo", text));
                let rest_of_line = rest_of_line.replace("{n}", &number.to_string());
                // RFC 5424, marked by structured data under the example enterprise number.
                let line = format!(
                    "{priority}1 {now} {host} - - - [demo@32473 synthetic=\"true\"] {rest_of_line}"
                );
                let _ = socket.send_to(line.as_bytes(), address).await;
                rest(&stop, DEMO_PERIOD).await;
                if stop.is_cancelled() {
                    break;
                }
            }
            Ok(())
        })
    });
}

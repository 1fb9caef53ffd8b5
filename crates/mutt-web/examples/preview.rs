//! Serves the pages with made-up data on a loopback port, for looking at them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for the people who write the pages"
)]

#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod support;

use std::time::Duration;

use mutt_model::{Clock, Severity};
use mutt_store::store::{Actor, AlertAct, DeliveryStore as _, ReadStore as _};
use mutt_web::Program as _;

const SHOUTS: [(&str, &str, Severity); 9] = [
    (
        "edge-r1",
        "%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down",
        Severity::ERROR,
    ),
    (
        "edge-r2",
        "rpd[1234]: bgp_hold_timeout: NOTIFICATION sent to 192.0.2.9, peer down",
        Severity::WARNING,
    ),
    ("core-s3", "%SYS-5-CONFIG_I: Configured from console by admin on vty0", Severity::NOTICE),
    ("fw-a", "session closed by policy 17 for 10.0.0.8", Severity::INFO),
    ("fw-a", "<script>alert(1)</script> \u{1b}[31mred\u{1b}[0m \u{202e}gnp.exe", Severity::DEBUG),
    ("dc-ups-1", "upsOnBattery: battery 81 %, mains down", Severity::CRITICAL),
    ("acc-sw-17", "port 12 is flapping, 6 changes in 10 s", Severity::WARNING),
    (
        "edge-r1",
        "\u{5de}\u{5de}\u{5e9}\u{5e7} 3 \u{5dc}\u{5d0} \u{5d6}\u{5de}\u{5d9}\u{5df}",
        Severity::NOTICE,
    ),
    ("core-s3", "fan tray 2 failed, chassis alarm", Severity::ALERT),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let world = support::World::with(Clock::System);
    world.rules().await;
    let mut event_count = 0usize;
    for back in (1..=60u64).rev() {
        let busy = 6 + (back * 7 % 23) as usize + if back % 13 == 0 { 60 } else { 0 };
        let mut events = Vec::new();
        for _ in 0..busy {
            let (host, message, severity) = SHOUTS[event_count % SHOUTS.len()];
            event_count += 1;
            let mut event = world.event(host, severity, message);
            event.received_at = event.received_at.minus(Duration::from_secs(back * 60));
            events.push(event);
        }
        world.commit(&events).await;
    }
    world.kill_one("moog").await;
    let actor = Actor { name: "the-operator".to_owned(), reason: Some("change 4711".to_owned()) };
    world.store.hold_lane("pager", &actor).await.unwrap();
    let alerts = world.store.alerts(&Default::default(), 10, None).await.unwrap();
    let (now, sinks) = (world.clock.wall(), world.program.sinks());
    let id = alerts.items[0].id;
    let note = AlertAct::Note("Carrier informed, ticket 4711 \u{2013} <b>not bold</b>".to_owned());
    for act in [AlertAct::Acknowledge, note] {
        world.store.act_on_alert(id, act, &actor, &sinks, now).await.unwrap();
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8099").await.unwrap();
    println!("http://127.0.0.1:8099 alert {id} token {}", support::token(mutt_web::Role::Admin));
    let shout = async {
        let mut n = 0usize;
        loop {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let (host, message, severity) = SHOUTS[n % SHOUTS.len()];
            n += 1;
            world.commit(&[world.event(host, severity, message)]).await;
        }
    };
    let serve = async { axum::serve(listener, world.app.clone()).await };
    tokio::select! { () = shout => {}, done = serve => done.unwrap() }
}

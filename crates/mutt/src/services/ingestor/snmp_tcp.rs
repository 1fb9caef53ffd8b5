//! SNMP over TCP (RFC 3430). A sender that can wait is made to: while the queue does not keep up it is
//! not read. Informs are answered in the order in which they came, each once its event is durable.

use std::net::SocketAddr;

use mutt_wire::snmp::stream::{MESSAGE_MAX, Next, next};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::answered::Answered;
use super::connection::{Ended, HALF_CLOSE_WAIT, Intake};
use super::snmp_door::{Answer, Door};

/// Speaks until the sender closes, takes too long or sends no SNMP, or `stop`. What was read is durable
/// when it returns.
pub async fn run<S>(
    intake: Intake,
    stream: S,
    door: Door,
    peer: SocketAddr,
    stop: CancellationToken,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut sender = Answered::new(intake, MESSAGE_MAX);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut take = |sender: &mut Answered| take(&door, peer, sender);
    let ended = sender.speak(&mut reader, &mut writer, &stop, &mut take).await;
    sender.settle(&stop).await;
    if !matches!(ended, Ended::Broken(_)) {
        let _ = tokio::time::timeout(HALF_CLOSE_WAIT, sender.farewell(&mut writer)).await;
    }
    if stop.is_cancelled() {
        // Informs among it are the sender's to repeat.
        sender.read_on(&mut reader, &mut take).await;
        sender.settle(&stop).await;
    }
    if !sender.inbox.bytes().is_empty() {
        sender.intake.lost("incomplete");
    }
    ended
}

/// Takes every whole message of what was read.
fn take(door: &Door, peer: SocketAddr, sender: &mut Answered) -> bool {
    let (mut start, mut whole) = (0, false);
    loop {
        let bytes = &sender.inbox.bytes()[start..];
        match next(bytes) {
            Next::NeedMore => break,
            Next::Message(length) => {
                match sender.intake.snmp(door, peer, &bytes[..length]) {
                    None => {}
                    Some(Answer::Now(report)) => sender.say(&report),
                    Some(Answer::Durable(reply)) => {
                        sender.owe(|answers| answers.extend_from_slice(reply.datagram()));
                        // Its sender waits for the answer.
                        sender.intake.pipeline.close();
                    }
                }
                if sender.intake.pipeline.batcher.is_full() {
                    sender.intake.pipeline.close();
                }
                start += length;
                whole = true;
            }
            Next::TooLong => {
                sender.intake.lost("oversize");
                sender.over = Some(Ended::NoSnmp("a message longer than any that is taken"));
                start = sender.inbox.bytes().len();
                break;
            }
            Next::NotSnmp => {
                sender.intake.lost("framing");
                sender.over = Some(Ended::NoSnmp("what came is no SNMP"));
                start = sender.inbox.bytes().len();
                break;
            }
        }
    }
    sender.inbox.drop_front(start);
    whole
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use arc_swap::ArcSwap;
    use mutt_model::Clock;
    use mutt_wire::snmp::names::Names;
    use tokio::io::AsyncWriteExt as _;

    use super::super::connection::Sender;
    use super::super::snmp_door::Communities;
    use super::super::snmp_engine;
    use super::super::snmp_usm::Usm;
    use super::super::streams::Limits;
    use super::super::testing::Bench;
    use super::*;
    use crate::telemetry::metrics::ServiceMetrics;

    const IDLE: Duration = Duration::from_secs(3_600);
    const MESSAGE: Duration = Duration::from_secs(30);

    fn door(folder: &std::path::Path) -> Door {
        let clock = Clock::default();
        let own = snmp_engine::start(folder).unwrap();
        Door {
            communities: Arc::new(ArcSwap::from_pointee(Communities::Any)),
            names: Arc::new(ArcSwap::from_pointee(Names::with(Vec::new()))),
            usm: Usm::new(&own, clock.clone(), &ServiceMetrics::new(&clock)),
            told: Arc::default(),
            dedup_window: Duration::ZERO,
        }
    }

    /// What becomes of a device that says this and then nothing, and not before `after`.
    async fn silent(said: &[u8], after: Duration) -> Ended {
        let (bench, folder) = (Bench::new(3), tempfile::tempdir().unwrap());
        let limits = Limits {
            max_message: MESSAGE_MAX,
            max_connections: 1,
            max_per_source: 1,
            idle_timeout: IDLE,
            message_timeout: MESSAGE,
            keepalive: IDLE,
            proxies: None,
            options: Arc::default(),
            snmp: None,
        };
        let peer: SocketAddr = "192.0.2.7:40022".parse().unwrap();
        let sender = Sender { listener: "snmp-tcp", peer: peer.to_string(), proxy: None };
        let intake = Intake::new(&bench.ingest, &bench.metrics, sender, &limits);
        let (mut device, stream) = tokio::io::duplex(1_024);
        device.write_all(said).await.unwrap();
        let door = door(folder.path());
        let mut talk = std::pin::pin!(run(intake, stream, door, peer, CancellationToken::new()));
        let second = Duration::from_secs(1);
        let early = tokio::time::timeout(after - second, &mut talk).await;
        assert!(early.is_err(), "{early:?} before {after:?}");
        tokio::time::timeout(2 * second, talk).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_early_may_be_silent_as_long_as_anybody() {
        let ended = silent(b"", IDLE).await;
        assert!(matches!(ended, Ended::Idle), "{ended:?}");
        let ended = silent(b"\x30\x20\x02", MESSAGE).await;
        assert!(matches!(ended, Ended::Slow), "{ended:?}");
    }
}

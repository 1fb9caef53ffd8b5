//! Syslog over UDP: many datagrams a call, one event each, received while what came before is made durable.
//! A sender cannot be told to wait: when the queue does not take a batch it is dropped and counted; what
//! the kernel drops is a metric.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mutt_model::ParseStatus;
use mutt_wire::syslog::framing::NOTE_CUT;
use mutt_wire::{Frame, syslog};
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;

use super::pipeline::{Pipeline, Refused};
use super::{Ingest, ListenerMetrics};
use crate::net::udp::{Listener, Receiver};

/// The listener's name in events and metrics.
pub const NAME: &str = "syslog-udp";
/// At shutdown datagrams are read for this long at most.
pub const DRAIN_WAIT: std::time::Duration = std::time::Duration::from_secs(2);

/// Reads one socket until `stop`, then what the kernel still holds.
///
/// # Errors
///
/// When the socket fails; the supervisor starts the stage again.
pub async fn run(
    ingest: Arc<Ingest>,
    socket: Arc<Listener>,
    reading: Reading,
    stop: CancellationToken,
) -> Result<(), String> {
    let metrics = ingest.listener(NAME);
    let mut pipeline = Pipeline::new(&ingest, &metrics, Refused::Dropped);
    let mut receiver = Receiver::new(&socket, &ingest.clock, &metrics.arrived);
    let cut = ingest.metrics.cut.get_or_create(&vec![("listener", NAME.to_owned())]).clone();
    let mut state = State { reading, cut, peer: PeerText::default() };
    loop {
        let (wait, has_room) = (pipeline.may_wait(), pipeline.has_room());
        let ready = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = pipeline.progress() => continue,
            ready = receiver.wait(), if has_room => ready,
            () = pause(wait) => {
                pipeline.close();
                continue;
            }
        };
        let each = decoder(&ingest, &mut pipeline, &metrics, &mut state);
        if let Err(error) = ready.and_then(|()| receiver.take(each).map(drop)) {
            // The stage starts again without what was collected.
            pipeline.settle(&stop).await;
            return Err(format!("{NAME} on {}: {error}", socket.local()));
        }
        if pipeline.is_due() {
            pipeline.close();
        }
    }
    let late = ingest.clock.monotonic() + DRAIN_WAIT;
    loop {
        let each = decoder(&ingest, &mut pipeline, &metrics, &mut state);
        let more = receiver.take_now(each).unwrap_or(0);
        // Senders go on sending: what comes after this time is the next run's, or the kernel's.
        if more == 0 || ingest.clock.monotonic() >= late {
            pipeline.settle(&stop).await;
            return Ok(());
        }
        while !pipeline.has_room() {
            pipeline.progress().await;
        }
    }
}

/// Waits as long as an open batch may; for ever when none is open.
pub async fn pause(wait: Option<std::time::Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// How datagrams are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// `ingestor.syslog.max_message`
    pub max_message: usize,
    /// How texts are read.
    pub options: syslog::Options,
}

/// What goes from one call to the next.
struct State {
    reading: Reading,
    cut: Counter,
    peer: PeerText,
}

/// The sender of the last datagram as it stands in events: many come from one after the other.
#[derive(Debug, Default)]
pub struct PeerText {
    last: Option<SocketAddr>,
    text: String,
}

impl PeerText {
    /// The text of this sender.
    pub fn of(&mut self, peer: SocketAddr) -> &str {
        if self.last != Some(peer) {
            self.text.clear();
            // Writing to memory does not fail.
            let _ = write!(self.text, "{peer}");
            self.last = Some(peer);
        }
        &self.text
    }
}

fn decoder(
    ingest: &Ingest,
    pipeline: &mut Pipeline,
    metrics: &ListenerMetrics,
    state: &mut State,
) -> impl FnMut(&[u8], SocketAddr, Option<IpAddr>) {
    let mut now = None;
    move |bytes, peer, _| {
        if bytes.is_empty() {
            ingest.dropped(metrics, "empty", 1);
            return;
        }
        if !ingest.admits(metrics, peer.ip()) {
            return;
        }
        let State { reading, cut, peer: texts } = &mut *state;
        let kept = bytes.get(..reading.max_message);
        // Once for what came in one call.
        let received_at = *now.get_or_insert_with(|| ingest.clock.wall());
        let id = pipeline.batcher.id(received_at);
        let raw = kept.unwrap_or(bytes);
        let frame = Frame { id, received_at, listener: NAME, peer: texts.of(peer), raw };
        let mut event = syslog::decode(frame, &reading.options);
        if raw.len() < bytes.len() {
            cut.inc();
            event.note(ParseStatus::Partial, NOTE_CUT);
        }
        pipeline.batcher.push(&event);
        if pipeline.batcher.is_full() {
            pipeline.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::super::pipeline::AHEAD_DATAGRAMS_MAX;
    use super::super::testing::Bench;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    struct Running {
        bench: Bench,
        socket: Arc<Listener>,
        client: UdpSocket,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<Result<(), String>>,
    }

    /// A listener with a receive buffer of so many bytes, over a queue that takes everything.
    #[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
    fn start(buffer: usize) -> Running {
        let bench = Bench::new(1_000_000);
        let address = "127.0.0.1:0".parse().unwrap();
        let socket = Arc::new(Listener::bind_many(address, buffer, 1).unwrap().remove(0));
        let client = UdpSocket::bind(address).unwrap();
        client.connect(socket.local()).unwrap();
        let reading = Reading { max_message: 65_535, options: syslog::Options::default() };
        let stop = CancellationToken::new();
        let run = run(Arc::clone(&bench.ingest), Arc::clone(&socket), reading, stop.clone());
        Running { socket, client, stop, task: tokio::spawn(run), bench }
    }

    impl Running {
        /// Datagrams that were read.
        fn arrived(&self) -> u64 {
            self.bench.metrics.arrived.get()
        }

        fn stored(&self) -> u64 {
            self.bench.ingest.queue.stats().appended_events
        }

        /// Datagrams that the kernel threw away.
        fn kernel_drops(&self) -> u64 {
            crate::net::kernel::udp_sockets()[&self.socket.inode().unwrap()].drops
        }

        async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
            let wait = async {
                while !is_so(self) {
                    tokio::task::yield_now().await;
                }
            };
            timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_receives_while_an_append_is_on_its_way_and_makes_all_durable_before_it_stops() {
        let running = start(1 << 20);
        running.bench.hold();
        for number in 1..=3_000u64 {
            running.client.send(format!("<13>1 - h a - - - {number}").as_bytes()).unwrap();
            if number % 100 == 0 {
                running.until("it receives", |it| it.arrived() == number).await;
            }
        }
        assert_eq!(running.stored(), 0, "nothing is durable yet");
        running.client.send(b"<13>1 - h a - - - last").unwrap();
        running.stop.cancel();
        running.until("it drains", |it| it.arrived() == 3_001).await;
        assert!(!running.task.is_finished(), "it waits for what it has taken");
        running.bench.release();
        let Running { bench, task, .. } = running;
        timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
        assert_eq!(bench.ingest.queue.stats().appended_events, 3_001);
        let told = bench.ingest.sources.drain(9);
        assert_eq!((told.len(), told[0].events), (1, 3_001));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_it_reads_ahead_is_bounded_and_the_kernel_counts_what_is_beyond() {
        let running = start(256 << 10);
        running.bench.hold();
        let datagram = [b"<13>1 - h a - - - ".as_slice(), &[b'y'; 60_000]].concat();
        let mut sent = 0;
        // As many as it may hold, as many as the kernel may, and some.
        while (sent as usize) * datagram.len() < AHEAD_DATAGRAMS_MAX + (8 << 20) {
            running.client.send(&datagram).unwrap();
            sent += 1;
            if running.kernel_drops() == 0 {
                tokio::task::yield_now().await;
            }
        }
        running.until("the kernel drops", |it| it.kernel_drops() > 0).await;
        assert!(running.arrived() < sent);
        assert!(running.arrived() as usize * datagram.len() < AHEAD_DATAGRAMS_MAX + (4 << 20));
        running.bench.release();
        running.until("all is accounted for", |it| it.stored() + it.kernel_drops() == sent).await;
        assert_eq!(running.arrived(), running.stored());
        running.stop.cancel();
        timeout(PATIENCE, running.task).await.unwrap().unwrap().unwrap();
    }
}

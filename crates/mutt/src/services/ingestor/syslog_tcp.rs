//! Syslog over TCP: octet counting and newline on one port. When the queue does not take a batch the
//! connection is no longer read, so that the sender holds back. Nothing is told to the sender.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use mutt_model::{Clock, ParseStatus, Timestamp};
use mutt_wire::syslog::framing::{FrameOutcome, Framer, NOTE_CUT};
use mutt_wire::{Frame, syslog};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::pipeline::Pipeline;
use super::syslog_udp::pause;
use super::{Ingest, ListenerMetrics};
use crate::net::http::{ACCEPT_PAUSE, stop_listening};

/// The listener's name in events and metrics.
pub const NAME: &str = "syslog-tcp";
/// A connection reads into a buffer of this size, or of the longest message if that is longer.
pub const READ_BUFFER: usize = 256 * 1024;
/// At shutdown a sender gets this long to see our half-close and to end.
pub const HALF_CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What bounds a connection.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `ingestor.syslog.max_message`
    pub max_message: usize,
    /// `ingestor.syslog.max_connections`
    pub max_connections: usize,
    /// `ingestor.syslog.idle_timeout`
    pub idle_timeout: Duration,
    /// How texts are read.
    pub options: syslog::Options,
}

/// Accepts connections until `stop`, then lets those that are open end.
///
/// # Errors
///
/// Never by itself: an accept error is logged and passes.
pub async fn run(
    ingest: Arc<Ingest>,
    listener: Arc<TcpListener>,
    limits: Limits,
    stop: CancellationToken,
) -> Result<(), String> {
    let metrics = ingest.listener(NAME);
    let gauge =
        ingest.metrics.connections.get_or_create(&vec![("listener", NAME.to_owned())]).clone();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {
                gauge.set(connections.len() as f64);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(code = %mutt_model::codes::INGEST_RECEIVE_FAILED, %error, listener = NAME, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        admit(&ingest, &metrics, &limits, &stop, &mut connections, stream, peer);
        gauge.set(connections.len() as f64);
    }
    // The kernel has told these senders that they are connected, and they may have sent already.
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        admit(&ingest, &metrics, &limits, &stop, &mut connections, stream, peer);
    }
    stop_listening(&listener);
    while connections.join_next().await.is_some() {}
    gauge.set(0.0);
    Ok(())
}

fn admit(
    ingest: &Arc<Ingest>,
    metrics: &ListenerMetrics,
    limits: &Limits,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    if connections.len() >= limits.max_connections {
        ingest.metrics.refused.get_or_create(&vec![("listener", NAME.to_owned())]).inc();
        if ingest.refused.is_news(peer.ip(), ingest.clock.monotonic()) {
            tracing::warn!(code = %mutt_model::codes::INGEST_TOO_MANY_CONNECTIONS, %peer, listener = NAME, max = limits.max_connections, "too many connections");
        }
        return;
    }
    let connection = Connection::new(ingest, metrics, limits.clone(), peer);
    connections.spawn(connection.run(stream, stop.clone()));
}

/// One sender.
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    clock: Clock,
    pipeline: Pipeline,
    framer: Framer,
    peer: String,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// A connection from `peer` that has sent nothing yet.
    #[must_use]
    pub fn new(
        ingest: &Arc<Ingest>,
        metrics: &ListenerMetrics,
        limits: Limits,
        peer: SocketAddr,
    ) -> Self {
        let framer = Framer::new(limits.max_message);
        let buffer = vec![0; READ_BUFFER.max(framer.buffer_needed())];
        Self {
            pipeline: Pipeline::new(ingest, metrics),
            clock: ingest.clock.clone(),
            limits,
            framer,
            peer: peer.to_string(),
            buffer,
            filled: 0,
        }
    }

    /// Reads until the sender ends, is idle too long, or `stop` and then its half-close.
    pub async fn run<S>(mut self, mut stream: S, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let idle = self.limits.idle_timeout;
        self.read(&mut stream, idle, &stop).await;
        if stop.is_cancelled() {
            // Tell the sender that nothing more is read, and read what it sent before it noticed.
            let _ = stream.shutdown().await;
            let late = CancellationToken::new();
            tokio::join!(
                async {
                    tokio::select! {
                        () = tokio::time::sleep(HALF_CLOSE_WAIT) => late.cancel(),
                        () = late.cancelled() => {}
                    }
                },
                async {
                    self.read(&mut stream, idle, &late).await;
                    late.cancel();
                }
            );
        }
        self.end();
        self.pipeline.settle(&stop).await;
    }

    /// Reads until the sender ends, is idle too long, or `stop`; what was read is taken whole in each
    /// case. When the queue does not keep up, the sender is not read.
    async fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        idle: Duration,
        stop: &CancellationToken,
    ) {
        loop {
            let (wait, has_room) = (self.pipeline.may_wait(), self.pipeline.has_room());
            let read = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = self.pipeline.progress() => continue,
                () = pause(wait) => {
                    self.pipeline.close();
                    continue;
                }
                read = tokio::time::timeout(idle, stream.read(&mut self.buffer[self.filled..])), if has_room => read,
            };
            match read {
                Ok(Ok(0)) | Err(_) | Ok(Err(_)) => return,
                Ok(Ok(count)) => self.take(count),
            }
        }
    }

    /// Frames and decodes what was read; keeps the incomplete rest.
    fn take(&mut self, count: usize) {
        self.filled += count;
        let received_at = self.clock.wall();
        let mut start = 0;
        loop {
            match self.framer.next(&self.buffer[start..self.filled]) {
                FrameOutcome::NeedMore => break,
                FrameOutcome::Skip { consumed } => start += consumed,
                FrameOutcome::Frame { range, consumed, cut } => {
                    self.event(start + range.start..start + range.end, cut, received_at);
                    start += consumed;
                    if self.pipeline.batcher.is_full() {
                        self.pipeline.close();
                    }
                }
            }
        }
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
    }

    fn event(&mut self, range: Range<usize>, cut: bool, received_at: Timestamp) {
        let raw = &self.buffer[range];
        let id = self.pipeline.batcher.id(received_at);
        let frame = Frame { id, received_at, listener: NAME, peer: &self.peer, raw };
        let mut event = syslog::decode(frame, &self.limits.options);
        if cut {
            event.note(ParseStatus::Partial, NOTE_CUT);
        }
        self.pipeline.batcher.push(&event);
    }

    /// The stream has ended: a message without its trailer is a message.
    fn end(&mut self) {
        if let FrameOutcome::Frame { range, cut, .. } =
            self.framer.finish(&self.buffer[..self.filled])
        {
            let received_at = self.clock.wall();
            self.event(range, cut, received_at);
        }
        self.filled = 0;
    }
}

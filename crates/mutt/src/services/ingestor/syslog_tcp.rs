//! Syslog over TCP and TLS: octet counting and newline on one connection. When the queue does not take a
//! batch the connection is no longer read, so that the sender holds back. Nothing is told to the sender.

use mutt_wire::syslog::framing::{FrameOutcome, Framer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::connection::{Ended, HALF_CLOSE_WAIT, Inbox, Intake};
use super::syslog_udp::pause;

/// One sender.
#[derive(Debug)]
struct Connection {
    intake: Intake,
    framer: Framer,
    inbox: Inbox,
}

/// Reads until the sender ends, is idle or slow for too long, or `stop` and then its half-close. What was
/// read is durable when it returns.
pub async fn run<S>(intake: Intake, mut stream: S, stop: CancellationToken) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let framer = Framer::new(intake.max_message);
    let inbox = Inbox::new(framer.buffer_needed());
    let mut connection = Connection { intake, framer, inbox };
    let mut ended = connection.read(&mut stream, &stop).await;
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
                connection.read(&mut stream, &late).await;
                late.cancel();
            }
        );
        ended = Ended::Well;
    }
    connection.end(!matches!(ended, Ended::Well));
    connection.intake.pipeline.settle(&stop).await;
    if matches!(ended, Ended::Idle | Ended::Slow) {
        let _ = tokio::time::timeout(HALF_CLOSE_WAIT, stream.shutdown()).await;
    }
    ended
}

impl Connection {
    /// Reads until the sender ends, takes too long, or `stop`; what was read is taken whole in each
    /// case. When the queue does not keep up, the sender is not read.
    async fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        stop: &CancellationToken,
    ) -> Ended {
        loop {
            let held = self.intake.held();
            let now = self.intake.clock.monotonic();
            let pipeline = &mut self.intake.pipeline;
            let (wait, has_room) = (pipeline.may_wait(), pipeline.has_room() && held.is_none());
            if !has_room {
                self.intake.patience.held_back(now);
            }
            let left = self.intake.patience.left(now);
            let read = tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Well,
                _ = self.intake.pipeline.progress() => continue,
                () = pause(wait) => {
                    self.intake.pipeline.close();
                    continue;
                }
                () = pause(held) => continue,
                read = stream.read(self.inbox.room()), if has_room => read,
                () = tokio::time::sleep(left), if has_room => {
                    return self.intake.patience.over();
                }
            };
            match read {
                Ok(0) => return Ended::Well,
                Ok(count) => self.take(count),
                Err(error) => return Ended::Broken(error.to_string()),
            }
        }
    }

    /// Frames and decodes what was read; keeps the incomplete rest.
    fn take(&mut self, count: usize) {
        self.inbox.filled(count);
        let received_at = self.intake.clock.wall();
        let (mut start, mut whole) = (0, false);
        loop {
            let bytes = &self.inbox.bytes()[start..];
            match self.framer.next(bytes) {
                FrameOutcome::NeedMore => break,
                FrameOutcome::Skip { consumed } => start += consumed,
                FrameOutcome::Frame { range, consumed, cut } => {
                    self.intake.message(&bytes[range], cut, received_at);
                    start += consumed;
                    whole |= !cut;
                }
            }
        }
        self.inbox.drop_front(start);
        let rest = !self.inbox.bytes().is_empty() || !self.framer.is_in_step();
        self.intake.patience.heard(self.intake.clock.monotonic(), whole, rest);
    }

    /// The stream has ended: a message without its trailer is a message.
    fn end(&mut self, broken: bool) {
        if let FrameOutcome::Frame { range, cut, .. } = self.framer.finish(self.inbox.bytes()) {
            let received_at = self.intake.clock.wall();
            self.intake.message(&self.inbox.bytes()[range], cut || broken, received_at);
        }
    }
}

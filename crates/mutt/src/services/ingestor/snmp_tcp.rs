//! SNMP over TCP (RFC 3430). A sender that can wait is made to: while the queue does not keep up it is
//! not read. Informs are answered in the order in which they came, each once its event is durable.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use mutt_wire::snmp::stream::{MESSAGE_MAX, Next, next};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio_util::sync::CancellationToken;

use super::connection::{Ended, HALF_CLOSE_WAIT, Inbox, Intake};
use super::relp::{ANSWERS_BYTES_MAX, WINDOW_MAX};
use super::snmp_door::{Answer, Door};
use super::syslog_udp::pause;

/// Who connects has something to say: a connection without a whole message is closed after this.
pub const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// One sender.
#[derive(Debug)]
struct Connection {
    intake: Intake,
    door: Door,
    peer: SocketAddr,
    inbox: Inbox,
    /// Events that this connection has given to the pipeline.
    pushed: u64,
    /// Answers, each with the number of the event that must be durable before.
    answers: VecDeque<(u64, Vec<u8>)>,
    /// What can be sent now.
    out: Vec<u8>,
    over: Option<Ended>,
}

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
    let mut connection = Connection {
        pushed: intake.pipeline.durable(),
        intake,
        door,
        peer,
        inbox: Inbox::new(MESSAGE_MAX),
        answers: VecDeque::new(),
        out: Vec::new(),
        over: None,
    };
    let (mut reader, mut writer) = tokio::io::split(stream);
    let ended = connection.speak(&mut reader, &mut writer, &stop).await;
    connection.intake.pipeline.settle(&stop).await;
    connection.answer();
    if !matches!(ended, Ended::Broken(_)) {
        let farewell = async {
            let _ = writer.write_all(&connection.out).await;
            let _ = writer.shutdown().await;
        };
        let _ = tokio::time::timeout(HALF_CLOSE_WAIT, farewell).await;
    }
    if stop.is_cancelled() {
        // What the sender wrote before it saw our half-close; informs among it are its to repeat.
        let rest = connection.read_on(&mut reader);
        let _ = tokio::time::timeout(HALF_CLOSE_WAIT, rest).await;
        connection.intake.pipeline.settle(&stop).await;
    }
    if !connection.inbox.bytes().is_empty() {
        connection.intake.lost("incomplete");
    }
    ended
}

impl Connection {
    async fn speak<S: AsyncRead + AsyncWrite>(
        &mut self,
        reader: &mut ReadHalf<S>,
        writer: &mut WriteHalf<S>,
        stop: &CancellationToken,
    ) -> Ended {
        loop {
            if self.answers.is_empty()
                && self.out.is_empty()
                && let Some(over) = self.over.take()
            {
                return over;
            }
            let held = self.intake.held();
            let now = self.intake.clock.monotonic();
            let pipeline = &mut self.intake.pipeline;
            let (wait, has_room) = (pipeline.may_wait(), pipeline.has_room() && held.is_none());
            let reads = has_room
                && self.over.is_none()
                && self.answers.len() < WINDOW_MAX
                && self.out.len() < ANSWERS_BYTES_MAX;
            if !reads && self.out.is_empty() {
                // It waits for us.
                self.intake.patience.held_back(now);
            }
            let left = self.intake.patience.left(now);
            let read = tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Well,
                durable = self.intake.pipeline.progress() => {
                    if durable {
                        self.answer();
                    }
                    continue;
                }
                written = writer.write(&self.out), if !self.out.is_empty() => match written {
                    Ok(0) => return Ended::Broken("nothing more can be sent".to_owned()),
                    Err(error) => return Ended::Broken(error.to_string()),
                    Ok(count) => {
                        self.out.drain(..count);
                        continue;
                    }
                },
                () = pause(wait) => {
                    self.intake.pipeline.close();
                    continue;
                }
                () = pause(held) => continue,
                read = reader.read(self.inbox.room()), if reads => read,
                () = tokio::time::sleep(left), if reads || !self.out.is_empty() => {
                    return self.intake.patience.over();
                }
            };
            match read {
                Ok(0) => self.over = Some(Ended::Well),
                Ok(count) => self.take(count),
                Err(error) => return Ended::Broken(error.to_string()),
            }
        }
    }

    async fn read_on<S: AsyncRead + AsyncWrite>(&mut self, reader: &mut ReadHalf<S>) {
        while let Ok(count @ 1..) = reader.read(self.inbox.room()).await {
            self.take(count);
        }
    }

    /// Takes every whole message of what was read.
    fn take(&mut self, count: usize) {
        self.inbox.filled(count);
        let (mut start, mut whole) = (0, false);
        loop {
            let bytes = &self.inbox.bytes()[start..];
            match next(bytes) {
                Next::NeedMore => break,
                Next::Message(length) => {
                    let events = self.intake.pipeline.batcher.pushed();
                    let answer = self.intake.snmp(&self.door, self.peer, &bytes[..length]);
                    self.pushed += self.intake.pipeline.batcher.pushed() - events;
                    match answer {
                        None => {}
                        Some(Answer::Now(report)) => self.out.extend_from_slice(&report),
                        Some(Answer::Durable(reply)) => {
                            self.answers.push_back((self.pushed, reply.datagram().to_vec()));
                            // Its sender waits for the answer.
                            self.intake.pipeline.close();
                        }
                    }
                    if self.intake.pipeline.batcher.is_full() {
                        self.intake.pipeline.close();
                    }
                    start += length;
                    whole = true;
                }
                Next::TooLong => {
                    self.intake.lost("oversize");
                    self.over = Some(Ended::NoSnmp("a message longer than any that is taken"));
                    start = self.inbox.bytes().len();
                    break;
                }
                Next::NotSnmp => {
                    self.intake.lost("framing");
                    self.over = Some(Ended::NoSnmp("what came is no SNMP"));
                    start = self.inbox.bytes().len();
                    break;
                }
            }
        }
        self.inbox.drop_front(start);
        let (now, rest) = (self.intake.clock.monotonic(), !self.inbox.bytes().is_empty());
        self.intake.patience.heard(now, whole, rest);
        self.answer();
    }

    /// Moves to `out` what can be said now.
    fn answer(&mut self) {
        let durable = self.intake.pipeline.durable();
        while self.answers.front().is_some_and(|(event, _)| *event <= durable) {
            if let Some((_, answer)) = self.answers.pop_front() {
                self.out.extend_from_slice(&answer);
            }
        }
    }
}

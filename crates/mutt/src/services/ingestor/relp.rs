//! RELP: each message is answered once it is durable, in the order in which they came. A sender that
//! is not answered repeats after its next connection, so nothing is lost with one that breaks; RELP has
//! no key by which such a repeat could be told from a new message.

use std::collections::VecDeque;

use mutt_wire::relp::{SERVER_CLOSE, Session, Step, ok};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio_util::sync::CancellationToken;

use super::connection::{Ended, HALF_CLOSE_WAIT, Inbox, Intake};
use super::syslog_udp::pause;

/// Messages of one connection that are not answered yet.
pub const WINDOW_MAX: usize = 10_000;
/// Bytes of answers that the sender has not read yet.
pub const ANSWERS_BYTES_MAX: usize = 64 * 1024;

/// What is sent, and when.
#[derive(Debug)]
enum Answer {
    /// `200 OK`, when the next message is durable.
    Durable(u32),
    /// `200 OK` at once: there was nothing to make durable.
    Empty(u32),
    /// This, at once.
    Frames(Vec<u8>),
}

/// One sender.
#[derive(Debug)]
struct Connection {
    intake: Intake,
    session: Session,
    inbox: Inbox,
    /// In the order of the messages.
    answers: VecDeque<Answer>,
    /// Events of the pipeline that were durable when `answers` was looked at last.
    answered: u64,
    /// What can be sent now.
    out: Vec<u8>,
    /// The session is over: nothing more is read.
    over: Option<Ended>,
}

/// Speaks until the sender closes, takes too long or breaks the protocol, or `stop`. What is answered
/// when it returns is durable; the rest is the sender's to repeat.
pub async fn run<S>(intake: Intake, stream: S, stop: CancellationToken) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let session = Session::new(intake.max_message);
    let inbox = Inbox::new(session.buffer_needed());
    let mut connection = Connection {
        answered: intake.pipeline.durable(),
        intake,
        session,
        inbox,
        answers: VecDeque::new(),
        out: Vec::new(),
        over: None,
    };
    let (mut reader, mut writer) = tokio::io::split(stream);
    let ended = connection.speak(&mut reader, &mut writer, &stop).await;
    connection.intake.pipeline.settle(&stop).await;
    connection.answer();
    if !matches!(ended, Ended::Broken(_)) {
        if stop.is_cancelled() {
            connection.out.extend_from_slice(SERVER_CLOSE);
        }
        let farewell = connection.farewell(&mut reader, &mut writer);
        let _ = tokio::time::timeout(HALF_CLOSE_WAIT, farewell).await;
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
            if self.answers.is_empty() && self.out.is_empty() && self.over.is_some() {
                return self.over.take().unwrap_or(Ended::Well);
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

    /// Takes every whole frame of what was read.
    fn take(&mut self, count: usize) {
        self.inbox.filled(count);
        let received_at = self.intake.clock.wall();
        let (mut start, mut whole) = (0, false);
        while self.over.is_none() {
            let bytes = &self.inbox.bytes()[start..];
            match self.session.next(bytes) {
                Step::NeedMore => break,
                Step::Message { range, consumed, txnr, cut } => {
                    if range.is_empty() {
                        self.intake.empty();
                        self.answers.push_back(Answer::Empty(txnr));
                    } else {
                        self.intake.message(&bytes[range], cut, received_at);
                        self.answers.push_back(Answer::Durable(txnr));
                    }
                    start += consumed;
                    whole = true;
                }
                Step::TakeOut { range } => {
                    self.inbox.take_out(start + range.start..start + range.end);
                }
                Step::Reply { consumed, answer } => {
                    self.answers.push_back(Answer::Frames(answer));
                    start += consumed;
                    whole = true;
                }
                Step::End { consumed, answer } => {
                    self.answers.push_back(Answer::Frames(answer));
                    start += consumed;
                    self.over = Some(Ended::Well);
                }
                Step::Broken(why) => self.over = Some(Ended::NoRelp(why)),
            }
        }
        self.inbox.drop_front(start);
        self.intake.patience.heard(
            self.intake.clock.monotonic(),
            whole,
            !self.inbox.bytes().is_empty(),
        );
        // The sender waits for its answer: what it has said goes at once, and company is what it says
        // while that is made durable.
        if self.intake.pipeline.may_wait().is_some() {
            self.intake.pipeline.close();
        }
        self.answer();
    }

    /// Moves to `out` what can be said now.
    fn answer(&mut self) {
        let durable = self.intake.pipeline.durable();
        while let Some(next) = self.answers.front() {
            match next {
                Answer::Durable(_) if self.answered == durable => return,
                Answer::Durable(txnr) => {
                    self.answered += 1;
                    ok(*txnr, &mut self.out);
                }
                Answer::Empty(txnr) => ok(*txnr, &mut self.out),
                Answer::Frames(frames) => self.out.extend_from_slice(frames),
            }
            self.answers.pop_front();
        }
    }

    /// The last answers, and the end; what the sender still writes is read and is its to repeat, for a
    /// socket that is closed over unread bytes takes the answers with it.
    async fn farewell<S: AsyncRead + AsyncWrite>(
        &mut self,
        reader: &mut ReadHalf<S>,
        writer: &mut WriteHalf<S>,
    ) {
        if writer.write_all(&self.out).await.is_err() || writer.shutdown().await.is_err() {
            return;
        }
        self.inbox.drop_front(self.inbox.bytes().len());
        while reader.read(self.inbox.room()).await.is_ok_and(|count| count > 0) {}
    }
}

//! A stream whose sender waits for answers, whatever it speaks: read while there is room, made durable,
//! answered in the order of its messages, each once the events before it are durable.

use std::collections::VecDeque;

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

/// An answer that waits for events.
#[derive(Debug)]
struct Owed {
    /// So many events must be durable before.
    events: u64,
    /// Its part of `answers`.
    bytes: usize,
}

/// One sender and what it is owed.
#[derive(Debug)]
pub struct Answered {
    /// Its messages' way to the event queue.
    pub intake: Intake,
    /// What was read and not yet taken.
    pub inbox: Inbox,
    /// The session is over: nothing more is read, what is owed is still said.
    pub over: Option<Ended>,
    /// What is said next, in order; the first `ready` bytes may be sent.
    answers: Vec<u8>,
    ready: usize,
    owed: VecDeque<Owed>,
}

impl Answered {
    /// Of whom nothing was read; a message is at most `longest`.
    #[must_use]
    pub fn new(intake: Intake, longest: usize) -> Self {
        Self {
            intake,
            inbox: Inbox::new(longest),
            over: None,
            answers: Vec::new(),
            ready: 0,
            owed: VecDeque::new(),
        }
    }

    /// Says this when all that was pushed is durable, and after all that is owed already.
    pub fn owe(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.answers.len();
        write(&mut self.answers);
        let events = self.intake.pipeline.batcher.pushed();
        self.owed.push_back(Owed { events, bytes: self.answers.len() - before });
    }

    /// Says this at once, before what waits.
    pub fn say(&mut self, bytes: &[u8]) {
        self.answers.splice(self.ready..self.ready, bytes.iter().copied());
        self.ready += bytes.len();
    }

    /// Releases what no longer waits.
    fn answer(&mut self) {
        let durable = self.intake.pipeline.durable();
        while let Some(next) = self.owed.pop_front_if(|next| next.events <= durable) {
            self.ready += next.bytes;
        }
    }

    /// Reads and answers until the sender ends, takes too long or is over, or `stop`. `take` takes every
    /// whole message of what was read, and says whether there was one.
    pub async fn speak<S: AsyncRead + AsyncWrite>(
        &mut self,
        reader: &mut ReadHalf<S>,
        writer: &mut WriteHalf<S>,
        stop: &CancellationToken,
        take: &mut impl FnMut(&mut Self) -> bool,
    ) -> Ended {
        loop {
            if self.answers.is_empty()
                && self.owed.is_empty()
                && let Some(over) = self.over.take()
            {
                return over;
            }
            let held = self.intake.held();
            let now = self.intake.clock.monotonic();
            let pipeline = &mut self.intake.pipeline;
            let (wait, has_room) = (pipeline.may_wait(), pipeline.has_room() && held.is_none());
            let says = self.ready > 0;
            let reads = has_room
                && self.over.is_none()
                && self.owed.len() < WINDOW_MAX
                && self.ready < ANSWERS_BYTES_MAX;
            if !reads && !says {
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
                written = writer.write(&self.answers[..self.ready]), if says => match written {
                    Ok(0) => return Ended::Broken("nothing more can be sent".to_owned()),
                    Err(error) => return Ended::Broken(error.to_string()),
                    Ok(count) => {
                        self.answers.drain(..count);
                        self.ready -= count;
                        continue;
                    }
                },
                () = pause(wait) => {
                    self.intake.pipeline.close();
                    continue;
                }
                () = pause(held) => continue,
                read = reader.read(self.inbox.room()), if reads => read,
                () = tokio::time::sleep(left), if reads || says => {
                    return self.intake.patience.over();
                }
            };
            match read {
                Ok(0) => self.over = Some(Ended::Well),
                Ok(count) => self.heard(count, take),
                Err(error) => return Ended::Broken(error.to_string()),
            }
        }
    }

    /// So many bytes were read.
    fn heard(&mut self, count: usize, take: &mut impl FnMut(&mut Self) -> bool) {
        self.inbox.filled(count);
        let whole = take(self);
        let (now, rest) = (self.intake.clock.monotonic(), !self.inbox.bytes().is_empty());
        self.intake.patience.heard(now, whole, rest);
        self.answer();
    }

    /// Makes durable what was taken, and releases its answers.
    pub async fn settle(&mut self, stop: &CancellationToken) {
        self.intake.pipeline.settle(stop).await;
        self.answer();
    }

    /// Says the last of what may be said, and that nothing more comes.
    pub async fn farewell<S: AsyncWrite>(
        &mut self,
        writer: &mut WriteHalf<S>,
    ) -> std::io::Result<()> {
        writer.write_all(&self.answers[..self.ready]).await?;
        writer.shutdown().await
    }

    /// Takes what the sender wrote before it saw our half-close.
    pub async fn read_on<S: AsyncRead>(
        &mut self,
        reader: &mut ReadHalf<S>,
        take: &mut impl FnMut(&mut Self) -> bool,
    ) {
        let rest = async {
            while let Ok(count @ 1..) = reader.read(self.inbox.room()).await {
                self.heard(count, take);
            }
        };
        let _ = tokio::time::timeout(HALF_CLOSE_WAIT, rest).await;
    }
}

//! RELP: each message is answered once it is durable, in the order in which they came. A sender that
//! is not answered repeats after its next connection, so nothing is lost with one that breaks; RELP has
//! no key by which such a repeat could be told from a new message.

use mutt_wire::relp::{SERVER_CLOSE, Session, Step, ok};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::answered::Answered;
use super::connection::{Ended, HALF_CLOSE_WAIT, Intake};

/// Speaks until the sender closes, takes too long or breaks the protocol, or `stop`. What is answered
/// when it returns is durable; the rest is the sender's to repeat.
pub async fn run<S>(intake: Intake, stream: S, stop: CancellationToken) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut session = Session::new(intake.max_message);
    let mut sender = Answered::new(intake, session.buffer_needed());
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut take = |sender: &mut Answered| take(&mut session, sender);
    let ended = sender.speak(&mut reader, &mut writer, &stop, &mut take).await;
    sender.settle(&stop).await;
    if matches!(ended, Ended::Broken(_)) {
        return ended;
    }
    if stop.is_cancelled() {
        sender.say(SERVER_CLOSE);
    }
    // What the sender still writes is read and is its to repeat, for a socket that is closed over unread
    // bytes takes the answers with it.
    let farewell = async {
        if sender.farewell(&mut writer).await.is_ok() {
            sender.inbox.drop_front(sender.inbox.bytes().len());
            while reader.read(sender.inbox.room()).await.is_ok_and(|count| count > 0) {}
        }
    };
    let _ = tokio::time::timeout(HALF_CLOSE_WAIT, farewell).await;
    ended
}

/// Takes every whole frame of what was read.
fn take(session: &mut Session, sender: &mut Answered) -> bool {
    let received_at = sender.intake.clock.wall();
    let (mut start, mut whole) = (0, false);
    while sender.over.is_none() {
        let bytes = &sender.inbox.bytes()[start..];
        match session.next(bytes) {
            Step::NeedMore => break,
            Step::Message { range, consumed, txnr, cut } => {
                if range.is_empty() {
                    sender.intake.empty();
                } else {
                    sender.intake.message(&bytes[range], cut, received_at);
                }
                sender.owe(|answers| ok(txnr, answers));
                start += consumed;
                whole = true;
            }
            Step::TakeOut { range } => {
                sender.inbox.take_out(start + range.start..start + range.end);
            }
            Step::Reply { consumed, answer } => {
                sender.owe(|answers| answers.extend(answer));
                start += consumed;
                whole = true;
            }
            Step::End { consumed, answer } => {
                sender.owe(|answers| answers.extend(answer));
                start += consumed;
                sender.over = Some(Ended::Well);
            }
            Step::Broken(why) => sender.over = Some(Ended::NoRelp(why)),
        }
    }
    sender.inbox.drop_front(start);
    // The sender waits for its answer: what it has said goes at once, and company is what it says while
    // that is made durable.
    if sender.intake.pipeline.may_wait().is_some() {
        sender.intake.pipeline.close();
    }
    whole
}

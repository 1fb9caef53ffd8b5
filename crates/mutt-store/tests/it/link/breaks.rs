//! Servers that die, stop, answer late or in part: a reply is never taken for another's, and no caller
//! waits long.

use std::sync::Arc;
use std::time::Duration;

use mutt_model::{Clock, codes};
use mutt_store::redis::RedisOptions;
use mutt_store::redis::link::{LinkError, all_done};
use mutt_store::state::EngineState;
use redis::Value;

use super::net::{Node, Proxy};
use super::{STEP, linked, links, options, pipeline, refused, say, text, until};

/// A caller's wait on a busy machine, beyond what is promised.
const SLACK: Duration = Duration::from_secs(5);

#[tokio::test]
async fn nothing_is_connected_before_it_is_asked_for() {
    let node = Node::start(&[]);
    let proxy = Proxy::before(node.port).await;
    let links = links(&options(&format!("redis://127.0.0.1:{}", proxy.port)));
    assert!(matches!(links.state(), EngineState::Away { .. }), "nothing is known yet");
    assert_eq!(proxy.taken(), 0);
    linked(&links).await;
    assert_eq!((proxy.taken(), links.state()), (1, EngineState::Ready));
}

#[tokio::test]
async fn a_server_that_was_killed_is_found_again_and_its_absence_is_told() {
    let mut node = Node::start(&[]);
    let links = links(&options(&node.url()));
    let clock = Clock::default();
    let before = clock.wall();
    let link = linked(&links).await;
    node.kill();
    // Noticed also while nothing is sent.
    until("the break is noticed", async || !links.state().is_ready()).await;
    assert!(matches!(say(&link, &["PING"]).await, Err(LinkError::Away(_))), "it is broken");
    refused(&links, "Connection refused").await;
    let EngineState::Away { since, code, why } = links.state() else { panic!("it is away") };
    assert!(since >= before && code.id == codes::REDIS_AWAY.id, "{since} {why}");
    assert!(why.contains(&node.port.to_string()), "{why}");
    // While it is away, callers are told so at once.
    let started = clock.monotonic();
    for _ in 0..20 {
        links.writer(0).await.unwrap_err();
    }
    assert!(clock.monotonic() - started < SLACK, "callers wait");
    node.restart();
    let link = linked(&links).await;
    assert_eq!(text(&say(&link, &["PING"]).await.unwrap()), "PONG");
    assert_eq!(links.state(), EngineState::Ready);
}

#[tokio::test]
async fn a_server_that_stands_still_holds_nobody() {
    let node = Node::start(&[]);
    let timeout = Duration::from_millis(500);
    let links = links(&RedisOptions { timeout, ..options(&node.url()) });
    let link = linked(&links).await;
    node.stop();
    let clock = Clock::default();
    let started = clock.monotonic();
    let late = link.run(&pipeline(&[&["PING"]]), timeout).await;
    assert!(matches!(late, Err(LinkError::Lost(_))), "{late:?}");
    for _ in 0..4 {
        // The kernel still takes the connection: it is the login that is not answered.
        links.writer(0).await.unwrap_err();
    }
    assert!(clock.monotonic() - started < 5 * timeout + SLACK, "callers wait");
    assert!(!links.state().is_ready());
    node.resume();
    assert_eq!(text(&say(&linked(&links).await, &["ECHO", "b"]).await.unwrap()), "b");
}

#[tokio::test]
async fn a_late_reply_is_not_taken_for_another() {
    let node = Node::start(&[]);
    let links = links(&options(&node.url()));
    let link = linked(&links).await;
    let late = link.run(&pipeline(&[&["BLPOP", "none", "0.3"]]), Duration::from_millis(50)).await;
    assert!(matches!(late, Err(LinkError::Lost(_))), "{late:?}");
    let next = linked(&links).await;
    assert!(link.is_broken() && !next.is_broken());
    assert_eq!(text(&say(&next, &["ECHO", "mine"]).await.unwrap()), "mine");
}

#[tokio::test]
async fn a_reader_that_blocks_does_not_hold_the_writer() {
    let node = Node::start(&[]);
    let links = links(&options(&node.url()));
    let reader = links.reader(0).await.unwrap();
    let writer = linked(&links).await;
    let blocked = pipeline(&[&["BLPOP", "list", "30"]]);
    let read = reader.run(&blocked, Duration::from_secs(40));
    let write = async {
        for n in 0..100 {
            let n = n.to_string();
            assert_eq!(text(&say(&writer, &["ECHO", &n]).await.unwrap()), n);
        }
        say(&writer, &["RPUSH", "list", "x"]).await.unwrap();
    };
    let (read, ()) = tokio::join!(read, write);
    assert!(matches!(&read.unwrap()[..], [Value::Array(popped)] if text(&popped[1]) == "x"));
}

#[tokio::test]
async fn one_command_that_is_refused_leaves_the_others() {
    let node = Node::start(&[]);
    let links = links(&options(&node.url()));
    let link = linked(&links).await;
    let mixed: &[&[&str]] = &[&["SET", "a", "1"], &["LPUSH", "a", "2"], &["GET", "a"]];
    let values = link.run(&pipeline(mixed), STEP).await.unwrap();
    assert_eq!((text(&values[0]), text(&values[2])), ("OK".into(), "1".into()));
    assert!(matches!(&values[1], Value::ServerError(e) if e.code() == "WRONGTYPE"), "{values:?}");
    assert!(matches!(all_done(values), Err(LinkError::Server(why)) if why.contains("WRONGTYPE")));
    let mut atomic = pipeline(&[&["INCR", "a"], &["INCR", "a"]]);
    let values = link.run(atomic.atomic(), STEP).await.unwrap();
    assert_eq!(values.iter().map(text).collect::<Vec<_>>(), ["2", "3"]);
    let mut wrong = pipeline(&[&["INCR", "a"], &["NOSUCH"]]);
    let refused = link.run(wrong.atomic(), STEP).await;
    assert!(matches!(refused, Err(LinkError::Server(_))), "{refused:?}");
    assert!(!link.is_broken());
    assert_eq!(text(&say(&link, &["GET", "a"]).await.unwrap()), "3");
}

/// Connections are cut in the middle of replies, at places that a seed chooses, under many callers:
/// each caller has its own reply, or is told that whether it was done is unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test's own tasks")]
async fn a_reply_that_was_lost_is_unknown_and_never_anothers() {
    const SEED: u64 = 20_261_124;
    let node = Node::start(&[]);
    let proxy = Proxy::before(node.port).await;
    let links = Arc::new(links(&options(&format!("redis://127.0.0.1:{}", proxy.port))));
    let mut random = fastrand::Rng::with_seed(SEED);
    let (mut own, mut lost) = (0, 0);
    for round in 0..12 {
        linked(&links).await;
        proxy.cut_after(random.usize(1..4_000));
        let callers = (0..16).map(|caller| {
            let links = Arc::clone(&links);
            tokio::spawn(async move {
                let (mut own, mut lost) = (0, 0);
                for n in 0..20 {
                    let Ok(link) = links.writer(0).await else { continue };
                    let words = [format!("{round}-{caller}-{n}"), format!("second-{caller}-{n}")];
                    let asked: [&[&str]; 2] = [&["ECHO", &words[0]], &["ECHO", &words[1]]];
                    match link.run(&pipeline(&asked), STEP).await {
                        Ok(values) => {
                            assert_eq!(values.iter().map(text).collect::<Vec<_>>(), words);
                            own += 1;
                        }
                        Err(LinkError::Lost(_)) => lost += 1,
                        Err(LinkError::Away(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                (own, lost)
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            let (more, gone) = caller.await.unwrap();
            own += more;
            lost += gone;
        }
    }
    assert!(own > 500 && lost > 5, "own {own}, lost {lost}: nothing was cut");
}

/// A server that takes connections and says nothing: one attempt at a time, however many ask.
#[tokio::test]
async fn callers_share_one_attempt() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let timeout = Duration::from_millis(300);
    let url = format!("redis://127.0.0.1:{port}");
    let links = links(&RedisOptions { timeout, ..options(&url) });
    let mut held = Vec::new();
    let asked = futures_util::future::join_all((0..50).map(|_| links.writer(0)));
    let answers = tokio::select! {
        answers = asked => answers,
        () = async { loop { held.push(silent.accept().await.unwrap()) } } => unreachable!(),
    };
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    assert!(held.len() <= 2, "{} connections for one attempt", held.len());
}

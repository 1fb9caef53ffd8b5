//! Sentinel: the master is found, a failover is followed, and a master that was replaced is left.

use std::time::Duration;

use mutt_model::{Clock, LiveSecrets, Secret};
use mutt_store::redis::RedisOptions;
use mutt_store::redis::link::{KnownReplica, Link, LinkError, Links};
use mutt_store::state::EngineState;

use super::net::Node;
use super::{linked, links, options, refused, say, text, until};

/// A master, replicas and three Sentinels that fail over after a second.
pub(crate) struct Guarded {
    pub(crate) nodes: Vec<Node>,
    pub(crate) sentinels: Vec<Node>,
}

impl Guarded {
    /// One master and one replica with these settings, and everything that guards them in place.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let master = Node::start(settings);
        let replica = Node::start(
            &[&["--replicaof", &format!("127.0.0.1 {}", master.port)], settings].concat(),
        );
        let watched = format!(
            "sentinel monitor mutt 127.0.0.1 {} 2\nsentinel down-after-milliseconds mutt 1000\nsentinel failover-timeout mutt 5000\nsentinel parallel-syncs mutt 1\n",
            master.port
        );
        let sentinels: Vec<_> = (0..3).map(|_| Node::sentinel(&watched, &[])).collect();
        master.tells(&["INFO", "replication"], "state=online").await;
        for sentinel in &sentinels {
            sentinel.tells(&["SENTINEL", "MASTER", "mutt"], "num-other-sentinels\n2").await;
            sentinel.tells(&["SENTINEL", "MASTER", "mutt"], "num-slaves\n1").await;
        }
        Self { nodes: vec![master, replica], sentinels }
    }

    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> =
            self.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis+sentinel://{}/mutt", hosts.join(","))
    }
}

/// Writes on until this many writes were answered by the node with this port.
async fn written_to(links: &Links, port: u16, wanted: u32) -> Link {
    let mut answered = 0;
    let mut last = None;
    until("writes to the new master", async || {
        let Ok(link) = links.writer(0).await else { return false };
        let done = say(&link, &["INCR", "n"]).await;
        let at = link.address().to_string().ends_with(&format!(":{port}"));
        if at && matches!(done, Ok(redis::Value::Int(_))) {
            answered += 1;
        }
        last = Some(link);
        answered >= wanted
    })
    .await;
    last.unwrap()
}

/// What the preflight is told.
#[derive(Debug, Default)]
struct Told(std::sync::Mutex<Vec<KnownReplica>>);

#[async_trait::async_trait]
impl mutt_store::redis::link::Preflight for Told {
    async fn check(
        &self,
        _: &Link,
        known: &mutt_store::redis::link::Known,
    ) -> Result<(), LinkError> {
        self.0.lock().unwrap().clone_from(&known.replicas);
        Ok(())
    }
}

#[tokio::test]
async fn a_killed_master_is_followed_to_the_one_that_was_promoted() {
    let mut guarded = Guarded::start(&[]).await;
    let told = std::sync::Arc::new(Told::default());
    let links = Links::new(&options(&guarded.url()), Clock::default(), told.clone() as _);
    let (old, new) = (guarded.nodes[0].port, guarded.nodes[1].port);
    written_to(&links, old, 10).await;
    let replicas = told.0.lock().unwrap().clone();
    assert!(
        matches!(&replicas[..], [one] if one.address == format!("127.0.0.1:{new}") && one.priority == 100),
        "{replicas:?}"
    );
    guarded.nodes[0].kill();
    let clock = Clock::default();
    let started = clock.monotonic();
    let link = written_to(&links, new, 10).await;
    println!("failover was followed within {:?}", clock.monotonic() - started);
    assert_eq!(text(&say(&link, &["ECHO", "new"]).await.unwrap()), "new");
    assert_eq!(links.state(), EngineState::Ready);
    // The old one comes back as a replica; nothing moves to it.
    guarded.nodes[0].restart();
    guarded.nodes[0].tells(&["INFO", "replication"], "role:slave").await;
    written_to(&links, new, 10).await;
}

/// Refuses a master of more replicas than this, as the queue does whose appends wait for so many.
#[derive(Debug)]
struct AtMost(usize);

#[async_trait::async_trait]
impl mutt_store::redis::link::Preflight for AtMost {
    fn learn(&self, known: &mutt_store::redis::link::Known) -> bool {
        known.replicas.len() > self.0
    }

    async fn check(
        &self,
        _: &Link,
        known: &mutt_store::redis::link::Known,
    ) -> Result<(), LinkError> {
        if known.replicas.len() <= self.0 {
            return Ok(());
        }
        let why = format!("{} replicas", known.replicas.len());
        Err(LinkError::Refused { code: mutt_model::codes::QUEUE_REDIS_REPLICAS, why })
    }
}

#[tokio::test]
async fn a_replica_that_comes_under_way_is_judged_at_once() {
    let guarded = Guarded::start(&[]).await;
    let most = std::sync::Arc::new(AtMost(1));
    let links = Links::new(&options(&guarded.url()), Clock::default(), most as _);
    let held = linked(&links).await;
    let master = format!("127.0.0.1 {}", guarded.nodes[0].port);
    let _second = Node::start(&["--replicaof", &master]);
    until("the link is left", async || {
        // As the queue does each second.
        let _ = links.writer(0).await;
        held.is_broken()
    })
    .await;
    refused(&links, "2 replicas").await;
}

#[tokio::test]
async fn a_master_that_was_replaced_and_still_answers_is_left() {
    let guarded = Guarded::start(&[]).await;
    let links = links(&options(&guarded.url()));
    let (old, new) = (guarded.nodes[0].port, guarded.nodes[1].port);
    written_to(&links, old, 10).await;
    let held = linked(&links).await;
    // The old one is not killed: for a while it answers, then it says that it is a replica.
    assert_eq!(guarded.sentinels[0].command(&["SENTINEL", "FAILOVER", "mutt"]), "OK");
    written_to(&links, new, 10).await;
    // Whatever it is asked, a link to the old one says what it is now.
    until("the old link is left", async || {
        let _ = say(&held, &["INCR", "n"]).await;
        held.is_broken()
    })
    .await;
    assert!(linked(&links).await.address().to_string().ends_with(&new.to_string()));
}

#[tokio::test]
async fn one_sentinel_is_enough_and_none_is_told() {
    let mut guarded = Guarded::start(&[]).await;
    guarded.sentinels[0].stop();
    guarded.sentinels[1].kill();
    let one = links(&options(&guarded.url()));
    let link = linked(&one).await;
    assert_eq!(text(&say(&link, &["ECHO", "a"]).await.unwrap()), "a");
    let unknown = links(&options(&guarded.url().replace("/mutt", "/other")));
    let why = refused(&unknown, "no master `other`").await;
    assert!(why.contains("SENTINEL MASTERS"), "{why}");
    guarded.sentinels[2].kill();
    guarded.sentinels[0].kill();
    let none = links(&options(&guarded.url()));
    refused(&none, "no Sentinel answers").await;
    // What is connected needs no Sentinel.
    assert_eq!(text(&say(&link, &["ECHO", "b"]).await.unwrap()), "b");
    assert!(!link.is_broken());
}

#[tokio::test]
async fn sentinels_with_a_password_of_their_own() {
    let master = Node::with_password("data");
    let configuration = format!(
        "sentinel monitor mutt 127.0.0.1 {} 1\nsentinel auth-pass mutt data\nrequirepass guard\n",
        master.port
    );
    let sentinel = Node::sentinel(&configuration, &["-a", "guard", "--no-auth-warning"]);
    let secret = |value: &str| LiveSecrets::new(vec![Secret::new(value)]);
    let url = format!("redis+sentinel://127.0.0.1:{}/mutt", sentinel.port);
    let both = RedisOptions {
        passwords: secret("data"),
        sentinel_passwords: Some(secret("guard")),
        ..options(&url)
    };
    let right = links(&both);
    assert_eq!(text(&say(&linked(&right).await, &["ECHO", "a"]).await.unwrap()), "a");
    let wrong = links(&RedisOptions { sentinel_passwords: None, ..both });
    let why = refused(&wrong, "Sentinel at").await;
    assert!(why.contains("queue.password") && !why.contains("guard"), "{why}");
    tokio::time::timeout(Duration::from_secs(30), right.writer(0)).await.unwrap().unwrap();
}

//! Users and passwords: tried in order, changed under traffic, refused in words that mend.

use mutt_model::{LiveSecrets, Secret, codes};
use mutt_store::redis::RedisOptions;
use mutt_store::redis::link::LinkError;
use mutt_store::state::EngineState;

use super::net::Node;
use super::{linked, links, options, refused, say, text, until};

fn secrets(values: &[&str]) -> LiveSecrets {
    LiveSecrets::new(values.iter().map(|value| Secret::new(*value)).collect())
}

/// A server with a user that may do everything and has this password.
fn with_user(password: &str) -> Node {
    let node = Node::start(&[]);
    let set = ["ACL", "SETUSER", "mutt", "on", &format!(">{password}"), "~*", "+@all"];
    assert_eq!(node.command(&set), "OK");
    node
}

fn as_mutt(node: &Node, passwords: &LiveSecrets) -> RedisOptions {
    let url = format!("redis://mutt@127.0.0.1:{}/3", node.port);
    RedisOptions { passwords: passwords.clone(), ..options(&url) }
}

#[tokio::test]
async fn the_user_of_the_url_logs_in_with_the_first_password_that_is_taken() {
    let node = with_user("right");
    let links = links(&as_mutt(&node, &secrets(&["old", "right"])));
    let link = linked(&links).await;
    assert_eq!(text(&say(&link, &["ACL", "WHOAMI"]).await.unwrap()), "mutt");
    let info = text(&say(&link, &["CLIENT", "INFO"]).await.unwrap());
    assert!(info.contains(" db=3 "), "{info}");
    assert_eq!(links.state(), EngineState::Ready);
}

#[tokio::test]
async fn passwords_that_are_refused_are_told_with_user_and_command_and_without_themselves() {
    let node = with_user("right");
    let live = secrets(&["hunter2", "hunter3"]);
    let links = links(&as_mutt(&node, &live));
    let why = refused(&links, "refuses the user `mutt`").await;
    assert!(why.contains("ACL SETUSER mutt on") && why.contains("queue.password"), "{why}");
    let state = links.state();
    let shown = format!("{why} {state:?} {links:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(
        matches!(state, EngineState::Away { code, .. } if code.id == codes::REDIS_REFUSED.id),
        "{shown}"
    );
    // The password is mended here, without a restart.
    live.set(vec![Secret::new("hunter2"), Secret::new("right")]);
    linked(&links).await;
    assert_eq!(links.state(), EngineState::Ready);
}

#[tokio::test]
async fn a_server_that_asks_for_a_password_that_is_not_set_says_which_key_to_set() {
    let node = Node::start(&[]);
    node.command(&["CONFIG", "SET", "requirepass", "secret"]);
    let links = links(&options(&node.url()));
    let why = refused(&links, "asks for a password").await;
    assert!(why.contains("queue.password"), "{why}");
    let far = super::links(&RedisOptions {
        passwords: secrets(&["secret"]),
        ..options(&format!("{}/99", node.url()))
    });
    refused(&far, "does not reach to 99").await;
}

#[tokio::test]
async fn a_password_that_was_not_read_yet_is_waited_for_and_nothing_takes_its_place() {
    // Without a password both the default user and, for any password, `mutt` would be let in.
    let node = Node::start(&[]);
    node.command(&["ACL", "SETUSER", "mutt", "on", "nopass", "~*", "+@all"]);
    let by_default = RedisOptions { passwords: LiveSecrets::named(), ..options(&node.url()) };
    refused(&links(&by_default), "`queue.password` was not read yet").await;
    let live = LiveSecrets::named();
    let links = links(&as_mutt(&node, &live));
    refused(&links, "`queue.password` was not read yet").await;
    assert_eq!((logins(&node), node.command(&["ACL", "LOG"])), (0, String::new()));
    let clients = node.command(&["CLIENT", "LIST"]);
    assert_eq!(clients.lines().count(), 1, "only the one that asks: {clients}");
    live.set(vec![Secret::new("read")]);
    let link = linked(&links).await;
    assert_eq!(text(&say(&link, &["ACL", "WHOAMI"]).await.unwrap()), "mutt");
}

#[tokio::test]
async fn a_password_for_a_server_without_one_does_no_harm() {
    let node = Node::start(&[]);
    let links = links(&RedisOptions { passwords: secrets(&["needless"]), ..options(&node.url()) });
    assert_eq!(text(&say(&linked(&links).await, &["ECHO", "a"]).await.unwrap()), "a");
}

/// The number of logins that the server has seen.
fn logins(node: &Node) -> u64 {
    let stats = node.command(&["INFO", "commandstats"]);
    let line = stats.lines().find(|line| line.starts_with("cmdstat_auth:calls="));
    let calls = line.and_then(|line| line.split(['=', ',']).nth(1));
    calls.map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test]
async fn a_password_is_changed_under_traffic_without_a_failed_call() {
    let node = with_user("old");
    let live = secrets(&["old"]);
    let links = links(&as_mutt(&node, &live));
    let traffic = async |calls: u32| {
        for n in 0..calls {
            let link = links.writer(0).await.unwrap();
            assert_eq!(text(&say(&link, &["ECHO", &n.to_string()]).await.unwrap()), n.to_string());
        }
    };
    let id = text(&say(&linked(&links).await, &["CLIENT", "ID"]).await.unwrap());
    traffic(50).await;
    node.command(&["ACL", "SETUSER", "mutt", ">new"]);
    live.set(vec![Secret::new("old"), Secret::new("new")]);
    traffic(50).await;
    let before = logins(&node);
    // The old one goes: links log in with the new one, on the same connection.
    live.set(vec![Secret::new("new")]);
    until("a login with the new password", async || {
        traffic(5).await;
        logins(&node) > before
    })
    .await;
    node.command(&["ACL", "SETUSER", "mutt", "<old"]);
    traffic(50).await;
    let link = links.writer(0).await.unwrap();
    assert_eq!(text(&say(&link, &["CLIENT", "ID"]).await.unwrap()), id, "it was connected anew");
    // What connects from now on has only the new one.
    node.command(&["CLIENT", "KILL", "USER", "mutt"]);
    let link = until_another(&links, &id).await;
    assert_eq!(text(&say(&link, &["ACL", "WHOAMI"]).await.unwrap()), "mutt");
    assert_eq!(links.state(), EngineState::Ready);
}

#[tokio::test]
async fn a_reader_that_is_blocked_gives_way_to_one_with_the_new_login() {
    let node = with_user("old");
    let live = secrets(&["old"]);
    let links = links(&as_mutt(&node, &live));
    linked(&links).await;
    let reader = links.reader(0).await.unwrap();
    let id = text(&say(&reader, &["CLIENT", "ID"]).await.unwrap());
    let wait = super::pipeline(&[&["BLPOP", "list", "60"]]);
    let blocked = reader.run(&wait, crate::redis_server::PATIENCE);
    let rotate = async {
        until("the reader is blocked", async || {
            node.command(&["INFO", "clients"]).contains("blocked_clients:1")
        })
        .await;
        node.command(&["ACL", "SETUSER", "mutt", ">new", "<old"]);
        live.set(vec![Secret::new("new")]);
        until("another reader", async || {
            let _ = links.writer(0).await;
            let Ok(reader) = links.reader(0).await else { return false };
            say(&reader, &["CLIENT", "ID"]).await.is_ok_and(|other| text(&other) != id)
        })
        .await;
        // What the old one waits for it still gets.
        node.command(&["-n", "3", "RPUSH", "list", "here"]);
    };
    let (answer, ()) = tokio::join!(blocked, rotate);
    assert!(format!("{:?}", answer.unwrap()).contains("bulk-string"), "it was cut off");
    drop(reader);
    until("the old login is gone", async || {
        !node.command(&["CLIENT", "LIST"]).contains(&format!("id={id} "))
    })
    .await;
}

async fn until_another(
    links: &mutt_store::redis::link::Links,
    id: &str,
) -> mutt_store::redis::link::Link {
    let mut found = None;
    until("another connection", async || {
        let link = linked(links).await;
        found = match say(&link, &["CLIENT", "ID"]).await {
            Ok(other) if text(&other) != id => Some(link),
            _ => None,
        };
        found.is_some()
    })
    .await;
    found.unwrap()
}

#[tokio::test]
async fn a_login_that_ends_while_connected_is_made_again_with_the_next_password() {
    let node = with_user("first");
    let links = links(&as_mutt(&node, &secrets(&["first", "second"])));
    let link = linked(&links).await;
    let id = text(&say(&link, &["CLIENT", "ID"]).await.unwrap());
    node.command(&["ACL", "SETUSER", "mutt", "resetpass", ">second"]);
    node.command(&["ACL", "SETUSER", "default", "off"]);
    // The login of this connection ends, as RESET does it.
    say(&link, &["RESET"]).await.unwrap();
    let why = say(&link, &["ECHO", "x"]).await.unwrap();
    assert!(matches!(&why, redis::Value::ServerError(e) if e.code() == "NOAUTH"), "{why:?}");
    assert!(link.is_broken());
    let other = until_another(&links, &id).await;
    assert_eq!(text(&say(&other, &["ACL", "WHOAMI"]).await.unwrap()), "mutt");
    assert!(matches!(say(&link, &["PING"]).await, Err(LinkError::Away(_))));
}

//! Cluster: each shard goes to the node that owns its slot, also after the slot moved.

use mutt_store::redis::link::{LinkError, hash_tag};
use redis::Value;

use super::net::{Node, free_port};
use super::{linked_to, links, options, say, text, until};

/// A node of a Cluster that knows no other yet.
fn node(settings: &[&str]) -> Node {
    let (port, bus) = (free_port().to_string(), free_port().to_string());
    let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
    Node::start_at(
        port.parse().unwrap(),
        &["--port", &port, "--cluster-port", &bus],
        &[&cluster[..], settings].concat(),
        &[],
    )
}

/// Makes a node known to the others.
fn meet(known: &Node, node: &Node) {
    let bus = node.command(&["CONFIG", "GET", "cluster-port"]);
    let (port, bus) = (node.port.to_string(), bus.lines().last().unwrap().to_owned());
    assert_eq!(known.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]), "OK");
}

/// A further node that is a replica of the one with this port and follows it; all know of it.
pub(crate) async fn replica_of(nodes: &[Node], port: u16, settings: &[&str]) -> Node {
    let master = nodes.iter().find(|node| node.port == port).unwrap();
    let node = node(settings);
    meet(master, &node);
    let id = master.command(&["CLUSTER", "MYID"]);
    node.tells(&["CLUSTER", "NODES"], &id).await;
    until("it may follow", async || node.command(&["CLUSTER", "REPLICATE", &id]) == "OK").await;
    let follows = format!("port={},state=online", node.port);
    master.tells(&["INFO", "replication"], &follows).await;
    let own = node.command(&["CLUSTER", "MYID"]);
    for other in nodes {
        until("all know of it", async || {
            let known = other.command(&["CLUSTER", "NODES"]);
            known
                .lines()
                .any(|line| line.starts_with(&own) && line.contains(&format!("slave {id}")))
        })
        .await;
    }
    node
}

/// Three nodes with these settings that share the slots.
pub(crate) async fn nodes(settings: &[&str]) -> Vec<Node> {
    let nodes: Vec<_> = (0..3).map(|_| node(settings)).collect();
    let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
    for (node, (first, last)) in nodes.iter().zip(ranges) {
        assert_eq!(node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]), "OK");
        meet(&nodes[0], node);
    }
    for node in &nodes {
        node.tells(&["CLUSTER", "INFO"], "cluster_state:ok").await;
        node.tells(&["CLUSTER", "INFO"], "cluster_known_nodes:3").await;
    }
    nodes
}

/// The port of the node that the server says owns the slot of this key.
pub(crate) fn owner(nodes: &[Node], key: &str) -> u16 {
    let slot: u16 = nodes[0].command(&["CLUSTER", "KEYSLOT", key]).parse().unwrap();
    nodes[usize::from(slot > 5460) + usize::from(slot > 10922)].port
}

#[tokio::test]
async fn shards_go_to_the_owners_of_their_slots_and_follow_them() {
    let mut nodes = nodes(&[]).await;
    let links = links(&options(&format!(
        "redis+cluster://127.0.0.1:{},127.0.0.1:{}",
        nodes[0].port, nodes[1].port
    )));
    let mut owners = Vec::new();
    for shard in 0..8 {
        let link = linked_to(&links, shard).await;
        let key = format!("{}:stream", hash_tag("mutt", shard));
        let port = owner(&nodes, &key);
        assert_eq!(link.address().to_string(), format!("127.0.0.1:{port}"), "shard {shard}");
        assert_eq!(text(&say(&link, &["SET", &key, "1"]).await.unwrap()), "OK");
        owners.push(port);
    }
    assert!(owners.iter().any(|port| *port != owners[0]), "the shards all fall to one node");

    // The slot of the first shard moves: what its node says now leads to the other one.
    let key = format!("{}:new", hash_tag("mutt", 0));
    let slot = nodes[0].command(&["CLUSTER", "KEYSLOT", &key]);
    let from = owner(&nodes, &key);
    let to = nodes.iter().find(|node| node.port != from).unwrap();
    let (id, to_port) = (to.command(&["CLUSTER", "MYID"]), to.port);
    let source = nodes.iter().find(|node| node.port == from).unwrap();
    source.command(&["DEL", &format!("{}:stream", hash_tag("mutt", 0))]);
    assert_eq!(to.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]), "OK");
    for node in &nodes {
        assert_eq!(node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]), "OK");
    }
    let link = linked_to(&links, 0).await;
    assert_eq!(link.address().to_string(), format!("127.0.0.1:{from}"), "not yet known");
    let moved = say(&link, &["SET", &key, "2"]).await.unwrap();
    assert!(matches!(&moved, Value::ServerError(e) if e.code() == "MOVED"), "{moved:?}");
    let link = linked_to(&links, 0).await;
    assert_eq!(link.address().to_string(), format!("127.0.0.1:{to_port}"));
    assert_eq!(text(&say(&link, &["SET", &key, "2"]).await.unwrap()), "OK");

    // A node that is gone takes only its own shards with it.
    let lost = (1..8).find(|shard| ![from, to_port].contains(&owners[usize::from(*shard)]));
    let shard = lost.expect("the shards fall to three nodes");
    let gone = nodes.iter_mut().find(|node| node.port == owners[usize::from(shard)]).unwrap();
    gone.kill();
    let link = linked_to(&links, 0).await;
    assert_eq!(text(&say(&link, &["GET", &key]).await.unwrap()), "2");
    until("the shard's node is away", async || match links.writer(shard).await {
        Ok(link) => say(&link, &["PING"]).await.is_err(),
        Err(LinkError::Away(_)) => true,
        Err(other) => panic!("{other}"),
    })
    .await;
}

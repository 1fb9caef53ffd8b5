//! What a Redis Cluster says: which node owns which slots and has which replicas, and which slot a hash
//! tag falls into.

use ::redis::Value;

use super::open::{Login, Opener, refusal};
use super::sentinel::text;
use super::{Address, KnownReplica, LinkError, Purpose};

/// A Redis Cluster has this many slots.
const SLOTS: u16 = 16384;

/// A node that owns slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) address: Address,
    /// By which the others name it.
    pub(super) id: String,
}

/// The owners of ranges of slots, and every replica with its master's id.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    ranges: Vec<(u16, u16, Owner)>,
    replicas: Vec<(String, KnownReplica)>,
}

impl Slots {
    /// The node that owns the slot of this hash tag (without braces).
    pub(super) fn owner(&self, tag: &str) -> Option<&Owner> {
        let slot = slot_of(tag);
        let mut ranges = self.ranges.iter();
        ranges.find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(.., owner)| owner)
    }

    /// Every node that owns slots.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Address> {
        self.ranges.iter().map(|(.., owner)| &owner.address)
    }

    /// The replicas of the node with this id, also those that do not follow it now.
    pub(super) fn replicas(&self, id: &str) -> Vec<KnownReplica> {
        let own = self.replicas.iter().filter(|(master, _)| master == id);
        own.map(|(_, replica)| replica.clone()).collect()
    }
}

/// Asks the nodes in turn; the first that knows owners answers for all.
pub(super) async fn ask(
    opener: &Opener,
    login: &Login,
    nodes: &[Address],
) -> Result<Slots, LinkError> {
    let mut silent = Vec::new();
    for node in nodes {
        match ask_one(opener, login, node).await {
            Ok(slots) if slots.ranges.is_empty() => {
                silent.push(format!("{node} knows no slot's owner"))
            }
            Ok(slots) => return Ok(slots),
            Err(LinkError::Refused { code, why }) => return Err(LinkError::Refused { code, why }),
            Err(why) => silent.push(why.to_string()),
        }
    }
    Err(LinkError::Away(format!("no node of the Cluster answers: {}", silent.join("; "))))
}

async fn ask_one(opener: &Opener, login: &Login, node: &Address) -> Result<Slots, LinkError> {
    let link = opener.open(node, login, Purpose::Guide, 0).await?;
    let mut pipeline = ::redis::Pipeline::with_capacity(2);
    pipeline.cmd("CLUSTER").arg("SLOTS");
    pipeline.cmd("CLUSTER").arg("NODES");
    let values = opener.ask_all(&link, &pipeline).await?;
    for value in &values {
        if let Value::ServerError(error) = value {
            return Err(refusal(&link, login, error));
        }
    }
    let [slots, nodes] = values.as_slice() else { return Ok(Slots::default()) };
    Ok(Slots { ranges: ranges(slots, node), replicas: replicas(&text(nodes)) })
}

/// Reads the replicas out of `id ip:port@bus,name flags master ping pong epoch link slots ...` lines.
fn replicas(nodes: &str) -> Vec<(String, KnownReplica)> {
    let replica = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (address, flags, master) = (words.next()?, words.next()?, words.next()?);
        let flags: Vec<String> = flags.split(',').map(ToOwned::to_owned).collect();
        let has = |flag: &str| flags.iter().any(|own| own == flag);
        if !has("slave") || has("noaddr") {
            return None;
        }
        let replica = KnownReplica {
            address: address.split('@').next()?.to_owned(),
            priority: if has("nofailover") { 0 } else { 100 },
            master_link_up: words.nth(3)? == "connected",
            flags,
        };
        Some((master.to_owned(), replica))
    };
    nodes.lines().filter_map(replica).collect()
}

/// Reads `[[first, last, [host, port, ...], replicas ...] ...]`; a node that does not know its own host
/// is the one that was asked.
fn ranges(value: &Value, asked: &Address) -> Vec<(u16, u16, Owner)> {
    let Value::Array(ranges) = value else { return Vec::new() };
    let range = |range: &Value| -> Option<(u16, u16, Owner)> {
        let Value::Array(parts) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice()
        else {
            return None;
        };
        let [host, Value::Int(port), id, ..] = master.as_slice() else { return None };
        let mut host = text(host);
        if let (true, Address::Tcp { host: own, .. }) = (host.is_empty() || host == "?", asked) {
            host.clone_from(own);
        }
        let address = Address::Tcp { host, port: u16::try_from(*port).ok()? };
        let owner = Owner { address, id: text(id) };
        Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, owner))
    };
    ranges.iter().filter_map(range).collect()
}

/// The slot of a hash tag: CRC-16 (XMODEM) of it.
pub(super) fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_server() {
        // What CLUSTER KEYSLOT answers.
        let check = |tag: &str, slot: u16| assert_eq!(slot_of(tag), slot, "{tag}");
        check("123456789", 12739);
        check("foo", 12182);
        check("", 0);
    }

    #[test]
    fn a_node_without_a_host_is_the_one_that_was_asked() {
        let asked = Address::Tcp { host: "n1".into(), port: 7001 };
        let id = |id: &str| Value::BulkString(id.into());
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), id("n1")]);
        let range =
            |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let ranges = ranges(
            &Value::Array(vec![
                range(0, 8191, node(Value::Nil, 7001)),
                range(8192, 16383, node(Value::BulkString(b"10.0.0.2".to_vec()), 7002)),
                Value::Int(3),
            ]),
            &asked,
        );
        let slots = Slots { ranges, ..Slots::default() };
        assert_eq!(slots.owner("").map(|owner| &owner.address), Some(&asked));
        let owner = slots.owner("foo").unwrap();
        assert_eq!(
            (owner.address.to_string().as_str(), owner.id.as_str()),
            ("10.0.0.2:7002", "n1")
        );
    }

    #[test]
    fn replicas_are_known_also_while_they_do_not_follow() {
        let slots = Slots {
            replicas: replicas(
                "a1 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-5460\n\
                 b1 127.0.0.1:7002@17002,name slave a1 0 0 1 connected\n\
                 b2 127.0.0.1:7003@17003 slave,fail a1 0 0 1 disconnected\n\
                 b3 127.0.0.1:7004@17004 slave,nofailover a1 0 0 1 connected\n\
                 b4 :0@0 slave,noaddr a1 0 0 1 disconnected\n\
                 b5 127.0.0.1:7005@17005 slave a2 0 0 1 connected\n",
            ),
            ..Slots::default()
        };
        let known = slots.replicas("a1");
        let seen: Vec<_> =
            known.iter().map(|r| (r.address.as_str(), r.priority, r.master_link_up)).collect();
        assert_eq!(
            seen,
            [
                ("127.0.0.1:7002", 100, true),
                ("127.0.0.1:7003", 100, false),
                ("127.0.0.1:7004", 0, true),
            ]
        );
    }
}

//! What a Redis Cluster says: which node owns which slots, and which slot a hash tag falls into.

use ::redis::Value;

use super::open::{Login, Opener, refusal};
use super::sentinel::text;
use super::{Address, LinkError, Purpose};

/// A Redis Cluster has this many slots.
const SLOTS: u16 = 16384;

/// The owners of ranges of slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Vec<(u16, u16, Address)>);

impl Slots {
    /// The node that owns the slot of this hash tag (without braces).
    pub(super) fn owner(&self, tag: &str) -> Option<&Address> {
        let slot = slot_of(tag);
        self.0.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(.., a)| a)
    }

    /// Every node that owns slots.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Address> {
        self.0.iter().map(|(.., address)| address)
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
            Ok(slots) if slots.0.is_empty() => silent.push(format!("{node} knows no slot's owner")),
            Ok(slots) => return Ok(slots),
            Err(LinkError::Refused { code, why }) => return Err(LinkError::Refused { code, why }),
            Err(why) => silent.push(why.to_string()),
        }
    }
    Err(LinkError::Away(format!("no node of the Cluster answers: {}", silent.join("; "))))
}

async fn ask_one(opener: &Opener, login: &Login, node: &Address) -> Result<Slots, LinkError> {
    let link = opener.open(node, login, Purpose::Guide, 0).await?;
    let mut slots = ::redis::cmd("CLUSTER");
    slots.arg("SLOTS");
    match opener.ask(&link, slots).await? {
        Value::ServerError(error) => Err(refusal(&link, login, &error)),
        value => Ok(read(&value, node)),
    }
}

/// Reads `[[first, last, [host, port, ...], replicas ...] ...]`; a node that does not know its own host
/// is the one that was asked.
fn read(value: &Value, asked: &Address) -> Slots {
    let Value::Array(ranges) = value else { return Slots::default() };
    let range = |range: &Value| -> Option<(u16, u16, Address)> {
        let Value::Array(parts) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice()
        else {
            return None;
        };
        let [host, Value::Int(port), ..] = master.as_slice() else { return None };
        let mut host = text(host);
        if let (true, Address::Tcp { host: own, .. }) = (host.is_empty() || host == "?", asked) {
            host.clone_from(own);
        }
        let address = Address::Tcp { host, port: u16::try_from(*port).ok()? };
        Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, address))
    };
    Slots(ranges.iter().filter_map(range).collect())
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
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port)]);
        let range =
            |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let slots = read(
            &Value::Array(vec![
                range(0, 8191, node(Value::Nil, 7001)),
                range(8192, 16383, node(Value::BulkString(b"10.0.0.2".to_vec()), 7002)),
                Value::Int(3),
            ]),
            &asked,
        );
        assert_eq!(slots.owner(""), Some(&asked));
        assert_eq!(slots.owner("foo").map(ToString::to_string).as_deref(), Some("10.0.0.2:7002"));
    }
}

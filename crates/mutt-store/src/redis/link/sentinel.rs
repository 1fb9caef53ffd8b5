//! What the Sentinels say: who is master, and which replicas may take its place.

use std::collections::HashMap;

use ::redis::Value;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mutt_model::codes;

use super::open::{Login, Opener, refusal};
use super::{Address, KnownReplica, Link, LinkError, Purpose};

/// The answer of one Sentinel.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) master: Address,
    pub(super) replicas: Vec<KnownReplica>,
    /// Grows with each failover: of two answers the one with the higher is the later.
    epoch: u64,
}

/// Open connections to the Sentinels, kept from one question to the next.
pub(super) type Guides = HashMap<Address, Link>;

/// Asks all Sentinels at once and takes the latest configuration that is known to those who answer;
/// does not wait for the others once more than half have answered.
pub(super) async fn ask(
    opener: &Opener,
    login: &Login,
    guides: &mut Guides,
    sentinels: &[Address],
    name: &str,
) -> Result<Answer, LinkError> {
    guides.retain(|_, link| !link.is_broken());
    let mut asked: FuturesUnordered<_> = sentinels
        .iter()
        .map(|address| {
            let held = guides.get(address).cloned();
            async move { ask_one(opener, login, held, address, name).await }
        })
        .collect();
    let (mut best, mut answered) = (None::<Answer>, 0);
    let (mut silent, mut refused) = (Vec::new(), None);
    while let Some(answer) = asked.next().await {
        match answer {
            Ok((link, answer)) => {
                guides.insert(link.address().clone(), link);
                answered += 1;
                if best.as_ref().is_none_or(|best| answer.epoch > best.epoch) {
                    best = Some(answer);
                }
            }
            Err(LinkError::Refused { code, why }) => {
                refused = Some(LinkError::Refused { code, why });
            }
            Err(why) => silent.push(why.to_string()),
        }
        if answered * 2 > sentinels.len() {
            break;
        }
    }
    match (best, refused) {
        (Some(best), _) => Ok(best),
        (None, Some(refused)) => Err(refused),
        (None, None) => Err(LinkError::Away(format!("no Sentinel answers: {}", silent.join("; ")))),
    }
}

async fn ask_one(
    opener: &Opener,
    login: &Login,
    held: Option<Link>,
    address: &Address,
    name: &str,
) -> Result<(Link, Answer), LinkError> {
    let link = match held {
        Some(link) => link,
        None => opener.open(address, login, Purpose::Guide, 0).await?,
    };
    let mut pipeline = ::redis::Pipeline::with_capacity(3);
    // During a failover the first names the promoted replica before the second does.
    pipeline.cmd("SENTINEL").arg("get-master-addr-by-name").arg(name);
    pipeline.cmd("SENTINEL").arg("master").arg(name);
    pipeline.cmd("SENTINEL").arg("replicas").arg(name);
    let values = opener.ask_all(&link, &pipeline).await?;
    if values.first() == Some(&Value::Nil) {
        let why = format!(
            "Sentinel at {address} knows no master `{name}`: the URL must name it as the Sentinels do, see SENTINEL MASTERS"
        );
        return Err(LinkError::Refused { code: codes::REDIS_REFUSED, why });
    }
    for value in &values {
        if let Value::ServerError(error) = value {
            return Err(refusal(&link, login, error));
        }
    }
    let [master, details, replicas] = values.as_slice() else {
        return Err(strange(&link));
    };
    let master = match texts(master).as_slice() {
        [host, port] => parsed(host, port),
        _ => None,
    };
    let master = master.ok_or_else(|| strange(&link))?;
    let epoch = fields(details).get("config-epoch").and_then(|n| n.parse().ok()).unwrap_or(0);
    let replicas = match replicas {
        Value::Array(list) => list.iter().map(|one| replica(&fields(one))).collect(),
        _ => Vec::new(),
    };
    Ok((link, Answer { master, replicas, epoch }))
}

fn strange(link: &Link) -> LinkError {
    LinkError::Away(format!("{} does not answer as a Sentinel does", link.address()))
}

fn parsed(host: &str, port: &str) -> Option<Address> {
    Some(Address::Tcp { host: host.to_owned(), port: port.parse().ok()? })
}

fn replica(fields: &HashMap<String, String>) -> KnownReplica {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let address = parsed(field("ip"), field("port"));
    KnownReplica {
        address: address.map_or_else(|| field("name").to_owned(), |address| address.to_string()),
        priority: field("slave-priority").parse().unwrap_or(100),
        flags: field("flags").split(',').map(ToOwned::to_owned).collect(),
        master_link_up: field("master-link-status") == "ok",
    }
}

/// The texts of a flat array.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}

fn fields(value: &Value) -> HashMap<String, String> {
    let texts = texts(value);
    let (pairs, _) = texts.as_chunks::<2>();
    pairs.iter().map(|[name, value]| (name.clone(), value.clone())).collect()
}

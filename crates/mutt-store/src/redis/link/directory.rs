//! Which node serves a shard, as far as it is known, and when that must be asked anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::cluster::{self, Slots};
use super::open::{Login, Opener, refusal};
use super::sentinel::{self, Answer, Guides, text};
use super::{Address, Kind, Known, Link, LinkError, hash_tag};
use crate::redis::RedisOptions;

/// Where the nodes are. A doubt makes the next question go to the servers.
#[derive(Debug)]
pub(super) struct Directory {
    options: RedisOptions,
    login: Login,
    sentinel_login: Login,
    doubts: AtomicU64,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// The doubts that there were when it was asked.
    doubts: u64,
    master: Option<Answer>,
    slots: Option<Slots>,
    guides: Guides,
}

impl Directory {
    pub(super) fn new(options: &RedisOptions) -> Self {
        let user = options.user.as_deref().or(options.url.user()).map(ToOwned::to_owned);
        let login = Login {
            user,
            passwords: options.passwords.clone(),
            db: options.url.db(),
            peer: "Redis",
            key: "queue.password",
        };
        let sentinel_login = Login {
            user: options.sentinel_user.clone(),
            passwords: options.sentinel_passwords.clone().unwrap_or_default(),
            db: 0,
            peer: "Sentinel",
            key: "queue.sentinel.password",
        };
        Self {
            options: options.clone(),
            login,
            sentinel_login,
            doubts: AtomicU64::new(1),
            found: Mutex::default(),
        }
    }

    /// How links to data nodes log in.
    pub(super) fn login(&self) -> &Login {
        &self.login
    }

    pub(super) fn kind(&self) -> Kind {
        self.options.url.kind()
    }

    /// Lets the next question go to the servers.
    pub(super) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
    }

    /// The node of this shard, and what is known around it.
    pub(super) async fn locate(&self, opener: &Opener, shard: u16) -> Result<Known, LinkError> {
        let servers = self.options.url.servers();
        let known =
            |node: &Address| Known { kind: self.kind(), node: node.clone(), replicas: Vec::new() };
        match self.kind() {
            Kind::Standalone => match servers {
                [server, ..] => Ok(known(server)),
                [] => Err(LinkError::Away("the URL names no server".into())),
            },
            Kind::Sentinel => {
                let answer = self.master(opener).await?;
                Ok(Known { replicas: answer.replicas, ..known(&answer.master) })
            }
            Kind::Cluster => {
                let tag = hash_tag(&self.options.prefix, shard);
                let tag = tag.trim_matches(['{', '}']);
                let mut found = self.found.lock().await;
                let doubts = self.doubts.load(Ordering::Acquire);
                let slots = match &found.slots {
                    Some(slots) if found.doubts == doubts => slots,
                    earlier => {
                        let mut nodes = servers.to_vec();
                        if let Some(earlier) = earlier {
                            nodes.extend(earlier.nodes().cloned());
                        }
                        // Another one each time, so that one that is away or behind is not asked for ever.
                        let turn = usize::try_from(doubts).unwrap_or(0) % nodes.len();
                        nodes.rotate_left(turn);
                        let slots = cluster::ask(opener, &self.login, &nodes).await?;
                        found.doubts = doubts;
                        found.slots.insert(slots)
                    }
                };
                let Some(owner) = slots.owner(tag) else {
                    let why = format!("the Cluster has no node for the slot of {{{tag}}}");
                    return Err(LinkError::Away(why));
                };
                Ok(Known { replicas: slots.replicas(&owner.id), ..known(&owner.address) })
            }
        }
    }

    async fn master(&self, opener: &Opener) -> Result<Answer, LinkError> {
        let mut found = self.found.lock().await;
        let doubts = self.doubts.load(Ordering::Acquire);
        if let Some(answer) = &found.master
            && found.doubts == doubts
        {
            return Ok(answer.clone());
        }
        let url = &self.options.url;
        let login = self.login_of_sentinels();
        let name = url.master().unwrap_or_default();
        let answer = sentinel::ask(opener, &login, &mut found.guides, url.servers(), name).await?;
        found.doubts = doubts;
        Ok(found.master.insert(answer).clone())
    }

    /// Sentinels without passwords of their own are given those of Redis, with Redis' own user: few
    /// sites keep two sets.
    fn login_of_sentinels(&self) -> Login {
        // A password that is named and was not read yet is waited for: no other takes its place.
        let named = self.options.sentinel_passwords.is_some() || self.sentinel_login.user.is_some();
        let redis = &self.login.passwords;
        if !named && (redis.is_awaited() || !redis.get().is_empty()) {
            let Login { user, passwords, key, .. } = self.login.clone();
            return Login { user, passwords, key, ..self.sentinel_login.clone() };
        }
        self.sentinel_login.clone()
    }

    /// Whether the node that the Sentinels named sees itself as master.
    pub(super) async fn verify(&self, opener: &Opener, link: &Link) -> Result<(), LinkError> {
        if self.kind() != Kind::Sentinel {
            return Ok(());
        }
        match opener.ask(link, ::redis::cmd("ROLE")).await? {
            ::redis::Value::ServerError(error) => Err(refusal(link, &self.login, &error)),
            ::redis::Value::Array(role) => match role.first().map(text).as_deref() {
                Some("master") => Ok(()),
                role => Err(LinkError::Away(format!(
                    "{} is {} and not yet master: a failover is under way",
                    link.address(),
                    role.unwrap_or("nothing")
                ))),
            },
            _ => Err(LinkError::Away(format!("{} does not tell its role", link.address()))),
        }
    }

    /// How often the topology is asked for while a link is in use: Sentinels, so that a master that was
    /// replaced behind a partition is left, although it answers; a Cluster, whose nodes tell that
    /// themselves, less often, for its replicas.
    pub(super) fn look_every(&self) -> Duration {
        match self.kind() {
            Kind::Cluster => Duration::from_secs(10),
            Kind::Sentinel | Kind::Standalone => Duration::from_secs(1),
        }
    }
}

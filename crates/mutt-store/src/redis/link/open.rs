//! Making a connection: socket, TLS, login, database; every refusal in words that can be acted on.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, RedisConnectionInfo, ServerError, Value};
use mutt_model::{Clock, LiveSecrets, Secret, codes};

use super::{Address, Broken, Inner, Link, LinkError, Purpose, said, stream};
use crate::redis::RedisTls;

/// Who logs in, and where to.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) passwords: LiveSecrets,
    pub(super) db: u32,
    /// `Redis` or `Sentinel`, for messages.
    pub(super) peer: &'static str,
    /// The configuration key of the password, for messages.
    pub(super) key: &'static str,
}

/// Makes connections.
#[derive(Debug)]
pub(super) struct Opener {
    pub(super) tls: Option<RedisTls>,
    pub(super) clock: Clock,
    /// The longest that one step may take.
    pub(super) timeout: Duration,
}

impl Opener {
    /// A link that is logged in and answers.
    pub(super) async fn open(
        &self,
        address: &Address,
        login: &Login,
        purpose: Purpose,
        shard: u16,
    ) -> Result<Link, LinkError> {
        let peer = login.peer;
        if login.passwords.is_awaited() {
            // As another user, or with no password, it would be a failed login at the server, or worse a
            // connection with other rights.
            return Err(LinkError::Away(format!(
                "`{}` was not read yet: {peer} at {address} is not asked without it",
                login.key
            )));
        }
        let away = |why: String| {
            LinkError::Away(format!(
                "cannot reach {peer} at {address}: {}",
                crate::handshake::words(&why)
            ))
        };
        let stream =
            stream::connect(address, self.tls.as_ref(), self.timeout).await.map_err(away)?;
        let heard = stream.heard();
        // No reply is awaited here: RESP2 is spoken without a greeting.
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|why| away(why.to_string()))?;
        let broken = Arc::new(OnceLock::new());
        let (ended, clock, node) = (Arc::clone(&broken), self.clock.clone(), address.clone());
        let last_words = Arc::clone(&heard);
        let driver = background(async move {
            driver.await;
            let why = last_words.get().map_or("it closed the connection", String::as_str);
            let _ = ended.set(Broken { at: clock.wall(), why: format!("{node}: {why}") });
        });
        let link = Link(Arc::new(Inner {
            connection,
            driver,
            address: address.clone(),
            purpose,
            shard,
            clock: self.clock.clone(),
            opened: self.clock.monotonic(),
            password: Mutex::new(None),
            broken,
            heard,
            doubted: false.into(),
        }));
        let taken = self.log_in(&link, login).await?;
        link.set_password(taken);
        self.greet(&link, login).await?;
        Ok(link)
    }

    /// Tries the passwords in order; gives the one that was taken.
    pub(super) async fn log_in(
        &self,
        link: &Link,
        login: &Login,
    ) -> Result<Option<Secret>, LinkError> {
        let mut passwords = login.passwords.get().to_vec();
        if passwords.is_empty() && login.user.is_some() {
            // A user without a password is logged in by any.
            passwords.push(Secret::default());
        }
        if passwords.is_empty() {
            return Ok(None);
        }
        let mut last = String::new();
        for password in &passwords {
            let mut auth = ::redis::cmd("AUTH");
            if let Some(user) = &login.user {
                auth.arg(user);
            }
            auth.arg(password.expose());
            match self.ask(link, auth).await? {
                Value::ServerError(error) if no_password_wanted(&error) => return Ok(None),
                Value::ServerError(error) if matches!(error.code(), "WRONGPASS" | "NOAUTH") => {
                    last = said(&error);
                }
                Value::ServerError(error) => return Err(refusal(link, login, &error)),
                _ => return Ok(Some(password.clone())),
            }
        }
        let user = login.user.as_deref().unwrap_or("default");
        let each = if passwords.len() == 1 { "the password" } else { "each of the passwords" };
        Err(LinkError::Refused {
            code: codes::REDIS_REFUSED,
            why: format!(
                "{} at {} refuses the user `{user}` with {each} of `{}` ({last}); look with: ACL GETUSER {user}; give it the password with: ACL SETUSER {user} on '>PASSWORD'",
                login.peer,
                link.address(),
                login.key
            ),
        })
    }

    /// Chooses the database and hears whether the server serves.
    async fn greet(&self, link: &Link, login: &Login) -> Result<(), LinkError> {
        if login.db != 0 {
            let mut select = ::redis::cmd("SELECT");
            select.arg(login.db);
            if let Value::ServerError(error) = self.ask(link, select).await? {
                return Err(refusal(link, login, &error));
            }
        }
        match self.ask(link, ::redis::cmd("PING")).await? {
            Value::ServerError(error) => Err(refusal(link, login, &error)),
            _ => Ok(()),
        }
    }

    /// One command while the connection is made: nothing of a caller can be lost with it.
    pub(super) async fn ask(&self, link: &Link, cmd: ::redis::Cmd) -> Result<Value, LinkError> {
        let mut pipeline = ::redis::Pipeline::with_capacity(1);
        pipeline.add_command(cmd);
        let mut values = self.ask_all(link, &pipeline).await?;
        Ok(values.pop().unwrap_or(Value::Nil))
    }

    /// As [`Opener::ask`], several.
    pub(super) async fn ask_all(
        &self,
        link: &Link,
        pipeline: &::redis::Pipeline,
    ) -> Result<Vec<Value>, LinkError> {
        link.run(pipeline, self.timeout).await.map_err(|why| match why {
            LinkError::Lost(why) => LinkError::Away(why),
            other => other,
        })
    }
}

/// Runs the driver of a connection, an attempt or a look at the topology beside the callers, so that a
/// caller that goes away interrupts none of them. Each ends by itself: the driver with its link, the
/// others by their deadlines.
#[allow(
    clippy::disallowed_methods,
    reason = "the engine owns the tasks of its connections; they hold nothing that a shutdown must order"
)]
pub(super) fn background(
    task: impl Future<Output = ()> + Send + 'static,
) -> tokio::task::AbortHandle {
    tokio::spawn(task).abort_handle()
}

fn no_password_wanted(error: &ServerError) -> bool {
    error.details().is_some_and(|words| {
        words.contains("without any password configured") || words.contains("no password is set")
    })
}

/// What a refusal while the connection is made means.
pub(super) fn refusal(link: &Link, login: &Login, error: &ServerError) -> LinkError {
    let (peer, address, words) = (login.peer, link.address(), said(error));
    let user = login.user.as_deref().unwrap_or("default");
    let mend = match error.code() {
        "NOAUTH" => format!("it asks for a password: set `{}`", login.key),
        "NOPERM" => format!("permit it with: ACL SETUSER {user} +ping +select +role +cluster"),
        "DENIED" => "give it a password or bind it to an address that is yours alone".to_owned(),
        "ERR" if words.contains("DB index") => {
            format!("its `databases` setting does not reach to {}", login.db)
        }
        "ERR" if words.contains("cluster support disabled") => {
            "it is no node of a Cluster: write redis:// or redis+sentinel://".to_owned()
        }
        // LOADING, MASTERDOWN, too many clients: it passes.
        _ => return LinkError::Away(format!("{peer} at {address} does not serve: {words}")),
    };
    LinkError::Refused {
        code: codes::REDIS_REFUSED,
        why: format!("{peer} at {address} refuses the connection ({words}); {mend}"),
    }
}

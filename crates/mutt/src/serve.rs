//! `muttctl serve`: the composition root. Everything is bound and opened before anything runs; then
//! the supervisor runs the stages until it is told to end.

pub mod clock_watch;
mod demo;
mod engines;
mod listeners;
mod reload;
mod report;
mod settings;
mod snmp;
mod sources;
mod stages;
mod summary;
mod waiting;
mod watchdog;

use std::sync::Arc;

use mutt_model::codes::{self, Code};
use mutt_model::{Clock, failpoint};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use self::engines::{make_data_dir, open_queue};
use self::watchdog::Watchdog;
use crate::config::{Config, ConfigError, ProcessEnv, Read};
use crate::health::HealthBoard;
use crate::secrets::Keyring;
use crate::services::Service;
use crate::supervise::{Phase, Supervisor};
use crate::telemetry::logs;

/// Worker threads of the runtime at least, so that a blocking commit never stops the listeners.
pub const WORKER_THREADS_MIN: usize = 4;

/// Reads the configuration again, for SIGHUP.
pub type Reload = Box<dyn Fn() -> Result<Read, Vec<ConfigError>> + Send + Sync>;

/// What the command line adds to the configuration.
pub struct ServeOptions {
    /// These services only; empty: all five.
    pub only: Vec<Service>,
    /// Synthetic traffic and a local receiver.
    pub demo: bool,
    /// See [`Reload`].
    pub reload: Option<Reload>,
    /// A fail point, for crash tests.
    pub failpoint: Option<String>,
}

impl std::fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeOptions").field("only", &self.only).finish_non_exhaustive()
    }
}

/// Why MUTT did not start or did not end well.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ServeError {
    /// For `explain`.
    pub code: Code,
    /// What and what to do.
    pub message: String,
}

impl ServeError {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Runs MUTT until SIGTERM, SIGINT or a stage that fails too often.
///
/// # Errors
///
/// When something cannot be bound or opened, or a stage failed too often.
pub fn run(read: Read, options: ServeOptions) -> Result<(), ServeError> {
    let config = &read.config;
    logs::start(&config.log.level, config.log.format);
    if let Some(spec) = &options.failpoint {
        failpoint::arm(spec).map_err(|why| ServeError::new(codes::START_FAILED, why))?;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(WORKER_THREADS_MIN))
        .enable_all()
        .build()
        .map_err(|error| ServeError::new(codes::START_FAILED, error.to_string()))?;
    runtime.block_on(serve(read, options))
}

async fn serve(read: Read, options: ServeOptions) -> Result<(), ServeError> {
    let config = read.config.clone();
    crate::net::tls::install_provider();
    let clock = Clock::System;
    let services =
        if options.only.is_empty() { Service::ALL.to_vec() } else { options.only.clone() };
    let keyring = open_keyring(&config, &services, &clock).await?;
    let bound = listeners::bind(&config, &services, &keyring)?;
    let engines = engines::open(&config, &services, &clock, &keyring).await?;
    let file = summary::Summary::file_of(&services);
    summary::Summary::withdraw(&config.data_dir, &file);
    let mut supervisor = Supervisor::new(clock.clone());
    let board = Arc::new(HealthBoard::new(clock.clone(), engines.watched(), keyring.clone()));
    start_keyring(&mut supervisor, &keyring);
    let built = stages::start(
        &mut supervisor,
        read,
        &services,
        bound,
        &engines,
        &board,
        &clock,
        &options,
        &keyring,
    )
    .await;
    let live = match built {
        Ok(live) => live,
        Err(error) => {
            supervisor.shut_down(config.shutdown_timeout).await;
            engines.close().await;
            return Err(error);
        }
    };
    follow_secrets(&mut supervisor, &live);
    // Before anybody is told that it runs: a signal from then on is heard.
    let signals = Signals::listen()?;
    if let Err(error) = live.summary.publish(&config.data_dir) {
        tracing::warn!(code = %codes::OUTPUT, %error, "listeners.json could not be written: muttctl will not find this program by itself, name it with --url");
    }
    notify_systemd(&[sd_notify::NotifyState::Ready]);
    let watchdog = Watchdog::start(&mut supervisor);
    let failed = wait(signals, &supervisor, &live, &options, &config, watchdog).await;
    notify_systemd(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("ending: listeners first, then what was accepted is made durable");
    summary::Summary::withdraw(&config.data_dir, &file);
    let in_time = supervisor.shut_down(config.shutdown_timeout).await;
    engines.close().await;
    if !in_time {
        tracing::warn!(code = %codes::SHUTDOWN_TIMEOUT, "not everything had ended within shutdown_timeout; the backlog stays");
    }
    if failed {
        return Err(ServeError::new(
            codes::STAGE_RESTARTED,
            "a stage failed too often; see the log",
        ));
    }
    tracing::info!("ended");
    Ok(())
}

/// Reads the secrets of these services. One on this host that these services need must be there; one in Vault is waited
/// for while they run, and so is what a sink needs.
async fn open_keyring(
    config: &Config,
    services: &[Service],
    clock: &Clock,
) -> Result<Keyring, ServeError> {
    let keyring = Keyring::of(services, config, Box::new(ProcessEnv), clock.clone());
    keyring.look_at_vault().await;
    let needed = |key: &str| services.iter().any(|service| service.needs_secret(key));
    let lacking = keyring.unresolved().into_iter().find(|(key, error)| {
        *error.code == codes::CONFIG_SECRET && needed(key) && !key.starts_with("sinks.")
    });
    match lacking {
        Some((key, error)) => Err(ServeError::new(*error.code, format!("{key}: {error}"))),
        None => Ok(keyring),
    }
}

fn start_keyring(supervisor: &mut Supervisor, keyring: &Keyring) {
    let (keyring, stop) = (keyring.clone(), supervisor.stop().serving);
    supervisor.start(Phase::Serving, "secrets", move || {
        let (keyring, stop) = (keyring.clone(), stop.clone());
        Box::pin(async move { keyring.run(stop).await })
    });
}

fn follow_secrets(supervisor: &mut Supervisor, live: &reload::Live) {
    let (keyring, reloaded) = (live.keyring.clone(), Arc::clone(&live.reloaded));
    let (config, stop) = (Arc::clone(&live.config), supervisor.stop().serving);
    supervisor.start(Phase::Serving, "secrets in force", move || {
        Box::pin(reload::follow_secrets(
            keyring.clone(),
            Arc::clone(&reloaded),
            Arc::clone(&config),
            stop.clone(),
        ))
    });
}

/// What the system tells this process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, ServeError> {
        let on =
            |kind| signal(kind).map_err(|e| ServeError::new(codes::START_FAILED, e.to_string()));
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }
}

/// Waits for the end; SIGHUP rereads the configuration meanwhile. `true` when a stage failed too often.
async fn wait(
    mut signals: Signals,
    supervisor: &Supervisor,
    live: &reload::Live,
    options: &ServeOptions,
    running: &Config,
    mut watchdog: Watchdog,
) -> bool {
    let failed = supervisor.failed();
    loop {
        tokio::select! {
            () = watchdog.beat() => {}
            _ = signals.terminate.recv() => return false,
            _ = signals.interrupt.recv() => return false,
            () = failed.cancelled() => return true,
            _ = signals.hangup.recv() => {
                if let Some(reload) = &options.reload {
                    live.reload(reload(), running);
                }
            }
        }
    }
}

fn notify_systemd(state: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and that is no fault.
    let _ = sd_notify::notify(state);
}

//! Logs: words for people on a terminal, one JSON object a line elsewhere; always to standard error.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::LogFormat;

/// Puts another filter in force.
type SetFilter = Box<dyn Fn(EnvFilter) + Send + Sync>;
static SET_FILTER: OnceLock<SetFilter> = OnceLock::new();

/// Another level for the running process; an unknown one changes nothing.
pub fn set_level(level: &str) {
    if let (Some(set), Ok(filter)) = (SET_FILTER.get(), EnvFilter::try_new(level)) {
        set(filter);
    }
}

/// Starts logging once for the process. `level` is `error`, `warn`, `info`, `debug` or a filter as
/// `info,mutt::services=debug`. A second call changes nothing.
pub fn start(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE)
        .with_target(false);
    let _ = if json {
        let builder = builder.json().flatten_event(true).with_current_span(false);
        let builder = builder.with_span_list(false).with_filter_reloading();
        let handle = builder.reload_handle();
        let _ = SET_FILTER.set(Box::new(move |filter| drop(handle.reload(filter))));
        builder.try_init()
    } else {
        let builder = builder.with_ansi(terminal).with_filter_reloading();
        let handle = builder.reload_handle();
        let _ = SET_FILTER.set(Box::new(move |filter| drop(handle.reload(filter))));
        builder.try_init()
    };
}

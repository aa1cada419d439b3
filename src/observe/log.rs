//! The log: text for people, JSON for machines, always on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

impl From<crate::config::LogFormat> for Format {
    fn from(format: crate::config::LogFormat) -> Self {
        match format {
            crate::config::LogFormat::Auto => Self::Auto,
            crate::config::LogFormat::Text => Self::Text,
            crate::config::LogFormat::Json => Self::Json,
        }
    }
}

/// Starts logging. `filter` is in the form of `tracing`'s filters, e.g. `info`. A second call changes nothing.
pub fn init_log(format: Format, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("log level '{filter}': {error}"))?;
    let json = match format {
        Format::Auto => !std::io::stderr().is_terminal(),
        Format::Text => false,
        Format::Json => true,
    };
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // An error means that logging is on already.
    let _ = if json { log.json().flatten_event(true).try_init() } else { log.try_init() };
    Ok(())
}

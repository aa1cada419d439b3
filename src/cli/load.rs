//! Reading the configuration, as every verb but the demos does.

use std::path::Path;

use super::error::CliError;
use crate::config::{Config, Environment};

/// Reads the configuration for a verb that needs it; warnings go to standard error.
pub fn load(path: &Path) -> Result<Config, CliError> {
    let (config, warnings) = Config::load(path, &Environment::process()).map_err(CliError::usage)?;
    for warning in warnings {
        eprintln!("rollcall: warning: {warning}");
    }
    Ok(config)
}

//! What a verb ends with when it does not succeed: one sentence, what to do, an exit code.

use std::fmt;
use std::process::ExitCode;

use crate::app::AppError;
use crate::store::StoreError;

/// The verb was understood and failed.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// A sync waits for somebody to approve it.
pub const HELD: u8 = 3;

#[derive(Debug)]
pub struct CliError {
    message: String,
    code: u8,
}

impl CliError {
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: FAILED }
    }

    pub fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: USAGE }
    }

    /// With what to do about it.
    pub fn of_store(error: &StoreError) -> Self {
        let way_out = error.way_out().map(|way_out| format!("; {way_out}")).unwrap_or_default();
        Self::failed(format!("{error}{way_out}"))
    }

    /// An appliance that does not open.
    pub fn of_app(error: &AppError) -> Self {
        match error {
            AppError::Store(error) => Self::of_store(error),
            other => Self::failed(other),
        }
    }

    /// Nobody reads the output any more: not a fault, and nothing to say.
    pub fn unheard() -> Self {
        Self { message: String::new(), code: 0 }
    }

    pub fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

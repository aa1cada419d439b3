//! From arguments to an exit code.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use super::args::{Cli, KeyVerb, RunsVerb, TombstonesVerb, Verb};
use super::client::Client;
use super::error::CliError;
use super::load::load;
use super::{
    audit, check, decide, demo, dump, erase, explain, key, mapping, pause, presets, preview, rebuild, review, runs,
    serve, status, sync, token, writeback,
};
use crate::config::Config;
use crate::observe::init_log;
use crate::sync::Stopping;

/// Runs the program.
pub fn main() -> ExitCode {
    tell_of_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with code 0, faults to standard error with code 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(super::error::USAGE));
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("rollcall: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(cli));
    // A blocking thread that is still busy (a second signal came) must not hold the exit.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| {
        if !error.is_silent() {
            eprintln!("rollcall: {error}");
        }
        error.exit_code()
    })
}

/// Says where the program panicked, on one line. What it panicked over may be somebody's data, so only a message that is
/// written in the program itself is told.
fn tell_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload().downcast_ref::<&str>().unwrap_or(&"(a message that may hold data is not shown)");
        eprintln!("rollcall: panicked at {place}: {message}");
    }));
}

async fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let Cli { config: path, json, log_level, verb } = cli;
    let log = log_level.as_deref();
    match verb {
        Verb::Serve => serve::serve(load(&path)?, log).await,
        Verb::Demo(args) => demo::demo(&args).await,
        Verb::DemoSource(args) => demo::source(&args).await,
        Verb::Check { file } => check::check(&file.unwrap_or(path), json),
        Verb::Presets { name } => presets::presets(name.as_deref(), json),
        Verb::Healthcheck { url } => status::healthcheck(&path, url).await,
        Verb::Preview(args) => {
            let config = load(&path)?;
            begin_log(&config, log)?;
            preview::preview(config, &args, json).await
        }
        Verb::Sync(args) => {
            let stopping = Stopping::default();
            // Before the store is opened: that may have to go on with an interrupted commit first.
            let stop = serve::signals(&stopping)?;
            let client = client_until(&path, log, &stopping).await?;
            if stopping.is_said() {
                return Err(CliError::failed(format!("{}: stopped before the sync began", stop.await)));
            }
            sync::sync(&client, stop, &args, json).await
        }
        Verb::Status => status::status(&client(&path, log).await?, json).await,
        Verb::Runs { verb } => {
            let verb = verb.unwrap_or(RunsVerb::List { event: None, limit: 20 });
            runs::runs(&client(&path, log).await?, verb, json).await
        }
        Verb::Approve { run } => decide::approve(&client(&path, log).await?, run, json).await,
        Verb::Undo(args) => decide::undo(&client(&path, log).await?, &args, json).await,
        Verb::Reject { run } => decide::reject(&client(&path, log).await?, run, json).await,
        Verb::Pause { event } => pause::pause(&client(&path, log).await?, &event, json).await,
        Verb::Resume { event } => pause::resume(&client(&path, log).await?, &event, json).await,
        Verb::Rebuild(args) => {
            let config = load(&path)?;
            begin_log(&config, log)?;
            rebuild::rebuild(config, &args, json).await
        }
        Verb::Explain(args) => explain::explain(&client(&path, log).await?, &args, json).await,
        Verb::Review { event } => review::review(&client(&path, log).await?, &event, json).await,
        Verb::Dump(args) => dump::dump(&client(&path, log).await?, &args, json).await,
        Verb::Erase(args) => {
            erase::confirm(&args)?;
            erase::erase(&client(&path, log).await?, &args, json).await
        }
        Verb::Export { user } => erase::export(&client(&path, log).await?, &user).await,
        Verb::Erasures { limit } => erase::erasures(&client(&path, log).await?, limit, json).await,
        Verb::Tombstones { verb } => {
            let verb = verb.unwrap_or(TombstonesVerb::List);
            erase::tombstones(&client(&path, log).await?, verb, json).await
        }
        Verb::Compact => erase::compact(&client(&path, log).await?, json).await,
        Verb::Writeback(args) => writeback::writeback(&client(&path, log).await?, &args, json).await,
        Verb::Mapping { verb } => mapping::mapping(&client(&path, log).await?, &verb, json).await,
        Verb::Key { verb: KeyVerb::Rotate } => key::rotate(&client(&path, log).await?, json).await,
        Verb::Audit(args) => audit::audit(&client(&path, log).await?, &args, json).await,
        Verb::Token { verb } => token::token(&client(&path, log).await?, verb, json).await,
    }
}

async fn client(path: &Path, log: Option<&str>) -> Result<Client, CliError> {
    client_until(path, log, &Stopping::default()).await
}

async fn client_until(path: &Path, log: Option<&str>, stopping: &Stopping) -> Result<Client, CliError> {
    let config = load(path)?;
    begin_log(&config, log)?;
    Client::connect(config, stopping).await
}

/// What goes wrong is a verb's own answer; unasked, the log would say it twice.
fn begin_log(config: &Config, log: Option<&str>) -> Result<(), CliError> {
    init_log(config.log.format.into(), log.unwrap_or("off")).map_err(CliError::usage)
}

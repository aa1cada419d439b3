//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::http::Scope;

/// Keeps an event's attendees in step with the registration system they come from.
///
/// Exit codes: 0 done, 1 failed or cut short by a signal, 2 wrong usage or configuration, 3 held for approval. A server
/// that a signal ends is done.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, global = true, env = "ROLLCALL_CONFIG", value_name = "FILE", default_value = "rollcall.toml")]
    pub config: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to log on standard error, as in `log.level`. A server logs what its configuration says, other verbs nothing.
    #[arg(long, global = true, env = "ROLLCALL_LOG", value_name = "LEVELS")]
    pub log_level: Option<String>,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the server until it is told to stop.
    Serve,
    /// Show the main job on a bundled fake registration system; needs nothing.
    Demo(DemoArgs),
    /// Run only the bundled fake registration system.
    DemoSource(DemoSourceArgs),
    /// Check a configuration file: report every fault in it, and what presets fill in.
    Check {
        /// The file, instead of --config.
        file: Option<PathBuf>,
    },
    /// List the registration systems that are known, or show one preset.
    Presets {
        /// The preset to show, as TOML.
        name: Option<String>,
    },
    /// Show the first page of a source and what it would change, under the settings of --config, whether or not a running
    /// server has them.
    Preview(PreviewArgs),
    /// Sync an event now and wait for the end.
    Sync(SyncArgs),
    /// Show events, attendees and last runs.
    Status,
    /// Show past and present runs.
    Runs {
        #[command(subcommand)]
        verb: Option<RunsVerb>,
    },
    /// Commit what a held run planned.
    Approve { run: u64 },
    /// Discard what a held run planned.
    Reject { run: u64 },
    /// Take back what a run did; people changed since stay as they are and are named.
    Undo(UndoArgs),
    /// Sync nothing of an event by itself, neither by its schedule nor by hooks; syncs by hand go on.
    Pause { event: String },
    /// Let an event be synced by itself again.
    Resume { event: String },
    /// Tell why somebody is, or is not, in an event.
    Explain(ExplainArgs),
    /// Show what of an event a person should look at: unusable records, shared ids and emails.
    Review { event: String },
    /// Print everything that the community is, as lines of JSON, or compare it with such a file.
    Dump(DumpArgs),
    /// Show who did what by hand.
    Audit(AuditArgs),
    /// Make, list and revoke API tokens.
    Token {
        #[command(subcommand)]
        verb: TokenVerb,
    },
    /// Erase a person for good, from everything that is kept.
    Erase(EraseArgs),
    /// Print everything that is stored about a person, as JSON.
    Export {
        /// The user's id.
        user: String,
    },
    /// Show who was erased, and what of it is still to be done.
    Erasures {
        /// How many, the newest first.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show and lift what keeps erased people out.
    Tombstones {
        #[command(subcommand)]
        verb: Option<TombstonesVerb>,
    },
    /// Rewrite the store's files without what was deleted from them.
    Compact,
    /// Change the key by which people's tokens are sealed.
    Key {
        #[command(subcommand)]
        verb: KeyVerb,
    },
    /// Show how far login links and event passwords went back to the sources, or send now what is due.
    Writeback(WritebackArgs),
    /// Show how an event maps a source, and take it from one event to another as a file.
    Mapping {
        #[command(subcommand)]
        verb: MappingVerb,
    },
    /// Make a damaged store new: keep what can be read, fetch the rest from the sources.
    Rebuild(RebuildArgs),
    /// Ask a server whether it is ready: exit code 0 or 1.
    Healthcheck {
        /// The server's address; by default that of the server on the configured data directory.
        #[arg(long)]
        url: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to listen; another port is taken if this one is in use.
    #[arg(long, default_value = "127.0.0.1:7070")]
    pub listen: SocketAddr,
    /// How many people.
    #[arg(long, default_value_t = 1_000)]
    pub count: u32,
}

#[derive(Debug, Args)]
pub struct DemoSourceArgs {
    /// How many records.
    #[arg(long, default_value_t = 1_000)]
    pub count: u32,
    /// Records a page, where the request does not say.
    #[arg(long, default_value_t = 100)]
    pub per_page: u32,
    /// Per cent of the records that change before each read but the first.
    #[arg(long, default_value_t = 0.0)]
    pub churn: f64,
    /// Other seeds make other people.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Without the few bad records.
    #[arg(long)]
    pub clean: bool,
    /// Milliseconds before each answer.
    #[arg(long, default_value_t = 0)]
    pub latency_ms: u64,
    #[arg(long, default_value = "127.0.0.1:7071")]
    pub listen: SocketAddr,
}

#[derive(Debug, Args)]
pub struct PreviewArgs {
    pub event: String,
    /// One of the event's sources; needed if there are several.
    #[arg(long)]
    pub source: Option<String>,
    /// Only this record, raw and mapped side by side.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub record: Option<u64>,
}

#[derive(Debug, Args)]
pub struct SyncArgs {
    pub event: String,
    /// One of the event's sources, instead of all.
    #[arg(long)]
    pub source: Option<String>,
    /// Plan and show the changes, commit nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Map every record anew, also the unchanged ones.
    #[arg(long)]
    pub full: bool,
}

#[derive(Debug, Args)]
pub struct UndoArgs {
    pub run: u64,
    /// Show what would be done, change nobody.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    pub event: String,
    #[command(flatten)]
    pub whom: Whom,
    /// One of the event's sources, instead of all.
    #[arg(long)]
    pub source: Option<String>,
    /// Look into the source itself, too.
    #[arg(long)]
    pub fetch: bool,
}

/// Who is meant: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Whom {
    #[arg(long)]
    pub email: Option<String>,
    /// The source's own id of a record.
    #[arg(long)]
    pub external_id: Option<String>,
    /// A user's id.
    #[arg(long)]
    pub user: Option<String>,
}

#[derive(Debug, Args)]
pub struct DumpArgs {
    /// Leave out by which runs and when everything came.
    #[arg(long)]
    pub without_history: bool,
    /// Print what is different from this dump instead; exit code 1 if anything is.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only what was done to this event, run, user or token.
    #[arg(long)]
    pub subject: Option<String>,
    /// How many, the newest first.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct EraseArgs {
    /// The user's id.
    pub user: String,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Leave no tombstone: a source that lists the person brings them back.
    #[arg(long)]
    pub may_return: bool,
}

#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Leave what was lost to the next syncs.
    #[arg(long)]
    pub no_sync: bool,
}

#[derive(Debug, Subcommand)]
pub enum RunsVerb {
    /// The newest runs.
    List {
        #[arg(long)]
        event: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// One run.
    Show {
        run: u64,
        /// Every change, person by person.
        #[arg(long)]
        changes: bool,
        /// What the run said while it went on.
        #[arg(long)]
        log: bool,
    },
    /// Ask a run to end early.
    Cancel { run: u64 },
}

#[derive(Debug, Subcommand)]
pub enum TombstonesVerb {
    /// Every tombstone.
    List,
    /// Let a person come back.
    Lift { id: String },
}

#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Make a new key and seal every token anew; the former key goes.
    Rotate,
}

#[derive(Debug, Args)]
pub struct WritebackArgs {
    pub event: String,
    /// Send now what is due.
    #[arg(long)]
    pub send: bool,
    /// The same, and what failed or waits to be tried again.
    #[arg(long)]
    pub retry: bool,
    /// Only receipts in this state.
    #[arg(long, value_parser = ["pending", "sent", "confirmed", "failed"])]
    pub state: Option<String>,
    /// How many receipts.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct MappingOf {
    pub event: String,
    /// One of the event's sources; needed if there are several.
    #[arg(long)]
    pub source: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum MappingVerb {
    /// What counts, what the source says, and what is locked.
    Show(MappingOf),
    /// Print the mapping as TOML, or as JSON with --json.
    Export(MappingOf),
    /// Set the mapping to what a file says: TOML, or JSON if its name ends in .json.
    Import {
        #[command(flatten)]
        of: MappingOf,
        file: PathBuf,
        /// Show what would change, also on the source's first page, and save nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Make a token; it is shown once.
    Create {
        /// Whose it is, for the list.
        #[arg(long)]
        name: String,
        /// What it may do.
        #[arg(long, value_parser = scopes(), value_delimiter = ',', required = true)]
        scope: Vec<String>,
    },
    /// Every token's name, id and scopes.
    List,
    /// Make a token worthless.
    Revoke { id: String },
}

/// The scopes' names, as the API knows them.
fn scopes() -> PossibleValuesParser {
    Scope::ALL.map(Scope::as_str).into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}

//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What is measured when nothing is said.
const COUNTS: [u32; 2] = [100_000, 1_000_000];

/// Measures the whole program beside the bare limits of the machine.
#[derive(Debug, Parser)]
#[command(name = "end_to_end")]
pub struct Options {
    /// How many records; may be given several times. By default 100,000 and 1,000,000.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    count: Vec<u32>,
    /// Only this part.
    #[arg(long)]
    only: Option<Part>,
    /// How often each sync is measured, each time on a new store.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Where to write every figure, besides printing the tables.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Cargo says it.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    pub role: Option<Role>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The command `rollcall sync`, beside the bare limits.
    Sync,
    /// A server over ten syncs, and how soon a sync of nothing new has ended.
    Server,
    /// Requests a second.
    Api,
    /// What a scrape of 200 feeds costs.
    Metrics,
}

/// What this program is when it starts itself.
#[derive(Debug, Subcommand)]
pub enum Role {
    #[command(hide = true)]
    Bare(Reader),
}

/// A reader that keeps nothing.
#[derive(Debug, Args)]
pub struct Reader {
    #[arg(value_enum)]
    pub work: Work,
    pub address: SocketAddr,
    pub pages: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Receives the pages.
    Fetch,
    /// Receives them, parses them and finds their records.
    Parse,
}

impl Options {
    pub fn counts(&self) -> Vec<u32> {
        if self.count.is_empty() { COUNTS.to_vec() } else { self.count.clone() }
    }

    pub fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

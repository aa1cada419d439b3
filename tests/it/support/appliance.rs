//! A whole Rollcall in this process: real store, real sources, a clock that stands.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rollcall::app::{App, AppError};
use rollcall::clock::Clock;
use rollcall::config::{Config, Environment};
use rollcall::faults::Faults;
use rollcall::journal::{JournalReader, journal_path};
use rollcall::model::{Entry, EventName, Run, SourceName, Trigger};
use rollcall::store::StoreError;
use rollcall::sync::{Request, StartError, Stopping};
use tempfile::TempDir;

/// The token that the list server asks for. It must never show up in an answer, a log or a file.
pub const SOURCE_TOKEN: &str = "canary-5ecret-token";

pub struct Appliance {
    pub app: App,
    pub clock: Clock,
    folder: TempDir,
}

impl Appliance {
    /// Opens one on a config text; `[store]` is added.
    pub async fn open(config: &str) -> Self {
        Self::open_at(tempfile::tempdir().unwrap(), config).await
    }

    /// Opens one on a folder that may hold a store already.
    pub async fn open_at(folder: TempDir, config: &str) -> Self {
        Self::open_failing(folder, config, Faults::none()).await
    }

    /// Opens one on a folder that may hold a store already, on a disk that may fail.
    pub async fn open_failing(folder: TempDir, config: &str, faults: Faults) -> Self {
        let clock = Clock::fixed("2026-03-01T08:00:00Z".parse::<Timestamp>().unwrap());
        Self::open_with(folder, config, clock, Stopping::default(), faults).await
    }

    async fn open_with(folder: TempDir, config: &str, clock: Clock, stopping: Stopping, faults: Faults) -> Self {
        let config = parse(folder.path(), config);
        let at = clock.clone();
        let open = move || open_when_free(&config, &at, &stopping, &faults);
        let app = tokio::task::spawn_blocking(open).await.unwrap();
        Self { app, clock, folder }
    }

    /// Closes the store and opens it again, with the same or another config.
    pub async fn reopen(self, config: &str) -> Self {
        self.reopen_until(config, Stopping::default()).await
    }

    /// The same, with a word that may have been said before it is open.
    pub async fn reopen_until(self, config: &str, stopping: Stopping) -> Self {
        let Self { app, clock, folder } = self;
        drop(app);
        Self::open_with(folder, config, clock, stopping, Faults::none()).await
    }

    /// The entries of a run's journal; none where the run has no journal.
    pub fn entries(&self, run: &Run) -> Vec<Entry> {
        match JournalReader::open(&journal_path(&self.app.store.runs_folder(), run.id)) {
            Ok(journal) => journal.map(|entry| entry.unwrap()).collect(),
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Where the configuration stands.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Closes the store and gives its folder back; the data directory in it is `data`.
    pub async fn close(self) -> TempDir {
        let Self { app, folder, .. } = self;
        let lock = folder.path().join("data/lock");
        drop(app);
        // A run that has just ended may hold the store for a moment longer.
        let free = || std::fs::File::open(&lock).unwrap().try_lock().is_ok();
        while !free() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        folder
    }

    /// Runs one feed to its end; the clock moves on by a minute.
    pub async fn sync(&self, event: &str, source: &str, dry_run: bool, full: bool) -> Run {
        self.try_sync(event, source, dry_run, full).await.unwrap()
    }

    /// The same, where the run may not even begin.
    pub async fn try_sync(&self, event: &str, source: &str, dry_run: bool, full: bool) -> Result<Run, StartError> {
        self.clock.advance(SignedDuration::from_mins(1));
        let (event, source) = (EventName::parse(event).unwrap(), SourceName::parse(source).unwrap());
        let feed = self.app.runner.feeds(&event, Some(&source)).unwrap().remove(0);
        let request = Request { trigger: Trigger::Api, dry_run, full };
        let started = self.app.runner.start(feed, request).await?;
        Ok(self.app.runner.wait(started.run).await?.unwrap())
    }
}

/// A run that has just ended may hold the store for a moment longer.
fn open_when_free(config: &Config, clock: &Clock, stopping: &Stopping, faults: &Faults) -> App {
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        match App::open_with(config.clone(), clock.clone(), stopping.clone(), faults.clone()) {
            Ok(app) => return app,
            Err(AppError::Store(StoreError::Locked { .. })) if Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn parse(folder: &Path, config: &str) -> Config {
    let text = format!("{config}\n[store]\npath = \"data\"\n");
    let environment = Environment::from_iter([("SOURCE_TOKEN", SOURCE_TOKEN)]);
    match Config::parse(&text, &folder.join("rollcall.toml"), &environment) {
        Ok((config, _)) => config,
        Err(error) => panic!("{error}"),
    }
}

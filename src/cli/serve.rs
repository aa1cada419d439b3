//! `rollcall serve`: the server, until a signal ends it.

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::error::CliError;
use crate::app::{App, LitBeacon};
use crate::clock::Clock;
use crate::config::Config;
use crate::faults::Faults;
use crate::http;
use crate::limits::{
    COMPACT_LOOK_EVERY, REFRESH_LOOK_EVERY, STOP_CLIENTS_TIMEOUT, STOP_MAIL_TIMEOUT, STOP_PUSH_TIMEOUT,
};
use crate::observe::init_log;
use crate::sync::Stopping;

/// Histograms are folded this often; see [`crate::observe::Observer::upkeep`].
const UPKEEP: Duration = Duration::from_secs(5);

pub async fn serve(config: Config, log: Option<&str>) -> Result<ExitCode, CliError> {
    init_log(config.log.format.into(), log.unwrap_or(&config.log.level)).map_err(CliError::usage)?;
    // Listened to from the beginning: opening a store may take long when it goes on with an interrupted commit.
    let stopping = Stopping::default();
    let stop = signals(&stopping)?;
    let listen = config.server.listen;
    // Bound first: two servers on one address is the commoner mistake, and opening a store takes longer.
    let listener = bind(listen).await?;
    let app = open(config, &stopping).await?;
    app.runner.start_again_what_was_cut_short().await;
    run(app, listener, stopping, stop).await
}

pub async fn open(config: Config, stopping: &Stopping) -> Result<App, CliError> {
    let stopping = stopping.clone();
    let open = move || App::open_with(config, Clock::System, stopping, Faults::none());
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(CliError::failed)?.map_err(|error| CliError::of_app(&error))
}

pub async fn bind(address: SocketAddr) -> Result<TcpListener, CliError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| CliError::failed(format!("cannot listen on {address}: {error}")))
}

/// Serves until `stop`, which comes after `saying` was said, then ends the runs, and returns.
pub async fn run(
    app: App,
    listener: TcpListener,
    saying: Stopping,
    stop: impl Future<Output = &'static str>,
) -> Result<ExitCode, CliError> {
    let address = listener.local_addr().map_err(CliError::failed)?;
    let beacon = LitBeacon::light(&app, address);
    if let Err(error) = &beacon {
        app.observer.store_failed("write where the server listens", &error.to_string());
    }
    app.observer.listening(&address.to_string());
    let (stopping, mut stopped) = watch::channel(false);
    let router = http::router(&app);
    let server = tokio::spawn(async move {
        // The sender going away means the same as its word.
        http::serve(listener, router, async move { drop(stopped.wait_for(|stop| *stop).await) }).await;
    });
    let upkeep = tokio::spawn(upkeep(app.clone()));
    let erasures = tokio::spawn(see_to_erasures(app.clone()));
    let schedules = tokio::spawn({
        let runner = app.runner.clone();
        async move { runner.keep_schedules().await }
    });
    let profiles = tokio::spawn(refresh_profiles(app.clone()));
    let mut writebacks = tokio::spawn({
        let writebacks = app.writebacks.clone();
        async move { writebacks.keep_going().await }
    });
    let mails = app.mailing().map_err(|error| CliError::of_app(&error))?;
    let mails = mails.map(|mailing| tokio::spawn(mailing.run(saying)));
    let why = stop.await;
    app.observer.stopping(why);
    if let Some(mut mails) = mails
        && timeout(STOP_MAIL_TIMEOUT, &mut mails).await.is_err()
    {
        // It was perhaps sent; it is sent again under the same id.
        mails.abort();
    }
    if timeout(STOP_PUSH_TIMEOUT, &mut writebacks).await.is_err() {
        // It was perhaps taken; its receipt says that it was being sent.
        writebacks.abort();
    }
    let ended = app.runner.shutdown().await;
    app.hooks.drop_pending();
    // Only now, so that whoever waits for a run is told how it ended. Nobody listening means that the server has ended
    // by itself.
    let _ = stopping.send(true);
    // A client that does not take its answer in time goes without.
    let served = timeout(STOP_CLIENTS_TIMEOUT, server).await.unwrap_or(Ok(()));
    upkeep.abort();
    erasures.abort();
    schedules.abort();
    profiles.abort();
    drop(beacon);
    served.map_err(|error| CliError::failed(format!("the server ended by a fault: {error}")))?;
    if ended { Ok(ExitCode::SUCCESS) } else { Err(CliError::failed("a run did not end in time")) }
}

async fn upkeep(app: App) {
    let mut tick = tokio::time::interval(UPKEEP);
    loop {
        tick.tick().await;
        app.observer.upkeep();
        let runner = app.runner.clone();
        // A fault there has said so; the next tick tries again.
        let _ = tokio::task::spawn_blocking(move || runner.catch_up()).await;
        app.runner.expire().await;
    }
}

async fn see_to_erasures(app: App) {
    let mut tick = tokio::time::interval(COMPACT_LOOK_EVERY);
    loop {
        tick.tick().await;
        let runner = app.runner.clone();
        // What failed has been said; the next tick tries again.
        let _ = tokio::task::spawn_blocking(move || runner.see_to_erasures()).await;
    }
}

async fn refresh_profiles(app: App) {
    let mut tick = tokio::time::interval(REFRESH_LOOK_EVERY);
    loop {
        tick.tick().await;
        let logins = app.logins.clone();
        let looked = tokio::task::spawn_blocking(move || logins.refresh_due()).await;
        if let Ok(Err(error)) = looked {
            app.observer.store_failed("read whose profiles have grown old", &error.to_string());
        }
    }
}

/// At SIGTERM or SIGINT says that the process is to end, and tells which it was. A second one ends the process at once,
/// whatever goes on.
pub fn signals(stopping: &Stopping) -> Result<impl Future<Output = &'static str> + use<>, CliError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::failed)?;
    let (told, came) = oneshot::channel();
    let stopping = stopping.clone();
    tokio::spawn(async move {
        let why = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        stopping.say();
        // Who does not ask why has no need to know.
        let _ = told.send(why);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(i32::from(super::error::FAILED));
    });
    // The task ends before it told only with the runtime.
    Ok(async move { came.await.unwrap_or("the end of the program") })
}

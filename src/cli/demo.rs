//! `rollcall demo` and `rollcall demo-source`: the main job on data that the program brings itself.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::args::{DemoArgs, DemoSourceArgs};
use super::client::Client;
use super::error::CliError;
use super::{print, runs, serve};
use crate::config::{Config, Environment};
use crate::demo::{EVENT, Fake, FakeOptions, TOKEN, TOKEN_VARIABLE, config_toml};
use crate::sync::Stopping;

/// Changes shown of the plan: enough to see what a change looks like.
const SHOWN: u32 = 1;

/// Serves the fake registration system, syncs from it, prints what came of it and keeps running.
pub async fn demo(args: &DemoArgs) -> Result<ExitCode, CliError> {
    let stopping = Stopping::default();
    let stop = serve::signals(&stopping)?;
    let folder = tempfile::Builder::new().prefix("rollcall-demo-").tempdir().map_err(CliError::failed)?;
    let source = start_source(args.count).await?;
    let listener = match TcpListener::bind(args.listen).await {
        Ok(listener) => listener,
        Err(_) => serve::bind(SocketAddr::new(args.listen.ip(), 0)).await?,
    };
    let address = listener.local_addr().map_err(CliError::failed)?;
    let app = serve::open(config(folder.path(), source)?, &stopping).await?;
    let client = Client::of(app.clone());
    print::line(&format!("A fake registration system with {} records stands at http://{source}/", args.count))?;
    plan(&client).await?;
    let run = sync(&client, false).await?;
    print::line("\nThe sync, and the same again:")?;
    runs::print_run(&run)?;
    runs::print_run(&sync(&client, false).await?)?;
    lines_to_try(&client, address, &run).await?;
    serve::run(app, listener, stopping, stop).await
}

async fn start_source(count: u32) -> Result<SocketAddr, CliError> {
    let listener = serve::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr().map_err(CliError::failed)?;
    let fake = Arc::new(Fake::new(FakeOptions { count, ..FakeOptions::default() }));
    tokio::spawn(fake.serve(listener, std::future::pending()));
    Ok(address)
}

fn config(folder: &Path, source: SocketAddr) -> Result<Config, CliError> {
    let text = format!("[store]\npath = \"data\"\n{}", config_toml(source, 100));
    let environment = Environment::from_iter([(TOKEN_VARIABLE, TOKEN)]);
    let (config, _) = Config::parse(&text, &folder.join("demo.toml"), &environment).map_err(CliError::failed)?;
    Ok(config)
}

/// A dry run, and the first changes that it would make.
async fn plan(client: &Client) -> Result<(), CliError> {
    let run = sync(client, true).await?;
    print::line(&format!("\nThe plan (a dry run): {}", print::counts(&run["counts"])))?;
    let changes = client.get(&format!("/v1/runs/{}/changes?action=create&limit={SHOWN}", run["id"])).await?;
    for change in changes["items"].as_array().into_iter().flatten() {
        runs::print_change(change)?;
    }
    print::line("…")
}

async fn sync(client: &Client, dry_run: bool) -> Result<Value, CliError> {
    let mut answer = client.post(&format!("/v1/events/{EVENT}/sync?dry_run={dry_run}&wait=300s"), None).await?;
    Ok(answer["runs"][0].take())
}

/// Addresses, and requests that work as printed.
async fn lines_to_try(client: &Client, address: SocketAddr, run: &Value) -> Result<(), CliError> {
    let body = json!({ "name": "demo", "scopes": ["read", "sync", "metrics"] });
    let token = print::cell(&client.post("/v1/tokens", Some(&body)).await?["token"]);
    let people = client.get(&format!("/v1/events/{EVENT}/attendees?limit=1")).await?;
    let user = print::cell(&people["items"][0]["id"]);
    let base = format!("http://{address}");
    print::line(&format!("\nAPI      {base}/v1/events\nOpenAPI  {base}/openapi.json\nMetrics  {base}/metrics"))?;
    print::line("\nTry (an attendee; a group's members; what the sync changed):")?;
    for path in [
        format!("/v1/events/{EVENT}/attendees/{user}"),
        "/v1/groups/speakers/members?limit=2".to_owned(),
        format!("/v1/runs/{}/changes?limit=5", run["id"]),
    ] {
        print::line(&format!("  curl -s -H 'Authorization: Bearer {token}' '{base}{path}'"))?;
    }
    print::line("\nCtrl-C ends it; nothing is kept.")
}

/// Serves only the fake registration system, for tests and benches in another process.
pub async fn source(args: &DemoSourceArgs) -> Result<ExitCode, CliError> {
    let stop = serve::signals(&Stopping::default())?;
    let listener = serve::bind(args.listen).await?;
    let address = listener.local_addr().map_err(CliError::failed)?;
    let options = FakeOptions {
        count: args.count,
        per_page: args.per_page,
        churn_percent: args.churn,
        seed: args.seed,
        bad_records: !args.clean,
        latency: Duration::from_millis(args.latency_ms),
    };
    // Rendering a million records takes seconds of one core.
    let fake = tokio::task::spawn_blocking(move || Fake::new(options)).await.map_err(CliError::failed)?;
    print::line(&format!("listening on http://{address}/"))?;
    Arc::new(fake)
        .serve(listener, async {
            stop.await;
        })
        .await;
    Ok(ExitCode::SUCCESS)
}

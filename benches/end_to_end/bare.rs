//! The bare limits: what the machine and the HTTP client allow to anybody who reads this list.
//!
//! The reader is a process of its own, as `rollcall sync` is, with the same client, one connection, one page after
//! the other; but it keeps nothing.

use std::process::{Command, Stdio};
use std::sync::Arc;

use rollcall::config::{Config, Environment};
use rollcall::decode::Document;
use rollcall::demo::{TOKEN, TOKEN_VARIABLE, config_toml};
use rollcall::mapping::Mapping;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use super::fake::{Fake, page_path};
use super::options::{Reader, Work};
use super::process::{self, Ended};
use super::{Outcome, PER_PAGE};

/// Runs a reader; returns how it went and how many bytes the pages have.
pub fn measure(work: Work, fake: &Fake) -> Outcome<(Ended, u64)> {
    let mut command = Command::new(std::env::current_exe()?);
    let name = match work {
        Work::Fetch => "fetch",
        Work::Parse => "parse",
    };
    command.args(["bare", name, &fake.address.to_string(), &fake.pages().to_string()]);
    let output = tempfile::tempfile()?;
    let ended = process::run(command.stdin(Stdio::null()).stdout(output.try_clone()?))?;
    if !ended.status.success() {
        return Err(format!("the bare reader ended with {}", ended.status).into());
    }
    let read = read_back(output)?;
    if work == Work::Parse && read["records"] != fake.count {
        return Err(format!("the bare reader found {} of {} records", read["records"], fake.count).into());
    }
    Ok((ended, read["bytes"].as_u64().unwrap_or(0)))
}

fn read_back(mut file: std::fs::File) -> Outcome<Value> {
    use std::io::Seek as _;
    file.rewind()?;
    Ok(serde_json::from_reader(file)?)
}

/// The reader's own process.
pub fn read(reader: &Reader) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (records, bytes) = runtime.block_on(read_pages(reader))?;
    println!("{}", json!({ "records": records, "bytes": bytes }));
    Ok(())
}

async fn read_pages(reader: &Reader) -> Outcome<(usize, usize)> {
    let client = client()?;
    let mapping = match reader.work {
        Work::Fetch => None,
        Work::Parse => Some(mapping(reader)?),
    };
    let (mut records, mut bytes) = (0, 0);
    for page in 1..=reader.pages {
        let url = format!("http://{}{}", reader.address, page_path(page));
        let body = client.get(url).bearer_auth(TOKEN).send().await?.error_for_status()?.bytes().await?;
        bytes += body.len();
        if let Some(mapping) = &mapping {
            records += mapping.select(&Document::parse(body)?)?.len();
        }
    }
    Ok((records, bytes))
}

/// No proxies, and trust in no certificate: reqwest wants TLS set up, used or not.
fn client() -> Outcome<reqwest::Client> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build()?)
}

fn mapping(reader: &Reader) -> Outcome<Mapping> {
    let environment = Environment::from_iter([(TOKEN_VARIABLE, TOKEN)]);
    let text = config_toml(reader.address, PER_PAGE);
    let (config, _) = Config::parse(&text, "bench.toml".as_ref(), &environment)?;
    let source = config.sources.values().next().ok_or("the configuration has no source")?;
    Ok(Mapping::new(source.mapping.clone()))
}

//! `rollcall dump`: everything that the community is, as lines of JSON that `sort` and `diff` understand; and what is
//! different from another dump.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::args::DumpArgs;
use super::client::Client;
use super::error::CliError;
use super::print;

/// What tells when and by which run something came: two stores of the same people need not agree on that.
const HISTORY: [&str; 6] = ["run", "at", "created_at", "changed_at", "queued_at", "next_try_at"];
/// Of an event: what is set, not how it stands.
const EVENT: [&str; 4] = ["kind", "name", "title", "starts_at"];

pub async fn dump(client: &Client, args: &DumpArgs, as_json: bool) -> Result<ExitCode, CliError> {
    let mut comparison = args.compare.as_deref().map(|file| Comparison::read(file, as_json)).transpose()?;
    let mut take = |kind: &str, mut item: Value| {
        item["kind"] = kind.into();
        if args.without_history {
            forget(&mut item);
        }
        let line = item.to_string();
        match &mut comparison {
            Some(comparison) => comparison.take(&item, &line),
            None => print::line(&line),
        }
    };
    client.each("/v1/events", |event| take("event", settings_of(event))).await?;
    client.each("/v1/groups", |group| take("group", without(group, &["members", "events"]))).await?;
    client.each("/v1/users", |user| take("user", user)).await?;
    client.close().await;
    comparison.map_or(Ok(ExitCode::SUCCESS), Comparison::end)
}

fn settings_of(event: Value) -> Value {
    let Value::Object(members) = event else { return event };
    let feeds = members.get("feeds").cloned().unwrap_or_default();
    let mut event: Value = members.into_iter().filter(|(key, _)| EVENT.contains(&key.as_str())).collect();
    let feeds = feeds.as_array().into_iter().flatten();
    event["feeds"] = feeds.map(|feed| json!({"source": feed["source"], "params": feed["params"]})).collect();
    event
}

fn without(mut item: Value, keys: &[&str]) -> Value {
    if let Value::Object(members) = &mut item {
        members.retain(|key, _| !keys.contains(&key.as_str()));
    }
    item
}

/// Takes the history out, wherever it is.
fn forget(item: &mut Value) {
    match item {
        Value::Object(members) => {
            members.retain(|key, _| !HISTORY.contains(&key.as_str()));
            members.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

/// Kind and key of an item.
fn key(item: &Value) -> String {
    let key = ["id", "key", "name"].iter().find_map(|key| item[*key].as_str());
    format!("{} {}", item["kind"].as_str().unwrap_or_default(), key.unwrap_or_default())
}

/// Another dump, of which only digests are held.
struct Comparison {
    others: HashMap<String, u128>,
    same: u64,
    different: u64,
    as_json: bool,
}

impl Comparison {
    fn read(path: &Path, as_json: bool) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::usage(format!("cannot read {}: {error}", path.display()));
        let mut others = HashMap::new();
        for (number, line) in (1..).zip(BufReader::new(File::open(path).map_err(failed)?).lines()) {
            let line = line.map_err(failed)?;
            let item: Value = serde_json::from_str(&line)
                .map_err(|_| CliError::usage(format!("{}, line {number}: no dump", path.display())))?;
            others.insert(key(&item), xxh3_128(item.to_string().as_bytes()));
        }
        Ok(Self { others, same: 0, different: 0, as_json })
    }

    fn take(&mut self, item: &Value, line: &str) -> Result<(), CliError> {
        let key = key(item);
        match self.others.remove(&key) {
            Some(other) if other == xxh3_128(line.as_bytes()) => {
                self.same += 1;
                return Ok(());
            }
            Some(_) => self.tell("differs", &key)?,
            None => self.tell("only here", &key)?,
        }
        self.different += 1;
        Ok(())
    }

    fn tell(&self, what: &str, key: &str) -> Result<(), CliError> {
        if self.as_json {
            return print::line(&json!({"difference": what, "item": key}).to_string());
        }
        print::line(&format!("{what:14}{key}"))
    }

    fn end(mut self) -> Result<ExitCode, CliError> {
        let mut left: Vec<_> = std::mem::take(&mut self.others).into_keys().collect();
        left.sort_unstable();
        left.iter().try_for_each(|key| self.tell("only in file", key))?;
        let (same, different) = (self.same, self.different + left.len() as u64);
        if self.as_json {
            print::line(&json!({"same": same, "different": different}).to_string())?;
        } else {
            print::line(&format!("{same} the same, {different} different"))?;
        }
        Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_forgotten_wherever_it_is() {
        let mut item = json!({"id": "u", "created_at": 1, "fields": {"company": {"value": "at", "owner": {"run": 3, "at": 4, "source": "s"}}},
            "attendances": [{"event": "e", "changed_at": 5}]});
        forget(&mut item);
        let expected = json!({"id": "u", "fields": {"company": {"value": "at", "owner": {"source": "s"}}}, "attendances": [{"event": "e"}]});
        assert_eq!(item, expected);
    }
}

//! The dashboards as they are shipped, held to the rules of Grafana's dashboard-linter and to the metrics there are.

mod coverage;
mod promql;
mod provisioning;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub const NAMES: [&str; 3] = ["sync-health", "source", "appliance"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

pub fn dashboard(name: &str) -> Value {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}.json: {error}"))
}

/// Every list in a dashboard is an array, or is not there.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Every PromQL of a dashboard's panels and annotations.
fn queries(dashboard: &Value) -> Vec<&str> {
    let targets = list(dashboard, "panels").iter().flat_map(|panel| list(panel, "targets"));
    targets.chain(list(&dashboard["annotations"], "list")).map(|query| text(query, "expr")).collect()
}

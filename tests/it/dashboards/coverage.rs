//! The dashboards name no metric that there is not, and leave none out.

use std::collections::BTreeSet;
use std::fs;

use rollcall::observe::{CATALOGUE, Kind, Metric};

use super::promql::{Selector, selectors};
use super::{NAMES, dashboard, folder, queries};

/// The metric of a series: of a histogram there are three.
fn metric_of(series: &str) -> Option<&'static Metric> {
    CATALOGUE.iter().find(|metric| match metric.kind {
        Kind::Histogram(_) => {
            ["_bucket", "_sum", "_count"].iter().any(|end| series.strip_suffix(end) == Some(metric.name))
        }
        Kind::Counter | Kind::Gauge => metric.name == series,
    })
}

/// What is wrong with a selector, if its metric or a label is not there.
fn fault(Selector { name, .. }: &Selector, labels: &[&str]) -> Option<String> {
    let known: &[&str] = match metric_of(name) {
        Some(metric) => metric.labels,
        None if name == "up" => &[],
        None => return Some(format!("there is no {name}")),
    };
    let scraped = ["job", "instance", "le"];
    let unknown = labels.iter().find(|label| !known.contains(label) && !scraped.contains(label))?;
    Some(format!("{name} has no label {unknown}"))
}

fn faults(query: &str) -> Vec<String> {
    let found = selectors(query);
    found.iter().filter_map(|selector| fault(selector, &selector.labels().collect::<Vec<_>>())).collect()
}

#[test]
fn panels_ask_only_for_what_there_is() {
    for name in NAMES {
        let dashboard = dashboard(name);
        let faults: Vec<String> = queries(&dashboard).into_iter().flat_map(faults).collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
    for (query, fault) in [
        ("rollcall_user", "there is no rollcall_user"),
        ("rollcall_sync_duration_seconds", "there is no rollcall_sync_duration_seconds"),
        ("rollcall_users_bucket", "there is no rollcall_users_bucket"),
        (r#"rollcall_users{event="a"}"#, "rollcall_users has no label event"),
    ] {
        assert_eq!(faults(query), [fault]);
    }
}

/// Everything in a text that could be a metric's name.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'))
}

/// The metrics that none of the texts names.
fn unused(texts: &[&str]) -> Vec<&'static str> {
    let used: BTreeSet<&str> =
        texts.iter().copied().flat_map(words).filter_map(metric_of).map(|metric| metric.name).collect();
    CATALOGUE.iter().map(|metric| metric.name).filter(|name| !used.contains(name)).collect()
}

#[test]
fn every_metric_is_on_a_panel_or_in_an_alert() {
    let dashboards = NAMES.map(dashboard);
    let mut texts: Vec<&str> = dashboards.iter().flat_map(queries).collect();
    // Without the alerts the panels alone have to do.
    let alerts = fs::read_to_string(folder().join("alerts.yml")).unwrap_or_default();
    texts.push(&alerts);
    assert!(unused(&texts).is_empty(), "on no panel and in no alert: {:?}", unused(&texts));
    texts.retain(|text| !text.contains("rollcall_tombstones") && !text.contains("rollcall_sync_duration_seconds"));
    assert_eq!(unused(&texts), ["rollcall_sync_duration_seconds", "rollcall_tombstones"]);
}

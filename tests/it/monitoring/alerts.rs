//! What can be said of the alerts without a Prometheus.

use std::collections::BTreeSet;

use rollcall::observe::CATALOGUE;

use super::expressions::metrics_named;

const ALERTS: &str = include_str!("../../../dashboards/alerts.yml");
const CASES: [&str; 2] =
    [include_str!("../../../dashboards/alerts.test.yml"), include_str!("../../../dashboards/alerts.days.test.yml")];
const GUIDE: &str = include_str!("../../../docs/monitoring.md");
const SCRAPE: &str = include_str!("../../../dashboards/prometheus.yml");

/// Each rule: its name and its lines.
fn rules() -> Vec<(&'static str, &'static str)> {
    let rules: Vec<_> = ALERTS.split("- alert: ").skip(1).filter_map(|rule| rule.split_once('\n')).collect();
    assert!(rules.len() >= 22, "only {} rules found", rules.len());
    rules
}

fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim)
}

#[test]
fn every_alert_has_its_section_in_the_guide_and_every_section_its_alert() {
    let alerts: BTreeSet<_> = rules().into_iter().map(|(name, _)| name).collect();
    let (_, runbook) = GUIDE.split_once("## What to do").unwrap();
    let sections: BTreeSet<_> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(alerts, sections);
}

#[test]
fn every_alert_says_how_bad_it_is_what_to_do_and_where_to_read_on() {
    for (name, rule) in rules() {
        assert!(name.starts_with("Rollcall"), "{name}");
        let severity = after(rule, "severity:").unwrap_or_default();
        assert!(["page", "ticket", "info", "none"].contains(&severity), "{name}: {severity}");
        for key in ["summary:", "description:"] {
            assert!(after(rule, key).is_some_and(|text| !text.is_empty()), "{name} has no {key}");
        }
        let link = format!("docs/monitoring.md#{}", name.to_lowercase());
        assert_eq!(after(rule, "runbook_url:"), Some(link.as_str()), "{name}");
    }
}

#[test]
fn every_alert_fires_in_a_case_and_is_silent_in_another() {
    for (name, _) in rules() {
        let of_it = |line: &&str| line.contains(&format!("alertname: {name}"));
        let (fires, silent): (Vec<_>, Vec<_>) = CASES
            .iter()
            .flat_map(|cases| cases.lines())
            .filter(of_it)
            .partition(|line| !line.ends_with("exp_alerts: []}"));
        assert!(!fires.is_empty(), "{name} fires in no case");
        // The watchdog is never silent; a second series of the same case is, of the loop.
        let beside = ["RollcallWatchdog", "RollcallRestartLoop"].contains(&name);
        assert!(beside || !silent.is_empty(), "{name} is silent in no case");
    }
}

#[test]
fn alerts_name_metrics_that_there_are_and_the_job_that_is_scraped() {
    let known: BTreeSet<_> = CATALOGUE.iter().map(|metric| metric.name).collect();
    let named: BTreeSet<_> = rules().into_iter().flat_map(|(_, rule)| metrics_named(rule)).collect();
    assert!(named.len() > 15, "{named:?}");
    for metric in named {
        assert!(known.contains(metric.as_str()), "{metric} is no metric");
    }
    for (at, _) in ALERTS.match_indices("{job=") {
        assert!(ALERTS[at..].starts_with("{job=\"rollcall\""), "{}", &ALERTS[at..at + 30]);
    }
    assert!(SCRAPE.contains("- job_name: rollcall\n"));
}

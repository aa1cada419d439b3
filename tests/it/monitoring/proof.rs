//! A real Prometheus reads a real server to which everything happens: every panel shows something, every alert can be asked.

use std::collections::{BTreeMap, BTreeSet};

use super::expressions::{Dashboards, metrics_named};
use super::peer::{Prometheus, installed, promtool, value, values};
use super::scene::Scene;
use super::wire;

/// The faults of the scene, and what each alert has to say of them.
const ALARMED: [(&str, &str); 10] = [
    ("RollcallFeedFailing", "pending"),
    ("RollcallRunHeld", "pending"),
    ("RollcallFeedDegraded", "pending"),
    ("RollcallThrottled", "pending"),
    ("RollcallBudgetExhausted", "pending"),
    ("RollcallOutboxBacklog", "pending"),
    ("RollcallCredentialRejected", "firing"),
    ("RollcallStoreErrors", "firing"),
    ("RollcallWatchdog", "firing"),
    // The guard of a list of sixty lets one bad record pass, which is no ratio to tell of: it is silent.
    ("RollcallRejectRatio", "inactive"),
];

/// What no fault of the scene is for: it has only begun.
const SILENT: [&str; 5] =
    ["RollcallDown", "RollcallAbsent", "RollcallRestartLoop", "RollcallFeedStale", "RollcallSchedulerStalled"];

#[test]
#[ignore = "needs prometheus; tests/run runs it"]
fn promtool_passes_the_rules_their_cases_and_the_configuration() {
    let folder = installed("127.0.0.1:7070".parse().unwrap(), "rc_token");
    let dashboards = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    promtool(folder.path(), &["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"], "");
    promtool(&dashboards, &["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"], "");
    promtool(&dashboards, &["test", "rules", "alerts.test.yml", "alerts.days.test.yml"], "");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus; tests/run runs it"]
async fn every_panel_shows_something_and_every_alert_can_be_asked() {
    let dashboards = Dashboards::read();
    let scene = Scene::begin().await;
    let prometheus = Prometheus::start(scene.address, &scene.reader).await;
    let began = jiff::Timestamp::now().as_second();
    scene.go_on().await;
    alerts_say_what_happened(&prometheus, &scene).await;
    every_metric_is_used(&dashboards, &scene).await;
    // What came last is a difference only beside what was before, and in whole seconds.
    prometheus.reads(3.0).await;
    every_panel_shows_something(&dashboards, &prometheus, jiff::Timestamp::now().as_second() - began).await;
}

async fn alerts_say_what_happened(prometheus: &Prometheus, scene: &Scene) {
    let states = async || -> BTreeMap<String, BTreeSet<String>> {
        let mut states: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for rule in prometheus.rules().await {
            let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
            if text("health") != "unknown" {
                assert_eq!(text("health"), "ok", "{rule}");
                states.entry(text("name")).or_default().insert(text("state"));
            }
        }
        states
    };
    let has = |states: &BTreeMap<String, BTreeSet<String>>, name: &str, state: &str| {
        states.get(name).is_some_and(|found| found.contains(state))
    };
    let start = std::time::Instant::now();
    let mut found = states().await;
    while !ALARMED.iter().all(|(name, state)| has(&found, name, state)) {
        let missing: Vec<_> = ALARMED.iter().filter(|(name, state)| !has(&found, name, state)).collect();
        assert!(start.elapsed().as_secs() < 30, "{missing:?} are not in {found:?}\n{}", scene.server.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        found = states().await;
    }
    for name in SILENT {
        assert!(has(&found, name, "inactive") && found[name].len() == 1, "{name}: {found:?}");
    }
    let rules = prometheus.rules().await;
    assert_eq!(rules.len(), include_str!("../../../dashboards/alerts.yml").matches("- alert: ").count());
    for rule in rules {
        prometheus.now(rule["query"].as_str().unwrap()).await;
    }
}

async fn every_metric_is_used(dashboards: &Dashboards, scene: &Scene) {
    let answer = wire::ask(scene.address, "GET", "/metrics", Some(&scene.reader), "").await.unwrap();
    let told: BTreeSet<String> = answer
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    let alerts = metrics_named(include_str!("../../../dashboards/alerts.yml"));
    let asked: BTreeSet<String> = dashboards.metrics().union(&alerts).cloned().collect();
    let unknown: Vec<_> = asked.difference(&told).collect();
    let unused: Vec<_> = told.difference(&asked).collect();
    assert!(unknown.is_empty(), "asked for and not told: {unknown:?}");
    assert!(unused.is_empty(), "told and used nowhere: {unused:?}");
    let said = promtool(std::path::Path::new("/"), &["check", "metrics"], &answer.text);
    assert!(said.trim().is_empty(), "{said}");
}

async fn every_panel_shows_something(dashboards: &Dashboards, prometheus: &Prometheus, seconds: i64) {
    let mut faults = Vec::new();
    for question in &dashboards.questions {
        let brought = if question.is_instant {
            prometheus.now(&question.expression).await
        } else {
            prometheus.lately(&question.expression, seconds).await
        };
        let values: Vec<String> = brought.iter().flat_map(values).collect();
        let fault = if values.is_empty() {
            "brings nothing"
        } else if values.iter().any(|value| value == "NaN" || value.ends_with("Inf")) {
            "is no number at times"
        } else {
            continue;
        };
        faults.push(format!("{} {fault}: {}", question.place, question.expression));
    }
    assert!(faults.is_empty(), "of {} queries:\n{}", dashboards.questions.len(), faults.join("\n"));
    for expression in &dashboards.others {
        prometheus.now(&super::expressions::filled(expression)).await;
    }
    let up = prometheus.now(r#"up{job="rollcall"}"#).await;
    assert_eq!(up.iter().filter_map(value).collect::<Vec<_>>(), [1.0]);
}

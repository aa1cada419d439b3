//! What the dashboards ask of Prometheus.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::dashboards::{NAMES, dashboard};

/// One query of a panel.
pub struct Question {
    /// The file, the panel's number and its title.
    pub place: String,
    pub expression: String,
    /// One value now, where others are asked for over a while.
    pub is_instant: bool,
}

pub struct Dashboards {
    pub questions: Vec<Question>,
    /// Those of annotations and variables, which may bring nothing.
    pub others: Vec<String>,
}

impl Dashboards {
    /// All three, or it panics.
    pub fn read() -> Self {
        let mut dashboards = Self { questions: Vec::new(), others: Vec::new() };
        for name in NAMES {
            let dashboard = dashboard(name);
            let before = dashboards.questions.len();
            dashboards.walk(name, &dashboard["panels"]);
            assert!(dashboards.questions.len() > before + 5, "{name} asks next to nothing: is the walk broken?");
            let annotations = dashboard["annotations"]["list"].as_array().into_iter().flatten();
            dashboards.others.extend(annotations.filter_map(|found| found["expr"].as_str()).map(str::to_owned));
        }
        dashboards
    }

    fn walk(&mut self, dashboard: &str, panels: &Value) {
        for panel in panels.as_array().into_iter().flatten() {
            let place = format!("{dashboard} {} {}", panel["id"], panel["title"]);
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().unwrap_or_else(|| panic!("{place} asks nothing"));
                self.questions.push(Question {
                    place: place.clone(),
                    expression: filled(expression),
                    is_instant: target["instant"] == true,
                });
            }
            self.walk(dashboard, &panel["panels"]);
        }
    }

    /// Every metric that is asked for.
    pub fn metrics(&self) -> BTreeSet<String> {
        let asked = self.questions.iter().map(|question| &question.expression).chain(&self.others);
        asked.flat_map(|expression| metrics_named(expression)).collect()
    }
}

/// With everything chosen, in steps that a scrape a second fills.
pub fn filled(expression: &str) -> String {
    const VALUES: [(&str, &str); 8] = [
        ("$__rate_interval", "30s"),
        ("$__interval", "30s"),
        ("$__range_s", "180"),
        ("$__range", "180s"),
        ("$job", ".+"),
        ("$instance", ".+"),
        ("$event", ".+"),
        ("$source", ".+"),
    ];
    let text = VALUES.iter().fold(expression.to_owned(), |text, (name, value)| {
        let braced = format!("${{{}}}", &name[1..]);
        text.replace(&braced, value).replace(name, value)
    });
    assert!(!text.contains('$'), "{expression} has a variable that is not known");
    text
}

/// The metrics of ours that a text names, those of a histogram by its own name.
pub fn metrics_named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let ours = words.filter(|word| word.starts_with("rollcall_") || word.starts_with("process_"));
    ours.map(|name| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name).to_owned()
    })
    .collect()
}

#[test]
fn metrics_and_variables_are_found_in_expressions() {
    let expression = r#"sum(rate(rollcall_sync_duration_seconds_bucket{job=~"$job", source=~"${source}"}[$__rate_interval]))
        / process_threads and up == 1"#;
    assert_eq!(
        metrics_named(expression).into_iter().collect::<Vec<_>>(),
        ["process_threads", "rollcall_sync_duration_seconds"]
    );
    let filled = filled(expression);
    assert!(filled.contains(r#"{job=~".+", source=~".+"}[30s]"#), "{filled}");
}

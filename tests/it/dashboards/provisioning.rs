//! The files that give Grafana its data source and the dashboards, and what the README says of them.

use std::fs;

use super::folder;

const README: &str = include_str!("../../../README.md");

/// The value of `key` in one of the files; each key there stands on a line of its own, once.
fn value(file: &str, key: &str) -> String {
    let text = fs::read_to_string(folder().join("grafana/provisioning").join(file)).unwrap();
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '-']));
    let values: Vec<&str> = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).collect();
    assert_eq!(values.len(), 1, "{file}: {key}");
    values[0].to_owned()
}

#[test]
fn grafana_looks_for_the_dashboards_where_the_readme_puts_them() {
    let path = value("dashboards/rollcall.yml", "path");
    assert!(README.contains("cp -r dashboards/grafana/provisioning/* /etc/grafana/provisioning/"));
    assert!(README.contains(&format!("mkdir -p {path}\n")), "{path}");
    assert!(README.contains(&format!("cp dashboards/*.json {path}/\n")), "{path}");
    assert_eq!(value("dashboards/rollcall.yml", "allowUiUpdates"), "false");
    assert_eq!(value("datasources/rollcall.yml", "type"), "prometheus");
    for file in ["dashboards/rollcall.yml", "datasources/rollcall.yml"] {
        assert_eq!(value(file, "apiVersion"), "1");
    }
}

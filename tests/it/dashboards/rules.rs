//! The rules of Grafana's dashboard-linter, and some of ours. Each is a function from a dashboard to what offends it, and
//! each is shown a dashboard that it must find fault with.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::promql::{is_balanced, selectors};
use super::{NAMES, dashboard, list, queries, text};

type Rule = fn(&Value) -> Vec<String>;

const RULES: &[Rule] =
    &[head, variables, variables_are_used, panels, grid, targets, selectors_choose_the_server, ranges, counters, links];

fn offences(dashboard: &Value) -> Vec<String> {
    RULES.iter().flat_map(|rule| rule(dashboard)).collect()
}

fn unless(right: bool, offence: impl Into<String>) -> Option<String> {
    (!right).then(|| offence.into())
}

// ── the rules ───────────────────────────────────────────────────────────────────────────────────────────

fn head(dashboard: &Value) -> Vec<String> {
    let version = dashboard["schemaVersion"].as_u64().unwrap_or_default();
    [
        unless(NAMES.iter().any(|name| text(dashboard, "uid") == format!("rollcall-{name}")), "its uid is another"),
        unless(text(dashboard, "title").starts_with("Rollcall / "), "its title does not begin with Rollcall"),
        unless(!text(dashboard, "description").is_empty(), "it has no description"),
        unless((39..=42).contains(&version), "its schemaVersion is not 39 to 42"),
        unless(dashboard["editable"] == false, "it is editable"),
        unless(dashboard["graphTooltip"] == 1, "its crosshair is not shared"),
        unless(dashboard["tags"] == json!(["rollcall"]), "its tag is not rollcall"),
        unless(dashboard.get("id").is_none(), "it has an id of one Grafana's database"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn variables(dashboard: &Value) -> Vec<String> {
    let list = list(&dashboard["templating"], "list");
    let names: Vec<&str> = list.iter().map(|variable| text(variable, "name")).collect();
    let mut offences = Vec::new();
    offences.extend(unless(
        names.starts_with(&["datasource", "job", "instance"]),
        "datasource, job, instance are not first",
    ));
    for (variable, name) in list.iter().zip(names) {
        let right = match name {
            "datasource" => is_data_source(variable),
            _ => is_label(variable, name),
        };
        offences.extend(unless(right, format!("the variable {name} is not as it should be")));
    }
    offences
}

fn is_data_source(variable: &Value) -> bool {
    text(variable, "type") == "datasource"
        && text(variable, "query") == "prometheus"
        && text(variable, "label") == "Data source"
}

/// Of the values of a label, several or all; all of them is what has any.
fn is_label(variable: &Value, name: &str) -> bool {
    let label = text(variable, "label");
    text(variable, "type") == "query"
        && variable["datasource"]["uid"] == "${datasource}"
        && label.to_lowercase() == name
        && label.starts_with(|first: char| first.is_uppercase())
        && variable["multi"] == true
        && variable["includeAll"] == true
        && variable["allValue"] == ".+"
        && variable["refresh"] == 2
        && text(&variable["query"], "query").ends_with(&format!(", {name})"))
}

/// Every variable chooses something, and nothing is chosen by one that is not there.
fn variables_are_used(dashboard: &Value) -> Vec<String> {
    let list = list(&dashboard["templating"], "list");
    let declared: BTreeSet<&str> = list.iter().map(|variable| text(variable, "name")).collect();
    let used: BTreeSet<String> = queries(dashboard).into_iter().flat_map(variables_of).collect();
    let unused = declared.iter().filter(|name| **name != "datasource" && !used.contains(**name));
    let unknown = used.iter().filter(|name| !name.starts_with("__") && !declared.contains(name.as_str()));
    unused
        .map(|name| format!("no query uses the variable {name}"))
        .chain(unknown.map(|name| format!("there is no variable {name}")))
        .collect()
}

fn variables_of(query: &str) -> Vec<String> {
    let word = |rest: &str| {
        let rest = rest.trim_start_matches('{');
        rest.chars().take_while(|sign| sign.is_ascii_alphanumeric() || *sign == '_').collect()
    };
    query.split('$').skip(1).map(word).collect()
}

fn is_row(panel: &Value) -> bool {
    text(panel, "type") == "row"
}

fn panels(dashboard: &Value) -> Vec<String> {
    let mut ids = BTreeSet::new();
    let mut offences = Vec::new();
    for panel in list(dashboard, "panels") {
        let id = panel["id"].as_u64().unwrap_or_default();
        let title = text(panel, "title");
        offences.extend(unless(id > 0 && ids.insert(id), format!("panel {title}: its id is missing or another's")));
        offences.extend(unless(!title.is_empty(), format!("panel {id} has no title")));
        if is_row(panel) {
            continue;
        }
        let told =
            [("description", text(panel, "description")), ("unit", text(&panel["fieldConfig"]["defaults"], "unit"))];
        let missing = told.into_iter().filter(|(_, told)| told.is_empty());
        offences.extend(missing.map(|(what, _)| format!("panel {title} has no {what}")));
        let uid = &panel["datasource"]["uid"];
        offences.extend(unless(uid == "${datasource}", format!("panel {title} has a data source of its own")));
    }
    offences
}

/// Left, top, right and bottom edge.
fn edges(panel: &Value) -> [u64; 4] {
    let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap_or_default());
    [x, y, x + w, y + h]
}

fn grid(dashboard: &Value) -> Vec<String> {
    let panels = list(dashboard, "panels");
    let mut offences = Vec::new();
    for (index, panel) in panels.iter().enumerate() {
        let (title, [left, top, right, bottom]) = (text(panel, "title"), edges(panel));
        offences
            .extend(unless(left < right && right <= 24 && top < bottom, format!("panel {title} is beyond the grid")));
        for other in &panels[..index] {
            let [other_left, other_top, other_right, other_bottom] = edges(other);
            let apart = right <= other_left || other_right <= left || bottom <= other_top || other_bottom <= top;
            offences.extend(unless(apart, format!("panel {title} lies over {}", text(other, "title"))));
        }
    }
    offences
}

fn targets(dashboard: &Value) -> Vec<String> {
    let mut offences = Vec::new();
    for panel in list(dashboard, "panels").iter().filter(|panel| !is_row(panel)) {
        let (title, targets) = (text(panel, "title"), list(panel, "targets"));
        let mut ids = BTreeSet::new();
        offences.extend(unless(!targets.is_empty(), format!("panel {title} asks for nothing")));
        let at_once = matches!(text(panel, "type"), "stat" | "table");
        for target in targets {
            let id = text(target, "refId");
            offences.extend(unless(
                !id.is_empty() && ids.insert(id),
                format!("panel {title}: refId {id} is missing or twice there"),
            ));
            let uid = &target["datasource"]["uid"];
            offences
                .extend(unless(uid == "${datasource}", format!("panel {title}: {id} has a data source of its own")));
            let instant = target["instant"] == true && target["range"] == false;
            offences.extend(unless(
                instant == at_once,
                format!("panel {title}: {id} asks for a range, or for one time only"),
            ));
            let query = text(target, "expr");
            offences
                .extend(unless(!query.is_empty() && is_balanced(query), format!("panel {title}: {id} is no query")));
        }
    }
    offences
}

fn selectors_choose_the_server(dashboard: &Value) -> Vec<String> {
    let selectors = queries(dashboard).into_iter().flat_map(selectors);
    let lacks = |matchers: &[String], wanted: &str| !matchers.iter().any(|matcher| matcher == wanted);
    selectors
        .filter(|found| lacks(&found.matchers, r#"job=~"$job""#) || lacks(&found.matchers, r#"instance=~"$instance""#))
        .map(|found| format!("{} is not of the chosen job and instance", found.name))
        .collect()
}

/// A rate looks back four scrapes, whatever the zoom. What is counted bar by bar looks back a bar, which must not be shorter
/// than that; what is counted for one time only looks back the time shown.
fn ranges(dashboard: &Value) -> Vec<String> {
    let mut offences = Vec::new();
    for panel in list(dashboard, "panels") {
        for target in list(panel, "targets") {
            let found =
                selectors(text(target, "expr")).into_iter().filter_map(|found| Some((found.range?, found.function)));
            for (range, function) in found {
                let right = match (function.as_deref(), &*range) {
                    (Some("rate" | "irate" | "increase"), "$__rate_interval") => target["range"] == true,
                    (Some("increase"), "$__interval") => target["range"] == true && text(panel, "interval") == "5m",
                    (Some("increase"), "$__range") => target["instant"] == true,
                    _ => false,
                };
                offences.extend(unless(right, format!("panel {}: the range {range}", text(panel, "title"))));
            }
        }
    }
    offences
}

fn counters(dashboard: &Value) -> Vec<String> {
    let counts = |name: &str| ["_total", "_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end));
    queries(dashboard)
        .into_iter()
        .flat_map(selectors)
        .filter(|found| {
            counts(&found.name) && !matches!(found.function.as_deref(), Some("rate" | "irate" | "increase"))
        })
        .map(|found| format!("{} is a counter without a rate", found.name))
        .collect()
}

/// Every address in a dashboard leads to one of ours.
fn links(dashboard: &Value) -> Vec<String> {
    let written = dashboard.to_string();
    let uids = written.split("\"/d/").skip(1);
    let uids = uids.map(|rest| rest.split(['"', '?']).next().unwrap_or_default().to_owned());
    uids.filter(|uid| !NAMES.iter().any(|name| *uid == format!("rollcall-{name}")))
        .map(|uid| format!("a link to {uid} leads nowhere"))
        .collect()
}

// ── what they are held to ───────────────────────────────────────────────────────────────────────────────

#[test]
fn the_dashboards_obey_the_rules() {
    let mut uids = BTreeSet::new();
    for name in NAMES {
        let dashboard = dashboard(name);
        let offences = offences(&dashboard);
        assert!(offences.is_empty(), "{name}.json: {offences:#?}");
        assert_eq!(text(&dashboard, "uid"), format!("rollcall-{name}"));
        assert!(uids.insert(text(&dashboard, "title").to_owned()), "{name}.json has another's title");
    }
}

#[test]
fn every_rule_finds_what_offends_it() {
    let sound = dashboard("sync-health");
    let query = |panel: usize| format!("/panels/{panel}/targets/0/expr");
    let bars = list(&sound, "panels").iter().position(|panel| panel["interval"] == "5m").unwrap();
    let cases = [
        ("/uid".to_owned(), json!("abc"), "its uid is another"),
        ("/title".to_owned(), json!("Health"), "its title does not begin"),
        ("/description".to_owned(), json!(""), "it has no description"),
        ("/schemaVersion".to_owned(), json!(38), "its schemaVersion"),
        ("/editable".to_owned(), json!(true), "it is editable"),
        ("/graphTooltip".to_owned(), json!(0), "its crosshair"),
        ("/tags".to_owned(), json!([]), "its tag"),
        ("/templating/list/0/name".to_owned(), json!("ds"), "datasource, job, instance are not first"),
        ("/templating/list/0/label".to_owned(), json!("Source"), "the variable datasource"),
        ("/templating/list/0/query".to_owned(), json!("loki"), "the variable datasource"),
        ("/templating/list/1/allValue".to_owned(), json!(".*"), "the variable job"),
        ("/templating/list/1/label".to_owned(), json!("job"), "the variable job"),
        ("/templating/list/2/multi".to_owned(), json!(false), "the variable instance"),
        ("/templating/list/2/datasource/uid".to_owned(), json!("prometheus"), "the variable instance"),
        ("/templating/list/3/includeAll".to_owned(), json!(false), "the variable event"),
        ("/templating/list/3/query/query".to_owned(), json!("label_values(up, job)"), "the variable event"),
        ("/templating/list/3/name".to_owned(), json!("feed"), "no query uses the variable feed"),
        (
            query(1),
            json!(r#"rollcall_users{job=~"$job", instance=~"$instance", a="${what}"}"#),
            "there is no variable what",
        ),
        ("/panels/1/id".to_owned(), json!(1), "its id is missing or another's"),
        ("/panels/1/title".to_owned(), json!(""), "panel 2 has no title"),
        ("/panels/1/description".to_owned(), json!(""), "has no description"),
        ("/panels/1/fieldConfig/defaults/unit".to_owned(), json!(""), "has no unit"),
        ("/panels/1/datasource/uid".to_owned(), json!("prom"), "has a data source of its own"),
        ("/panels/1/gridPos/x".to_owned(), json!(1), "lies over"),
        ("/panels/7/gridPos/x".to_owned(), json!(22), "is beyond the grid"),
        ("/panels/1/targets".to_owned(), json!([]), "asks for nothing"),
        ("/panels/8/targets/1/refId".to_owned(), json!("A"), "refId A is missing or twice there"),
        ("/panels/1/targets/0/datasource/uid".to_owned(), json!("prom"), "A has a data source of its own"),
        ("/panels/1/targets/0/instant".to_owned(), json!(false), "asks for a range"),
        (query(1), json!("sum(1"), "A is no query"),
        (query(1), json!(r#"rollcall_users{job=~"$job"}"#), "rollcall_users is not of the chosen"),
        (query(1), json!(r#"up{instance=~"$instance", job="rollcall"}"#), "up is not of the chosen"),
        (
            "/annotations/list/0/expr".to_owned(),
            json!("process_start_time_seconds"),
            "process_start_time_seconds is not of",
        ),
        (query(bars), json!("rate(a_total{}[5m])"), "the range 5m"),
        (query(bars), json!("rate(a_total{}[$__interval])"), "the range $__interval"),
        (query(bars), json!("increase(a_total{}[$__range])"), "the range $__range"),
        (format!("/panels/{bars}/interval"), json!("10s"), "the range $__interval"),
        (query(bars), json!("sum(rollcall_sync_runs_total)"), "is a counter without a rate"),
        ("/links/0/url".to_owned(), json!("/d/elsewhere"), "a link to elsewhere"),
    ];
    for (place, value, expected) in cases {
        let mut broken = sound.clone();
        *broken.pointer_mut(&place).unwrap_or_else(|| panic!("{place} is not there")) = value.clone();
        let offences = offences(&broken);
        assert!(offences.iter().any(|found| found.contains(expected)), "{place} = {value}: {offences:#?}");
    }
    let mut numbered = sound;
    numbered["id"] = json!(7);
    assert_eq!(offences(&numbered), ["it has an id of one Grafana's database"]);
}

//! The table: a good list, then the harm, then the good list again.

use std::collections::HashMap;
use std::fmt::Write as _;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;

use super::list::{self, CANARY_DOMAIN, CANARY_NAME, PEOPLE};
use super::row::{Expected, Malice, Paging, Row};
use super::rows;
use super::served::{Metrics, Served};
use super::server::{Act, Asked, Server};
use super::tls::{Authority, Certificate};
use crate::support::SOURCE_TOKEN;

/// Runs at a time while all is well: few enough that none meets the short time-outs of its row.
const AT_A_TIME: usize = 6;
/// What the process may use at most while bombs and endless answers come in at once.
const PEAK_MIB_MAX: u64 = 200;

/// A row on its stage.
struct Scene {
    row: Row,
    server: Server,
}

/// What was seen of a row's hostile run.
struct Seen {
    run: Value,
    before: Metrics,
    after: Metrics,
}

impl Scene {
    fn new(row: Row, authority: &Authority) -> Self {
        let server = Server::start(good(&row, authority));
        Self { row, server }
    }

    fn is_good_at_first(&self) -> bool {
        !matches!(self.row.malice, Malice::NoHost)
    }

    fn toml(&self) -> String {
        let Row { name, paging, limits, tls, malice, .. } = &self.row;
        let base = match malice {
            // A label of more than 63 bytes: no name server need be asked to know.
            Malice::NoHost => format!("http://{}.invalid/", "a".repeat(64)),
            _ => format!("{}://{}/", if *tls { "https" } else { "http" }, self.server.address),
        };
        format!(
            "[source.{name}]\nbase_url = \"{base}\"\nallow_http = true\n\
             [source.{name}.guard]\nenabled = false\n\
             [source.{name}.request]\npath = \"people\"\n\
             [source.{name}.auth]\nkind = \"bearer\"\ntoken = {{ env = \"SOURCE_TOKEN\" }}\n\
             [source.{name}.pagination]\n{}\n\
             [source.{name}.records]\nselect = \".items[]\"\n\
             [source.{name}.mapping]\nexternal_id = \".id\"\nemail = \".email\"\nfirst_name = \".first\"\nlast_name = \".last\"\n\
             [source.{name}.groups]\nfrom = \".groups\"\n\
             [source.{name}.limits]\n{limits}\n\
             [event.{name}]\n[[event.{name}.feed]]\nsource = \"{name}\"\n",
            paging.toml()
        )
    }

    async fn turn_hostile(&mut self, authority: &Authority) {
        let act = match self.row.malice.clone() {
            Malice::Answers(answer) if self.row.tls => Act::Https(authority.acceptor(Certificate::Good), answer),
            Malice::Answers(answer) => Act::Http(answer),
            Malice::Blind(reply) => Act::Blind(reply),
            Malice::Shut => Act::Shut,
            Malice::Certificate(bad) => Act::Https(authority.acceptor(bad), answer_well(&self.row)),
            Malice::NoHost => return,
        };
        self.server.play(act).await;
    }
}

fn answer_well(row: &Row) -> std::sync::Arc<dyn Fn(&Asked) -> super::server::Reply + Send + Sync> {
    let (name, paging) = (row.name, row.paging);
    std::sync::Arc::new(move |asked| list::good(name, paging, asked))
}

fn good(row: &Row, authority: &Authority) -> Act {
    let answer = answer_well(row);
    if row.tls { Act::Https(authority.acceptor(Certificate::Good), answer) } else { Act::Http(answer) }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_source_does_nobody_changes() {
    let elsewhere = Server::start(Act::Shut);
    let authority = Authority::new();
    let mut scenes: Vec<Scene> =
        rows::all(elsewhere.address).into_iter().map(|row| Scene::new(row, &authority)).collect();
    let served = Served::start(folder(&scenes, &authority)).await;
    let events: Vec<&str> = scenes.iter().map(|scene| scene.row.name).collect();
    let mut complaints = Vec::new();

    for (event, run) in sync_well(&served, &scenes).await {
        assert_eq!((&run["outcome"], &run["counts"]["create"]), (&"done".into(), &PEOPLE.into()), "{event}: {run}");
    }
    let people = served.dump(&events).await;
    let before = served.metrics().await;

    for scene in &mut scenes {
        scene.turn_hostile(&authority).await;
    }
    let runs: HashMap<_, _> = stream::iter(&events)
        .map(|event| async { (*event, served.sync(event).await) })
        .buffer_unordered(events.len())
        .collect()
        .await;
    let after = served.metrics().await;
    complain_of_changes(&mut complaints, "the hostile sources", &people, &served.dump(&events).await);
    let log = log_lines(&served.log());
    for scene in &scenes {
        let seen = Seen { run: runs[scene.row.name].clone(), before: before.clone(), after: after.clone() };
        let mut found = Findings(scene.row.name, &mut complaints);
        check(&mut found, scene, &seen, &log, &served).await;
    }
    if elsewhere.accepted() > 0 {
        complaints.push(format!("{} connections led elsewhere", elsewhere.accepted()));
    }

    for scene in &mut scenes {
        scene.server.play(good(&scene.row, &authority)).await;
    }
    for (event, run) in sync_well(&served, &scenes).await {
        let scene = scenes.iter().find(|scene| scene.row.name == event).unwrap();
        check_next(&mut Findings(&event, &mut complaints), scene, &run);
    }
    complain_of_changes(&mut complaints, "the good sources thereafter", &people, &served.dump(&events).await);
    complain_of_leaks(&mut complaints, &served, runs.values()).await;
    let left: Vec<String> = served.files_of_runs().into_iter().filter(|file| !file.ends_with(".journal")).collect();
    if !left.is_empty() {
        complaints.push(format!("runs left files behind: {left:?}"));
    }
    if let Some(peak) = served.peak_mib().filter(|peak| *peak > PEAK_MIB_MAX) {
        complaints.push(format!("{peak} MiB of memory were used"));
    }
    assert_eq!(served.end().await, Some(0));
    assert!(
        complaints.is_empty(),
        "{} complaints about {} rows:\n{}",
        complaints.len(),
        scenes.len(),
        complaints.join("\n")
    );
}

fn folder(scenes: &[Scene], authority: &Authority) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut config =
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"data\"\n[log]\nformat = \"json\"\n".to_owned();
    for scene in scenes {
        writeln!(config, "{}", scene.toml()).unwrap();
    }
    std::fs::write(folder.path().join("rollcall.toml"), config).unwrap();
    authority.write_to(&folder.path().join("ca.pem"));
    folder
}

/// Syncs every row whose source can be good.
async fn sync_well(served: &Served, scenes: &[Scene]) -> Vec<(String, Value)> {
    let good = scenes.iter().filter(|scene| scene.is_good_at_first());
    let runs = stream::iter(good).map(|scene| async { (scene.row.name.to_owned(), served.sync(scene.row.name).await) });
    runs.buffer_unordered(AT_A_TIME).collect().await
}

fn complain_of_changes(complaints: &mut Vec<String>, whose: &str, before: &[String], after: &[String]) {
    for line in before.iter().filter(|line| !after.contains(line)) {
        complaints.push(format!("{whose} took away: {line}"));
    }
    for line in after.iter().filter(|line| !before.contains(line)) {
        complaints.push(format!("{whose} brought: {line}"));
    }
}

/// What is wrong with a row.
struct Findings<'a>(&'a str, &'a mut Vec<String>);

impl Findings<'_> {
    fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.1.push(format!("{}: {}", self.0, what()));
        }
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, expected: T) {
        self.demand(found == expected, || format!("{what} is {found:?}, not {expected:?}"));
    }
}

async fn check(found: &mut Findings<'_>, scene: &Scene, seen: &Seen, log: &[Value], served: &Served) {
    let (row, run) = (&scene.row, &seen.run);
    match &row.expected {
        Expected::Failed { reason, message, hint } => {
            found.equal("outcome", &run["outcome"], &"failed".into());
            found.equal("reason", &run["error"]["reason"], &(*reason).into());
            let (said, mend) =
                (run["error"]["message"].as_str().unwrap_or(""), run["error"]["hint"].as_str().unwrap_or(""));
            found.demand(said.starts_with(row.place) && said.contains(message), || format!("says: {said}"));
            found.demand(!mend.is_empty() && mend.contains(hint), || format!("hints: {mend}"));
            found.demand(said.len() + mend.len() < 600, || format!("says {} bytes", said.len()));
            found.equal("applied", &run["applied"], &0.into());
            check_history(found, row, run, served).await;
        }
        Expected::Done { complete, unchanged, skip, reject } => {
            found.equal("outcome", &run["outcome"], &"done".into());
            found.demand(run["error"].is_null(), || format!("error: {}", run["error"]));
            found.equal("complete", &run["complete"], &(*complete).into());
            let counts = &run["counts"];
            let told = ["unchanged", "skip", "reject", "missing", "create", "update", "remove", "delete"]
                .map(|name| counts[name].as_u64().unwrap());
            found.equal("counts", told, [*unchanged, *skip, *reject, 0, 0, 0, 0, 0]);
        }
    }
    check_requests(found, scene, run);
    check_log(found, row, run, log);
    check_metrics(found, row, seen);
}

async fn check_history(found: &mut Findings<'_>, row: &Row, run: &Value, served: &Served) {
    found.equal("the run alone", &served.json(&format!("/v1/runs/{}", run["id"])).await, run);
    let history = served.json(&format!("/v1/runs?event={}&source={}&outcome=failed", row.name, row.name)).await;
    found.equal("history", &history["items"], &Value::Array(vec![run.clone()]));
    let log = served.get(&format!("/v1/runs/{}/log", run["id"])).await;
    let line = format!(
        "{}: {}",
        run["error"]["reason"].as_str().unwrap_or(""),
        run["error"]["message"].as_str().unwrap_or("")
    );
    found.demand(log.contains(&Value::from(line).to_string()), || format!("its log is {log}"));
}

fn check_requests(found: &mut Findings<'_>, scene: &Scene, run: &Value) {
    let Row { requests, asked, last_given_up, pauses, .. } = &scene.row;
    let told = run["traffic"]["requests"].as_u64().unwrap();
    found.equal("requests", told, *requests);
    let seen = scene.server.asked();
    let came = asked.unwrap_or_else(|| usize::try_from(told).unwrap());
    let accepted = scene.server.accepted();
    if *last_given_up {
        found.demand((came - 1..=came).contains(&seen.len()), || format!("{} requests at the server", seen.len()));
        found.demand((came - 1..=came).contains(&accepted), || format!("{accepted} connections"));
        return;
    }
    found.equal("requests at the server", seen.len(), came);
    // One connection a request: the good list's connections were closed.
    if !matches!(scene.row.malice, Malice::Shut | Malice::NoHost) {
        found.equal("connections", accepted as u64, told);
    }
    for (before, pause) in pauses {
        let gap = seen.get(before + 1).map(|next| next.at - seen[*before].at);
        found.demand(gap.is_some_and(|gap| gap >= *pause), || format!("{gap:?} after request {before}, not {pause:?}"));
    }
}

fn log_lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).expect("the log is JSON, line by line")).collect()
}

fn check_log(found: &mut Findings<'_>, row: &Row, run: &Value, log: &[Value]) {
    let ends: Vec<&Value> =
        log.iter().filter(|line| line["message"] == "sync ended" && line["run"] == run["id"]).collect();
    found.equal("lines of the end", ends.len(), 1);
    for end in ends {
        for (key, told) in [
            ("event", &row.name.into()),
            ("outcome", &run["outcome"]),
            ("reason", &run["error"]["reason"]),
            ("error", &run["error"]["message"]),
            ("hint", &run["error"]["hint"]),
        ] {
            found.equal(&format!("`{key}` in the log"), &end[key], told);
        }
        let is_odd = run["degraded"].as_array().is_some_and(|doubts| !doubts.is_empty());
        let level = match run["outcome"].as_str() {
            Some("failed") => "ERROR",
            _ if is_odd => "WARN",
            _ => "INFO",
        };
        found.equal("the level", &end["level"], &level.into());
    }
}

fn check_metrics(found: &mut Findings<'_>, row: &Row, seen: &Seen) {
    let (name, trigger) = (row.name, seen.run["trigger"].as_str().unwrap());
    // A trigger appears with its first run.
    let grown = |series: &str| seen.after.get(series).unwrap_or(&0.0) - seen.before.get(series).unwrap_or(&0.0);
    let failed = f64::from(u8::from(seen.run["outcome"] == "failed"));
    for (outcome, by) in [("failed", failed), ("done", 1.0 - failed), ("cancelled", 0.0)] {
        let series = format!(
            r#"rollcall_sync_runs_total{{event="{name}",source="{name}",trigger="{trigger}",outcome="{outcome}"}}"#
        );
        found.equal(&series, grown(&series), by);
    }
    let errors: Vec<&String> = seen
        .after
        .keys()
        .filter(|series| series.starts_with(&format!(r#"rollcall_sync_errors_total{{source="{name}","#)))
        .collect();
    found.equal("series of errors", errors.len(), 17);
    for series in errors {
        let reason = seen.run["error"]["reason"].as_str();
        let this = reason.is_some_and(|reason| series.ends_with(&format!(r#"reason="{reason}"}}"#)));
        found.equal(series, grown(series), f64::from(u8::from(this)));
    }
    let requests = grown_sum(seen, &format!(r#"rollcall_source_requests_total{{source="{name}","#));
    found.equal("requests by the metrics", requests, seen.run["traffic"]["requests"].as_f64().unwrap());
    for action in ["create", "update", "remove", "delete"] {
        let series = format!(r#"rollcall_sync_changes_total{{event="{name}",source="{name}",action="{action}"}}"#);
        found.equal(&series, grown(&series), 0.0);
    }
    let feed = |metric: &str| format!(r#"rollcall_feed_{metric}{{event="{name}",source="{name}"}}"#);
    found.equal("failures in a row", grown(&feed("consecutive_failures")), failed);
    found.demand(grown(&feed("last_attempt_timestamp_seconds")) > 0.0, || "no attempt is told".into());
    let success = grown(&feed("last_success_timestamp_seconds"));
    found.demand((success > 0.0) != (failed > 0.0), || format!("the last success moved by {success} s"));
}

fn grown_sum(seen: &Seen, prefix: &str) -> f64 {
    let sum = |metrics: &Metrics| {
        metrics.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, value)| value).sum::<f64>()
    };
    sum(&seen.after) - sum(&seen.before)
}

/// The next sync finds everybody unchanged, unless the source asked to be left alone for longer.
fn check_next(found: &mut Findings<'_>, scene: &Scene, run: &Value) {
    if scene.row.stays_closed {
        found.equal("the next reason", &run["error"]["reason"], &"rate_limited".into());
        found.equal("the next requests", scene.server.asked().len(), 0);
        return;
    }
    found.equal("the next outcome", &run["outcome"], &"done".into());
    found.equal("the next unchanged", &run["counts"]["unchanged"], &PEOPLE.into());
    found.equal("the next records", &run["counts"]["records"], &PEOPLE.into());
    found.equal("the next missing", &run["counts"]["missing"], &0.into());
    found.equal("the next complete", &run["complete"], &true.into());
}

/// Nothing that a source says, nor the credential, is told to whoever may not see people.
async fn complain_of_leaks(complaints: &mut Vec<String>, served: &Served, hostile: impl Iterator<Item = &Value>) {
    let runs = served.get("/v1/runs?limit=1000").await;
    let mut told = vec![("the log".to_owned(), served.log()), ("metrics".into(), served.get("/metrics").await)];
    for run in hostile {
        let id = &run["id"];
        told.push((format!("run {id}'s log"), served.get(&format!("/v1/runs/{id}/log")).await));
    }
    told.push(("history".into(), runs));
    for (place, text) in told {
        for canary in [SOURCE_TOKEN, CANARY_NAME, CANARY_DOMAIN] {
            if let Some(at) = text.find(canary) {
                let before = text[..at].lines().last().unwrap_or_default();
                complaints.push(format!("{place} holds {canary}: {before}{canary}"));
            }
        }
        if text.contains("panicked") {
            complaints.push(format!("{place} tells of a panic"));
        }
    }
}

#[test]
fn every_row_has_a_name_of_its_own_and_every_paging_its_harm() {
    let rows = rows::all("127.0.0.1:1".parse().unwrap());
    for (n, row) in rows.iter().enumerate() {
        assert!(rows[..n].iter().all(|other| other.name != row.name), "{}", row.name);
    }
    for paging in [Paging::Page, Paging::Total, Paging::Cursor, Paging::NextUrl, Paging::Link] {
        assert!(rows.iter().any(|row| row.paging == paging), "{paging:?}");
    }
}

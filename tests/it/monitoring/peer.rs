//! A real Prometheus with our configuration and rules, and promtool.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use url::form_urlencoded::Serializer;

use super::wire;
use crate::support::until;

/// As docs/monitoring.md lays it out, but each second.
pub struct Prometheus {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

/// A folder with what is copied to `/etc/prometheus`.
pub fn installed(target: SocketAddr, token: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dashboards = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let config = fs::read_to_string(dashboards.join("prometheus.yml")).unwrap();
    let config = config.replace("127.0.0.1:7070", &target.to_string()).replace("interval: 15s", "interval: 1s");
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    fs::copy(dashboards.join("alerts.yml"), folder.path().join("alerts.yml")).unwrap();
    fs::write(folder.path().join("rollcall-token"), format!("{token}\n")).unwrap();
    folder
}

/// What it says; it must be content.
pub fn promtool(folder: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(folder);
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut process = started.unwrap_or_else(|error| panic!("promtool: {error}; run tests/run"));
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
    said
}

impl Prometheus {
    pub async fn start(target: SocketAddr, token: &str) -> Self {
        let folder = installed(target, token);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("prometheus");
        command.current_dir(folder.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]);
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
        let started =
            command.stdin(Stdio::null()).stderr(fs::File::create(folder.path().join("said")).unwrap()).spawn();
        let process = started.unwrap_or_else(|error| panic!("prometheus: {error}; run tests/run"));
        let prometheus = Self { process, address, folder };
        // So often that rates are there, of these readings themselves, too.
        prometheus.reads(5.0).await;
        prometheus
    }

    /// Waits until it has read the server so many times more.
    pub async fn reads(&self, times: f64) {
        let before = self.times_read().await;
        until("Prometheus reads the server", async || self.times_read().await >= before + times).await;
    }

    async fn times_read(&self) -> f64 {
        let ready = wire::ask(self.address, "GET", "/-/ready", None, "").await;
        if ready.is_none_or(|ready| ready.status != 200) {
            return 0.0;
        }
        self.now(r#"sum_over_time(up{job="rollcall"}[1h])"#).await.first().and_then(value).unwrap_or_default()
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
        let answer = wire::ask(self.address, "GET", &format!("{path}?{query}"), None, "").await.unwrap();
        let answer = answer.json();
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}\n{}", self.said());
        answer["data"].clone()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap()
    }

    /// What an expression is now.
    pub async fn now(&self, expression: &str) -> Vec<Value> {
        let answer = self.get("/api/v1/query", &[("query", expression)]).await;
        answer["result"].as_array().unwrap().clone()
    }

    /// What it was in the last so many seconds, each second.
    pub async fn lately(&self, expression: &str, seconds: i64) -> Vec<Value> {
        let end = jiff::Timestamp::now().as_second();
        let (start, end) = ((end - seconds).to_string(), end.to_string());
        let parameters = [("query", expression), ("start", &start), ("end", &end), ("step", "1")];
        self.get("/api/v1/query_range", &parameters).await["result"].as_array().unwrap().clone()
    }

    /// Every rule as Prometheus has it: name, health, state.
    pub async fn rules(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/rules", &[]).await;
        let groups = answer["groups"].as_array().unwrap();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Every value of a series, as it is written.
pub fn values(series: &Value) -> Vec<String> {
    let one = series["value"].get(1).into_iter();
    let many = series["values"].as_array().into_iter().flatten().filter_map(|sample| sample.get(1));
    one.chain(many).filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// The value of a series of an instant.
pub fn value(series: &Value) -> Option<f64> {
    series["value"][1].as_str()?.parse().ok()
}

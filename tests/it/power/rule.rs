//! The rule: whenever something is acknowledged, everything that is needed is safe.

use std::collections::BTreeMap;

use serde_json::Value;

use super::community::ROUNDS;
use super::disk::Disk;
use super::record::Recording;
use super::trace::{Call, Edge, Trace};

/// What was told of runs: their numbers, and their outcomes where they had ended.
pub type Told = BTreeMap<u64, Option<String>>;

/// Somebody outside is told something that they may build upon.
#[derive(Debug)]
pub struct Acknowledgement {
    /// The step at which it leaves the process.
    pub step: usize,
    pub what: String,
    /// Everything told so far, of every process in the trace.
    pub told: Told,
}

/// Every answer of the API on `ports` that tells something new of a run, every word on the standard output, every good
/// end. An answer that says no more than that a run goes on acknowledges nothing.
pub fn acknowledgements(trace: &Trace, ports: &[u16]) -> Vec<Acknowledgement> {
    let mut told = Told::new();
    let mut said: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut found = Vec::new();
    for (number, step) in trace.steps.iter().enumerate().filter(|(_, step)| step.edge == Edge::Begin) {
        match &trace.calls[step.call] {
            Call::Write { to, bytes, .. } if to.fd == 1 || is_answer(&to.name, ports) => {
                let text = said.entry(&to.name).or_default();
                text.extend_from_slice(bytes);
                let before = told.clone();
                if let Some(json) = answer(text) {
                    tell(&json, &mut told);
                    text.clear();
                }
                if to.fd == 1 || told != before {
                    let what = format!("{} bytes to {}", bytes.len(), to.name);
                    found.push(Acknowledgement { step: number, what, told: told.clone() });
                }
            }
            Call::Exit { code: 0 } => {
                said.clear();
                found.push(Acknowledgement { step: number, what: "exit code 0".into(), told: told.clone() });
            }
            _ => {}
        }
    }
    found
}

fn is_answer(name: &str, ports: &[u16]) -> bool {
    let local = name.strip_prefix("TCP:[").and_then(|name| name.split_once("->"));
    local.is_some_and(|(local, _)| ports.iter().any(|port| local.ends_with(&format!(":{port}"))))
}

/// The JSON of a whole answer or output.
fn answer(said: &[u8]) -> Option<Value> {
    let end = said.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    serde_json::from_slice(&said[end.map_or(0, |end| end + 4)..]).ok()
}

/// Takes up every run that is named: `run` where one was started, `id` with its `outcome` where it is shown.
fn tell(json: &Value, told: &mut Told) {
    if let Some(run) = json["run"].as_u64() {
        told.entry(run).or_default();
    }
    if let (Some(run), Some(outcome)) = (json["id"].as_u64(), json["outcome"].as_str()) {
        told.insert(run, Some(outcome.to_owned()));
    }
    match json {
        Value::Object(fields) => fields.values().for_each(|value| tell(value, told)),
        Value::Array(items) => items.iter().for_each(|value| tell(value, told)),
        _ => {}
    }
}

/// May this file be lost, or half written, at any time?
fn is_exempt(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    // Spools and half-written files: swept at the next start, read by nobody.
    let swept = name.ends_with(".spool") || name.ends_with(".part");
    // Written anew by every process that has the store open.
    let renewed = name == "server.json" || name == "lock";
    // sled's short cut at opening: it reads its log from the beginning where there is none. A renamed one was synced.
    let short_cut = name.starts_with("snap.");
    // The anchor may lag behind the store, which is harmless, and is written only after it; the ballast is room.
    let lags = name == "anchor" || name == "ballast";
    // What a power cut leaves of the index fails its checksum, and everybody is read instead.
    let checked = name == "index" || name == "index.tmp";
    swept || renewed || short_cut || lags || checked
}

/// Every file that was needed and not safe when something was acknowledged.
pub fn offences(trace: &Trace, root: &str, ports: &[u16]) -> Vec<String> {
    let acknowledgements = acknowledgements(trace, ports);
    let mut due = acknowledgements.iter().peekable();
    let mut disk = Disk::new(root);
    let mut offences = Vec::new();
    for (number, step) in trace.steps.iter().enumerate() {
        while let Some(acknowledgement) = due.next_if(|acknowledgement| acknowledgement.step == number) {
            let found = disk.unsafe_now().into_iter().filter(|(path, _)| !is_exempt(path));
            let what = &acknowledgement.what;
            offences.extend(found.map(|(path, why)| format!("{what} at step {number}: {path}: {why}")));
        }
        disk.step(trace, *step);
    }
    offences
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs strace; tests/run runs it"]
async fn whatever_is_acknowledged_is_safe() {
    let recording = Recording::make().await;
    let acknowledged = acknowledgements(&recording.trace, &recording.ports);
    let runs: Vec<_> = acknowledged.iter().flat_map(|acknowledgement| acknowledgement.told.clone()).collect();
    // The last round's first run was killed.
    for run in (1..ROUNDS as u64).chain([ROUNDS as u64 + 1]) {
        assert!(runs.contains(&(run, Some("done".into()))), "run {run} was not seen: {acknowledged:?}");
    }
    assert!(runs.contains(&(2, None)), "that run 2 had begun was not seen: {acknowledged:?}");
    let offences = offences(&recording.trace, &recording.root, &recording.ports);
    assert!(offences.is_empty(), "acknowledged, but not safe:\n{}", offences.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 80;
    /// A batch, synced, and the answer that tells of it.
    const GOOD: &str = r#"7 mkdir("/p/data", 0700) = 0
7 openat(AT_FDCWD</>, "/p", O_RDONLY) = 5</p>
7 fsync(5</p>) = 0
7 openat(AT_FDCWD</>, "/p/data/db", O_RDWR|O_CREAT, 0600) = 3</p/data/db>
7 openat(AT_FDCWD</>, "/p/data/1.spool", O_RDWR|O_CREAT, 0600) = 4</p/data/1.spool>
7 write(4</p/data/1.spool>, "x", 1) = 1
7 pwrite64(3</p/data/db>, "x", 1, 0) = 1
7 sync_file_range(3</p/data/db>, 0, 1, SYNC_FILE_RANGE_WRITE) = 0
7 fdatasync(3</p/data/db>) = 0
7 fsync(6</p/data>) = 0
7 writev(9<TCP:[127.0.0.1:80->127.0.0.1:9]>, [{iov_base="HTTP/1.1 202\r\n\r\n", iov_len=1}, {iov_base="@", iov_len=1}], 2) = 999
7 exit_group(0) = ?
"#;

    fn offences_of(text: &str) -> Vec<String> {
        let body = r#"{"runs":[{"run":1}]}"#.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let head = "HTTP/1.1 202 Accepted\r\n\r\n".bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let text = text.replace(r"HTTP/1.1 202\r\n\r\n", &head).replace('@', &body).replace("= 999", "= 45");
        offences(&Trace::parse(&text, "/p"), "/p", &[PORT])
    }

    fn without(line: &str) -> String {
        assert!(GOOD.contains(line));
        GOOD.lines().filter(|other| !other.contains(line)).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn what_was_synced_may_be_acknowledged() {
        assert_eq!(offences_of(GOOD), Vec::<String>::new());
        let cut_off = GOOD.replace("7 fsync(6", "8 ftruncate(3</p/data/db>, 0) = 0\n7 fsync(6");
        assert_eq!(offences_of(&cut_off), Vec::<String>::new(), "what was cut off may come back");
        let longer = GOOD.replace("7 fsync(6", "8 ftruncate(3</p/data/db>, 9) = 0\n7 fsync(6");
        assert_eq!(offences_of(&longer).len(), 2, "what was added may go");
        let late = without("exit_group") + "7 pwrite64(3</p/data/db>, \"y\", 1, 1) = 1\n";
        assert_eq!(offences_of(&late), Vec::<String>::new(), "written after the acknowledgement");
    }

    #[test]
    fn every_missing_sync_is_found_at_every_acknowledgement() {
        for (line, offence) in [
            ("fdatasync(3", "data/db: written, not synced"),
            ("fsync(6", "data/db: made or renamed, its folder not synced"),
            ("fsync(5", "data: made or renamed, its folder not synced"),
        ] {
            let found = offences_of(&without(line));
            assert_eq!(found.len(), 2, "without {line}: {found:?}");
            assert!(found.iter().all(|found| found.ends_with(offence)), "without {line}: {found:?}");
        }
    }

    #[test]
    fn syncs_of_another_file_or_too_early_are_no_syncs() {
        let other = GOOD.replace("fdatasync(3</p/data/db>)", "fdatasync(4</p/data/1.spool>)");
        assert_eq!(offences_of(&other).len(), 2);
        let sync = "7 fdatasync(3</p/data/db>) = 0\n";
        let early = without("fdatasync(3").replace("7 pwrite64", &format!("{sync}7 pwrite64"));
        assert_eq!(offences_of(&early).len(), 2);
        let late = without("fdatasync(3").replace("7 exit_group", &format!("{sync}7 exit_group"));
        assert_eq!(offences_of(&late).len(), 1, "the answer went out before the sync");
        let overlapping = GOOD.replace(
            sync,
            "8 fdatasync(3</p/data/db> <unfinished ...>\n7 pwrite64(3</p/data/db>, \"z\", 1, 9) = 1\n\
             8 <... fdatasync resumed>) = 0\n",
        );
        assert_eq!(offences_of(&overlapping).len(), 2, "written while the sync was under way");
    }
}

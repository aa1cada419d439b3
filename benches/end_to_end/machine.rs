//! What the figures were measured on: they say nothing without it.

use std::fs::{File, read_to_string};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::Outcome;
use super::table::{median, millis};

/// Each commit waits for the disk, so how long that takes is measured, this often.
const SYNCS: usize = 20;

/// Prints the machine, and returns it.
pub fn describe(scratch: &Path) -> Outcome<Value> {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism()?.get();
    let memory_kb: u64 =
        field("/proc/meminfo", "MemTotal").and_then(|text| text.strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let disk_sync = disk_sync(scratch)?;
    let (version, profile) = (env!("CARGO_PKG_VERSION"), profile());
    println!("rollcall {version}, profile {profile}");
    println!(
        "{cpu}, {cores} cores, {:.1} GB, Linux {kernel}, load {load} at the start",
        memory_kb as f64 * 1024.0 / 1e9
    );
    println!("the disk syncs 4 KiB in {} ms", millis(disk_sync));
    Ok(json!({
        "version": version, "profile": profile, "cpu": cpu, "cores": cores, "memory_bytes": memory_kb * 1024,
        "kernel": kernel, "load": load, "disk_sync_s": disk_sync,
    }))
}

/// A line `name : value` of a file of /proc.
fn field(path: &str, name: &str) -> Option<String> {
    let text = read_to_string(path).ok()?;
    let (_, value) = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

/// Cargo puts a binary into a folder of the profile's name.
fn profile() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_rollcall")).parent().and_then(Path::file_name);
    let name = folder.map_or_else(|| "unknown".into(), |name| name.to_string_lossy());
    if cfg!(debug_assertions) { format!("{name} (unoptimised: the figures mean nothing)") } else { name.into_owned() }
}

/// Seconds until 4 KiB more of a file are on disk.
fn disk_sync(scratch: &Path) -> Outcome<f64> {
    let path = scratch.join("disk_sync");
    let mut file = File::create(&path)?;
    let mut took = Vec::new();
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        took.push(start.elapsed().as_secs_f64());
    }
    std::fs::remove_file(path)?;
    Ok(median(&took))
}

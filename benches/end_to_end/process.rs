//! Child processes: none outlives the bench, and each tells how much memory it took.

use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;

/// How often the memory of a command is looked at. The kernel keeps the peak, so only what a process takes in its
/// last moments is missed, if nobody looks any more before it ends.
const LOOK: Duration = Duration::from_millis(5);

/// The children that run, for the signal that ends this program without unwinding it.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A child process. Dropping it kills it.
pub struct Process(Child);

/// How a command went.
pub struct Ended {
    pub status: ExitStatus,
    /// From before the process was made until its end was known.
    pub took: Duration,
    pub peak_bytes: u64,
}

/// The resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub now: u64,
    pub peak: u64,
}

impl Process {
    pub fn start(command: &mut Command) -> Outcome<Self> {
        let mut running = RUNNING.lock();
        let child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        running.push(Pid::from_child(&child));
        Ok(Self(child))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// What the child prints, where it was piped.
    pub fn output(&mut self) -> Option<std::process::ChildStdout> {
        self.0.stdout.take()
    }

    pub fn has_ended(&mut self) -> Outcome<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    pub fn memory(&self) -> Outcome<Memory> {
        memory(self.id()).ok_or_else(|| "a process that is measured has ended".into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let id = Pid::from_child(&self.0);
        RUNNING.lock().retain(|running| *running != id);
        // It may have ended long ago.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Outcome<Ended> {
    let start = Instant::now();
    let mut process = Process::start(command)?;
    let id = process.id();
    let watch = thread::spawn(move || peak(id));
    let status = process.0.wait()?;
    let took = start.elapsed();
    let peak_bytes = watch.join().map_err(|_| "looking at a process's memory panicked")?;
    Ok(Ended { status, took, peak_bytes })
}

/// The most memory a process takes until it ends: one that has ended has none.
fn peak(id: u32) -> u64 {
    let mut peak = 0;
    while let Some(memory) = memory(id) {
        peak = memory.peak;
        thread::sleep(LOOK);
    }
    peak
}

/// See proc_pid_status(5).
fn memory(id: u32) -> Option<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    Some(Memory { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
}

/// When somebody ends the bench early, ends its children first and removes `scratch`.
pub fn end_with_a_signal(scratch: &Path) {
    let scratch = scratch.to_owned();
    thread::spawn(move || {
        // Without it an early end leaves a child and a folder behind, and nothing else is wrong.
        let Ok(code) = wait_for_a_signal() else { return };
        let running = RUNNING.lock();
        for id in running.iter() {
            let _ = kill_process(*id, Signal::KILL);
        }
        let _ = std::fs::remove_dir_all(scratch);
        std::process::exit(code);
    });
}

/// The exit code of a program that a signal ended, as shells have it.
fn wait_for_a_signal() -> std::io::Result<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        })
    })
}

//! What the process takes of the machine, under the names that Prometheus' own clients use
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// `None` where the system does not tell.
#[derive(Debug)]
pub struct Process {
    /// Of all threads, user and system.
    pub cpu: Duration,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub open_fds: Option<usize>,
    /// `None` where there is no limit, too.
    pub max_fds: Option<u64>,
    pub threads: Option<usize>,
}

impl Process {
    pub fn now() -> Self {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = Duration::try_from(used).unwrap_or_default();
        // proc(5): the sizes in pages, of the whole and of what is resident.
        let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let mut bytes = pages.split(' ').map_while(|pages| pages.parse::<u64>().ok()).map(|pages| pages * page_bytes());
        let count = |folder| Some(fs::read_dir(folder).ok()?.count());
        Self {
            cpu,
            virtual_bytes: bytes.next(),
            resident_bytes: bytes.next(),
            // One is that by which they are counted.
            open_fds: count("/proc/self/fd").map(|open| open.saturating_sub(1)),
            max_fds: getrlimit(Resource::Nofile).current,
            threads: count("/proc/self/task"),
        }
    }
}

fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_grows_by_what_is_opened_and_started() {
        let before = Process::now();
        let opened: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let idle = std::thread::spawn(move || stopped.recv());
        let after = Process::now();
        // Other tests open and close theirs meanwhile.
        assert!(after.open_fds.unwrap() + 25 >= before.open_fds.unwrap() + opened.len(), "{before:?} {after:?}");
        assert!(after.threads.unwrap() >= 2 && after.cpu >= before.cpu, "{before:?} {after:?}");
        let (resident, all) = (after.resident_bytes.unwrap(), after.virtual_bytes.unwrap());
        assert!(resident > 1 << 20 && all > resident, "{after:?}");
        drop(stop);
        let _ = idle.join().unwrap();
    }
}

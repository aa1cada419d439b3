//! How many connections the process's limit of open files leaves room for.
//!
//! The store, the journals and the sources open files while the API is busy, and a sync that finds no descriptor
//! fails. So connections never take what those need: a newcomer gets the seat of an idle one instead.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{API_CONNECTIONS_MAX, DESCRIPTORS_RESERVED};

/// Raises the soft limit of open files to the hard one and tells what holds now; `None` is no limit.
///
/// The soft limit is low only for the sake of programs that use select(2).
pub fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// The connections that may be open under a limit: all but [`DESCRIPTORS_RESERVED`], or a quarter where that is more.
pub fn seats(limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return API_CONNECTIONS_MAX };
    let left = limit.saturating_sub(DESCRIPTORS_RESERVED).max(limit / 4);
    usize::try_from(left).unwrap_or(usize::MAX).clamp(1, API_CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_what_the_rest_of_the_process_leaves() {
        for (limit, expected) in [
            (None, API_CONNECTIONS_MAX),
            (Some(u64::MAX), API_CONNECTIONS_MAX),
            (Some(20_000), API_CONNECTIONS_MAX),
            (Some(1_152), 1_024),
            (Some(1_024), 896),
            (Some(256), 128),
            (Some(128), 32),
            (Some(64), 16),
            (Some(3), 1),
            (Some(0), 1),
        ] {
            assert_eq!(seats(limit), expected, "{limit:?}");
        }
    }

    #[test]
    fn the_limit_is_what_the_system_says() {
        let raised = raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, now.maximum), (raised, raised));
    }
}

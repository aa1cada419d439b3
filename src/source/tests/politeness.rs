//! Whatever callers ask, however slow the source and its store are and whenever the process is killed: the source never
//! sees more than it allows. Time is simulated.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{BoxFuture, join_all};
use jiff::Timestamp;
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use super::heard::Heard;
use super::*;
use crate::config::{DailyReset, Per, WindowSpec};
use crate::limits;
use crate::model::{ChildKey, Keepsake};
use crate::source::budget::{Budget, Permit, Refusal, Terms};
use crate::source::{Keep, KeepError};

const ANSWER_MAX: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn start() -> Timestamp {
    "2026-10-24T20:00:00Z".parse().unwrap()
}

/// A store that takes its time, and may have written what nobody waits for any more.
#[derive(Default)]
struct Store {
    kept: Memory,
    slow: Duration,
    /// The pause comes after the writing, not before it.
    writes_at_once: bool,
    writes: AtomicUsize,
}

impl Keep for Store {
    fn key(&self) -> ChildKey {
        self.kept.key()
    }

    fn load(&self, what: Keepsake) -> Option<Vec<u8>> {
        self.kept.load(what)
    }

    fn keep(&self, what: Keepsake, value: Vec<u8>) -> BoxFuture<'_, Result<(), KeepError>> {
        Box::pin(async move {
            if self.writes_at_once {
                self.kept.keep(what, value.clone()).await?;
            }
            sleep(self.slow).await;
            self.writes.fetch_add(1, Ordering::Relaxed);
            if self.writes_at_once { Ok(()) } else { self.kept.keep(what, value).await }
        })
    }
}

fn window(requests: u32, per: Per) -> WindowSpec {
    WindowSpec { requests, per, resets: None }
}

fn open(windows: &[WindowSpec], keep: &Arc<Store>, clock: &Clock) -> Budget {
    Budget::open(Terms {
        source: SourceName::parse("crm").unwrap(),
        windows: windows.to_vec(),
        weight: 1,
        answer_max: ANSWER_MAX,
        keep: Arc::clone(keep) as Arc<dyn Keep>,
        clock: clock.clone(),
        observer: Observer::default(),
    })
}

async fn admit(budget: &Budget, weight: u32, patience: Duration) -> Result<Permit, Refusal> {
    budget.admit(weight, Instant::now() + patience, &mut |_, _| {}).await
}

fn clock() -> Clock {
    Clock::Tokio(start(), Instant::now())
}

/// Runs on tokio's clock, which goes only when everybody waits.
fn simulated<T>(simulation: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulation)
}

/// One request of a caller, in milliseconds.
#[derive(Debug, Clone)]
struct Call {
    weight: u32,
    think: u64,
    latency: u64,
    /// The source counts it so late after the admission, in hundredths of the latency.
    arrives: u64,
}

#[derive(Debug, Clone)]
struct Course {
    windows: Vec<WindowSpec>,
    callers: Vec<Vec<Call>>,
    /// For how long each process lives, and how long it is down then, in milliseconds.
    kills: Vec<(u64, u64)>,
    store_slow: u64,
    writes_at_once: bool,
    /// By how much the source's clock is ahead of ours, in seconds.
    skew: i64,
}

/// When the source counted how much, since the start.
type Seen = Arc<Mutex<Vec<(Duration, u64)>>>;

async fn call(budget: Budget, calls: Vec<Call>, done: Arc<AtomicUsize>, seen: Seen, began: Instant) {
    for Call { weight, think, latency, arrives } in calls {
        sleep(Duration::from_millis(think)).await;
        let permit = admit(&budget, weight, 3_000 * DAY).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let arrival = began.elapsed() + Duration::from_millis(latency * arrives / 100);
        seen.lock().push((arrival, u64::from(weight)));
        done.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(latency)).await;
        drop(permit);
    }
}

/// What the source saw.
async fn run(course: &Course) -> Vec<(Duration, u64)> {
    let (clock, began, seen) = (clock(), Instant::now(), Seen::default());
    let slow = Duration::from_millis(course.store_slow);
    let keep = Arc::new(Store { slow, writes_at_once: course.writes_at_once, ..Store::default() });
    let mut rest: Vec<_> = course.callers.clone();
    let lives = course.kills.iter().map(|(life, down)| (Duration::from_millis(*life), Duration::from_millis(*down)));
    for (life, down) in lives.chain([(Duration::MAX / 4, Duration::ZERO)]) {
        let budget = open(&course.windows, &keep, &clock);
        let done: Vec<_> = rest.iter().map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let callers = rest.iter().zip(&done);
        let calls = callers
            .map(|(calls, done)| call(budget.clone(), calls.clone(), Arc::clone(done), Arc::clone(&seen), began));
        let mut living: Pin<Box<_>> = Box::pin(join_all(calls));
        let killed = tokio::time::timeout(life.min(3_000 * DAY), &mut living).await.is_err();
        // What is on its way reaches the source at the last moment.
        let now = began.elapsed();
        if killed {
            seen.lock().iter_mut().for_each(|(at, _)| *at = (*at).min(now));
        }
        drop(living);
        for (calls, done) in rest.iter_mut().zip(&done) {
            calls.drain(..done.load(Ordering::Relaxed));
        }
        sleep(down).await;
    }
    assert!(rest.iter().all(Vec::is_empty), "every request was made in the end");
    let mut seen = std::mem::take(&mut *seen.lock());
    seen.sort_unstable();
    seen
}

/// The most that any window of the source's saw.
fn most(window: &WindowSpec, seen: &[(Duration, u64)], skew: i64) -> u64 {
    if let Some(reset) = &window.resets {
        let mut days = BTreeMap::<_, u64>::new();
        for (at, units) in seen {
            let wall = start() + *at + jiff::SignedDuration::from_secs(skew);
            let local = wall.to_zoned(reset.zone.clone()).datetime();
            let day = if local.time() < reset.at { local.date().yesterday().unwrap() } else { local.date() };
            *days.entry(day).or_default() += units;
        }
        return days.into_values().max().unwrap_or_default();
    }
    let length = window.per.duration();
    let from = |first: usize| seen[first..].iter().take_while(move |(at, _)| *at < seen[first].0 + length);
    (0..seen.len()).map(|first| from(first).map(|(_, units)| units).sum()).max().unwrap_or_default()
}

fn any_window() -> impl Strategy<Value = WindowSpec> {
    let lengths = vec![100, 250, 1_000, 30_000, 60_000, 90_000, 600_000, 3_600_000, 86_400_000, 259_200_000];
    let zones = vec!["UTC", "America/New_York", "Europe/Berlin", "Pacific/Apia"];
    let sliding = (1..60_u32, prop::sample::select(lengths));
    let sliding = sliding.prop_map(|(requests, ms)| window(requests, Per::new(Duration::from_millis(ms))));
    let daily = (1..60_u32, 0..24_i8, prop::sample::select(zones));
    let daily = daily.prop_map(|(requests, hour, zone)| WindowSpec {
        requests,
        per: Per::Day,
        resets: Some(DailyReset {
            // No time that a change of the clock leaves out or brings twice: a source may see those otherwise.
            at: jiff::civil::time(hour, 0, 0, 0),
            zone: jiff::tz::TimeZone::get(if (1..4).contains(&hour) { "UTC" } else { zone }).unwrap(),
        }),
    });
    prop_oneof![3 => sliding, 1 => daily]
}

fn any_course() -> impl Strategy<Value = Course> {
    let windows = prop::collection::vec(any_window(), 1..4);
    // Large windows are remembered in steps; so are their requests made large.
    let scale = prop_oneof![3 => Just(1_u32), 1 => Just(100)];
    let call = (any::<prop::sample::Index>(), 0..2_000_u64, 0..30_000_u64, 0..=100_u64);
    let pace = prop::sample::select(&[1_u64, 1, 20, 500][..]);
    let callers = prop::collection::vec(prop::collection::vec((call, pace), 1..25), 1..5);
    let kills =
        prop::collection::vec((0..400_000_u64, prop::sample::select(&[0, 1, 500, 40_000, 5_000_000][..])), 0..4);
    let store = (0..50_u64, any::<bool>());
    (windows, scale, callers, kills, store, -5..=5_i64).prop_map(
        |(mut windows, scale, callers, kills, (store_slow, writes_at_once), skew)| {
            windows.iter_mut().for_each(|window| window.requests *= scale);
            let smallest = windows.iter().map(|window| window.requests).min().unwrap();
            let call = |((weight, think, latency, arrives), pace): ((prop::sample::Index, u64, u64, u64), u64)| {
                let weight = 1 + u32::try_from(weight.index(smallest as usize)).unwrap();
                Call { weight, think: think * pace, latency: latency / pace.min(20), arrives }
            };
            let callers = callers.into_iter().map(|calls| calls.into_iter().map(call).collect()).collect();
            Course { windows, callers, kills, store_slow, writes_at_once, skew }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_window_of_the_source_ever_sees_more_than_it_allows(course in any_course()) {
        let seen = simulated(run(&course));
        for window in &course.windows {
            let most = most(window, &seen, course.skew);
            prop_assert!(most <= u64::from(window.requests), "{} in {:?}: {:?}", most, window, seen);
        }
    }
}

#[test]
fn a_daily_quota_is_used_day_by_day() {
    for resets in [None, Some(DailyReset { at: jiff::civil::Time::midnight(), zone: jiff::tz::TimeZone::UTC })] {
        simulated(async {
            let (keep, clock) = (Arc::default(), clock());
            let began = Instant::now();
            let windows =
                [WindowSpec { requests: 100, per: Per::Day, resets: resets.clone() }, window(30, Per::Minute)];
            let (mut made, mut runs) = (0, Vec::new());
            while made < 250 {
                // A process of its own each day; a run has half an hour.
                let budget = open(&windows, &keep, &clock);
                let deadline = Instant::now() + Duration::from_secs(30 * 60);
                let opens_in = loop {
                    match budget.admit(1, deadline, &mut |_, _| {}).await {
                        Ok(permit) => drop(permit),
                        Err(Refusal::OutOfTime(out)) => {
                            assert!(out.is_quota, "{out:?}");
                            break out.opens_in.unwrap();
                        }
                        Err(refusal) => panic!("{refusal:?}"),
                    }
                    made += 1;
                    if made == 250 {
                        break Duration::ZERO;
                    }
                };
                let opens_at = budget.allowance().windows[0].opens_at;
                assert!(made == 250 || opens_at.is_some(), "the status says when it opens");
                runs.push(made);
                sleep(opens_in).await;
            }
            // Each restart costs the one unit that was lent and perhaps used.
            assert!(runs[0] == 100 && runs[1] >= 198 && runs.len() == 3, "{runs:?}");
            assert!(began.elapsed() < 3 * DAY, "{:?}", began.elapsed());
        });
    }
}

#[test]
fn few_writes_serve_many_requests() {
    for (windows, count, per_part) in [
        (vec![window(10_000, Per::Day)], 10_000, 101),
        (vec![window(10_000, Per::Day), window(600, Per::Minute)], 6_000, 1_001),
        (vec![window(50, Per::Second)], 3_000, 1),
    ] {
        simulated(async {
            let keep: Arc<Store> = Arc::default();
            let (budget, began) = (open(&windows, &keep, &clock()), Instant::now());
            for _ in 0..count {
                drop(admit(&budget, 1, DAY).await.unwrap());
            }
            // One a part of the smallest window, and one a minute.
            let minutes = usize::try_from(began.elapsed().as_secs() / 60).unwrap() + 1;
            let writes = keep.writes.load(Ordering::Relaxed);
            assert!(writes <= per_part + minutes, "{windows:?}: {writes} writes in {minutes} minutes");
        });
    }
}

#[test]
fn a_restart_remembers_and_a_long_stop_forgets() {
    simulated(async {
        let (keep, clock) = (Arc::default(), clock());
        let windows = [window(10, Per::Second), window(400, Per::Minute), window(1_000, Per::Day)];
        let left = |budget: &Budget| budget.allowance().windows.iter().map(|w| w.left).collect::<Vec<_>>();
        let budget = open(&windows, &keep, &clock);
        for _ in 0..5 {
            drop(admit(&budget, 1, DAY).await.unwrap());
        }
        sleep(Duration::from_secs(2)).await;
        assert_eq!(left(&budget), [10, 395, 995]);
        drop(budget);
        // The second write came with the fifth request: four were used then, and four more may have been.
        let again = open(&windows, &keep, &clock);
        assert_eq!(left(&again), [6, 392, 992]);
        sleep(Duration::from_secs(3 * 60)).await;
        let again = open(&windows, &keep, &clock);
        assert_eq!(left(&again), [10, 400, 992]);
        sleep(DAY).await;
        assert_eq!(left(&open(&windows, &keep, &clock)), [10, 400, 1_000]);
    });
}

#[test]
fn a_window_in_seconds_is_taken_for_full_after_a_kill_and_for_free_after_a_while() {
    simulated(async {
        let (keep, clock, windows) = (Arc::default(), clock(), [window(10, Per::Second)]);
        let first = open(&windows, &keep, &clock);
        drop(admit(&first, 1, DAY).await.unwrap());
        drop(first);
        let (killed, began) = (open(&windows, &keep, &clock), Instant::now());
        drop(admit(&killed, 1, DAY).await.unwrap());
        assert!(began.elapsed() >= Duration::from_secs(1));
        drop(killed);
        sleep(limits::LENT_TERM + ANSWER_MAX + Duration::from_secs(2)).await;
        let (rested, began) = (open(&windows, &keep, &clock), Instant::now());
        drop(admit(&rested, 1, DAY).await.unwrap());
        assert_eq!(began.elapsed(), Duration::ZERO);
    });
}

#[test]
fn what_is_lent_is_written_anew_after_a_minute() {
    simulated(async {
        let (keep, clock, windows) = (Arc::default(), clock(), [window(10, Per::Second)]);
        let budget = open(&windows, &keep, &clock);
        drop(admit(&budget, 1, DAY).await.unwrap());
        sleep(10 * limits::LENT_TERM).await;
        for _ in 0..5 {
            drop(admit(&budget, 1, DAY).await.unwrap());
        }
        drop(budget);
        let (killed, began) = (open(&windows, &keep, &clock), Instant::now());
        drop(admit(&killed, 1, DAY).await.unwrap());
        assert!(began.elapsed() >= Duration::from_secs(1), "what was used just now is forgotten");
    });
}

#[test]
fn a_pause_outlives_the_process() {
    simulated(async {
        let (keep, clock) = (Arc::default(), clock());
        open(&[], &keep, &clock).pause(Duration::from_secs(900));
        // The pause is written beside; nobody waits for it.
        sleep(Duration::from_millis(10)).await;
        let (budget, began) = (open(&[], &keep, &clock), Instant::now());
        let (_, why) = budget.allowance().paused.unwrap();
        assert_eq!(why, WaitReason::RetryAfter);
        drop(admit(&budget, 1, DAY).await.unwrap());
        assert!(began.elapsed() >= Duration::from_secs(889), "{:?}", began.elapsed());
        assert_eq!(budget.allowance().paused, None);
    });
}

#[test]
fn a_ledger_that_cannot_be_read_shuts_the_source_for_an_hour_at_most() {
    simulated(async {
        let clock = clock();
        for (windows, pause_s) in [
            (vec![window(9, Per::Second), window(9, Per::Day)], Some(3_600)),
            (vec![window(9, Per::Minute)], Some(60)),
            (Vec::new(), None),
        ] {
            for bytes in [&b""[..], b"\xff", b"{}", br#"{"version":2,"more":1}"#, br#"{"version":1,"used":[[0,-1]]}"#] {
                let keep = Arc::<Store>::default();
                keep.kept.keep(Keepsake::Ledger, bytes.to_vec()).await.unwrap();
                let paused = open(&windows, &keep, &clock).allowance().paused;
                let pause = paused.map(|(until, _)| until.duration_since(clock.now()).as_secs());
                assert_eq!(pause, pause_s, "{windows:?}");
            }
        }
    });
}

#[test]
fn nothing_is_asked_that_cannot_be_written_down() {
    struct Full;
    impl Keep for Full {
        fn key(&self) -> ChildKey {
            Memory::new().key()
        }

        fn load(&self, _: Keepsake) -> Option<Vec<u8>> {
            None
        }

        fn keep(&self, _: Keepsake, _: Vec<u8>) -> BoxFuture<'_, Result<(), KeepError>> {
            Box::pin(async { Err(KeepError { reason: ErrorReason::DiskFull, problem: "no room".into() }) })
        }
    }
    simulated(async {
        let terms = Terms {
            source: SourceName::parse("crm").unwrap(),
            windows: vec![window(9, Per::Day)],
            weight: 1,
            answer_max: ANSWER_MAX,
            keep: Arc::new(Full),
            clock: clock(),
            observer: Observer::default(),
        };
        let refused = admit(&Budget::open(terms), 1, DAY).await.map(drop);
        assert!(
            matches!(refused, Err(Refusal::Unkept(KeepError { reason: ErrorReason::DiskFull, .. }))),
            "{refused:?}"
        );
    });
}

#[test]
fn only_short_windows_are_paced() {
    simulated(async {
        for (per, at_once) in [(Per::Minute, 30), (Per::Hour, 60)] {
            let (budget, began) = (open(&[window(60, per)], &Arc::default(), &clock()), Instant::now());
            let mut count = 0;
            while admit(&budget, 1, Duration::from_millis(1)).await.is_ok() {
                count += 1;
            }
            assert_eq!((count, began.elapsed() < Duration::from_millis(10)), (at_once, true), "{per}");
        }
    });
}

#[test]
fn a_heavy_request_counts_as_many() {
    simulated(async {
        let windows = [window(20, Per::Second), window(2_000, Per::new(Duration::from_secs(600)))];
        let (budget, began) = (open(&windows, &Arc::default(), &clock()), Instant::now());
        for _ in 0..400 {
            drop(admit(&budget, 10, DAY).await.unwrap());
        }
        // 200 go at once as far as the seconds let them, and 200 more in the next ten minutes.
        let took = began.elapsed().as_secs();
        assert!((600..=1_210).contains(&took), "{took}");
        let left: Vec<_> = budget.allowance().windows.iter().map(|window| window.left).collect();
        assert!(left[0] <= 10 && left[1].is_multiple_of(10), "{left:?}");
    });
}

#[test]
fn a_wait_is_logged_once_for_all_who_wait() {
    let log = Heard::from(tracing::Level::INFO);
    simulated(async {
        let budget = open(&[window(60, Per::Minute)], &Arc::default(), &clock());
        budget.pause(Duration::from_secs(40));
        let waiting = (0..5).map(|_| admit(&budget, 1, DAY));
        join_all(waiting).await.into_iter().for_each(|permit| drop(permit.unwrap()));
        // These are spread over four minutes, a second each.
        for _ in 0..265 {
            drop(admit(&budget, 1, DAY).await.unwrap());
        }
    });
    let text = log.text();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].ends_with("waiting for a source source=crm pause_s=40.0 why=\"retry_after\""), "{text}");
    assert!((4..=5).contains(&lines[1..].len()), "{text}");
    assert!(lines[1..].iter().all(|line| line.contains("why=\"budget\"")), "{text}");
}

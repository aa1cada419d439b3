//! The kills.

use std::time::{Duration, Instant};

use rollcall::store::Store;

use super::trial::{Hit, Trial};
use super::witness::{Aim, Way, run_and_kill};
use crate::support::{Dice, Installation, ListServer, ONE_FEED};

/// How many kills, unless `ROLLCALL_KILLS` says otherwise.
const KILLS: u32 = 100;

fn number<N: std::str::FromStr>(variable: &str) -> Option<N> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a whole number")))
}

/// Another one every time; a failure prints it.
fn seed() -> u64 {
    let seed = number("ROLLCALL_KILLS_SEED").unwrap_or_else(|| jiff::Timestamp::now().as_microsecond().unsigned_abs());
    eprintln!("ROLLCALL_KILLS_SEED={seed}");
    seed
}

/// Kills so often at least, and then on until every one of `needed` was hit, at most four times as often as usual.
async fn kill(kills: u32, needed: &[Hit]) -> Trial {
    let began = Instant::now();
    let mut trial = Trial::new(seed()).await;
    while trial.kills() < kills || (trial.missed(needed).is_some() && trial.kills() < 4 * kills.max(KILLS)) {
        trial.round().await;
    }
    println!("{} kills in {:.0} s: {:?}", trial.kills(), began.elapsed().as_secs_f64(), trial.hits);
    trial
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_is_there_after_a_few_kills() {
    kill(4, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; tests/run runs it"]
async fn whatever_was_acknowledged_is_there_after_any_kill() {
    let needed = [Hit::Reading, Hit::BetweenBatches, Hit::Recovery];
    let trial = kill(number("ROLLCALL_KILLS").unwrap_or(KILLS), &needed).await;
    assert_eq!(trial.missed(&needed), None, "no kill ever hit it: {:?}", trial.hits);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_making_was_killed_opens() {
    let mut dice = Dice::new(seed());
    let server = ListServer::start().await;
    for _ in 0..8 {
        let place = Installation::new(&ONE_FEED.replace("URL", &format!("http://{}", server.address)));
        for _ in 0..2 {
            let aim = Aim::After(dice.time(Duration::from_millis(150)));
            run_and_kill(&place, Way::Serve, aim).await;
        }
        assert_eq!(Store::open(&place.data()).unwrap().user_count(), 0);
    }
}

//! Which connections wait for a request, and since when.
//!
//! When all seats are taken, the connection that has waited longest gives its seat to the newcomer. So idle
//! connections, however many, keep nobody out, least of all Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::limits::API_SEAT_KEPT_MIN;

/// The connections without a request under way.
#[derive(Default)]
pub struct Idle {
    queue: Mutex<Queue>,
    /// Told when a connection falls idle.
    fell_idle: Notify,
}

#[derive(Default)]
struct Queue {
    next: u64,
    /// In the order in which they fell idle.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    since: Instant,
    close: Arc<Notify>,
}

/// One connection's place in the count. Dropping it gives the place back.
pub struct Seat {
    idle: Arc<Idle>,
    close: Arc<Notify>,
    /// Its number in the queue while it waits; numbers are never used twice.
    ticket: Mutex<Option<u64>>,
}

/// A request is under way on the seat's connection.
pub struct Busy(Arc<Seat>);

impl Idle {
    /// Ends the connection that has waited longest, as soon as there is one that has waited [`API_SEAT_KEPT_MIN`].
    pub async fn close_longest(&self) {
        loop {
            match self.pop_longest() {
                Ok(longest) => return longest.close.notify_one(),
                Err(Some(until)) => sleep_until(until).await,
                Err(None) => self.fell_idle.notified().await,
            }
        }
    }

    /// The one that has waited longest; else when it will have waited long enough, if there is one.
    fn pop_longest(&self) -> Result<Waiting, Option<Instant>> {
        let mut queue = self.queue.lock();
        let longest = queue.waiting.first_entry().ok_or(None)?;
        let until = longest.get().since + API_SEAT_KEPT_MIN;
        if until <= Instant::now() { Ok(longest.remove()) } else { Err(Some(until)) }
    }
}

impl Seat {
    /// A new connection waits for its first request.
    pub fn take(idle: &Arc<Idle>) -> Arc<Self> {
        let seat = Self { idle: Arc::clone(idle), close: Arc::default(), ticket: Mutex::default() };
        seat.wait();
        Arc::new(seat)
    }

    fn wait(&self) {
        let mut queue = self.idle.queue.lock();
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.insert(ticket, Waiting { since: Instant::now(), close: Arc::clone(&self.close) });
        drop(queue);
        *self.ticket.lock() = Some(ticket);
        self.idle.fell_idle.notify_one();
    }

    fn leave(&self) {
        let ticket = self.ticket.lock().take();
        if let Some(ticket) = ticket {
            self.idle.queue.lock().waiting.remove(&ticket);
        }
    }

    /// Marks the connection busy until the answer is made.
    pub fn work(self: &Arc<Self>) -> Busy {
        self.leave();
        Busy(Arc::clone(self))
    }

    /// Returns when the seat is wanted for somebody else.
    pub async fn closed(&self) {
        self.close.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_closed(seat: &Seat) -> bool {
        tokio::time::timeout(Duration::from_millis(10), seat.closed()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_goes_first_and_the_busy_stay() {
        let idle = Arc::new(Idle::default());
        let (first, second, third) = (Seat::take(&idle), Seat::take(&idle), Seat::take(&idle));
        let work = first.work();
        idle.close_longest().await;
        assert!(is_closed(&second).await && !is_closed(&first).await && !is_closed(&third).await);
        drop(work);
        idle.close_longest().await;
        assert!(is_closed(&third).await && !is_closed(&first).await, "work done puts a connection last");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_has_time_to_send_its_request() {
        let idle = Arc::new(Idle::default());
        let began = Instant::now();
        let seat = Seat::take(&idle);
        idle.close_longest().await;
        assert!(began.elapsed() >= API_SEAT_KEPT_MIN && is_closed(&seat).await);
        let busy = Seat::take(&idle);
        let work = busy.work();
        let none_idle = tokio::time::timeout(API_SEAT_KEPT_MIN * 10, idle.close_longest()).await;
        assert!(none_idle.is_err() && !is_closed(&busy).await);
        drop(work);
        idle.close_longest().await;
        assert!(is_closed(&busy).await);
    }

    #[tokio::test]
    async fn a_seat_given_back_is_no_longer_waiting() {
        let idle = Arc::new(Idle::default());
        let waiting = || idle.queue.lock().waiting.len();
        let seat = Seat::take(&idle);
        assert_eq!(waiting(), 1);
        let work = seat.work();
        assert_eq!(waiting(), 0);
        drop(work);
        drop(seat);
        assert_eq!(waiting(), 0);
    }
}

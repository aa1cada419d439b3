//! The series of this API's answers, kept at hand.
//!
//! To find a series by its name and labels takes longer than most answers do otherwise; so each is looked up once.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram, with_local_recorder};
use metrics_exporter_prometheus::PrometheusRecorder;
use parking_lot::RwLock;

use super::catalogue as c;

/// By route template. Bounded as the series are: by routes, methods and the statuses they answer with.
#[derive(Default)]
pub struct Answers {
    routes: RwLock<HashMap<Box<str>, Vec<Series>>>,
}

/// The series of one route for one method and status.
struct Series {
    method: &'static str,
    status: u16,
    requests: Counter,
    duration: Histogram,
}

impl Series {
    /// Makes the series in the recorder of the thread, or finds them there.
    fn register(route: &str, method: &'static str, status: u16) -> Self {
        let labels = [("route", route.to_owned()), ("method", method.to_owned())];
        let duration = histogram!(c::HTTP_REQUEST_DURATION, &labels);
        let [route, method_label] = labels;
        let requests = counter!(c::HTTP_REQUESTS, &[route, method_label, ("code", status.to_string())]);
        Self { method, status, requests, duration }
    }

    fn record(&self, took: Duration) {
        self.duration.record(took.as_secs_f64());
        self.requests.increment(1);
    }
}

impl Answers {
    /// Counts an answer to `recorder`, always the same one.
    pub fn record(
        &self,
        recorder: &PrometheusRecorder,
        route: &str,
        method: &'static str,
        status: u16,
        took: Duration,
    ) {
        let is_it = |series: &&Series| series.status == status && series.method == method;
        if let Some(series) = self.routes.read().get(route).and_then(|known| known.iter().find(is_it)) {
            return series.record(took);
        }
        // Two first answers at once enter it twice, which is the same series all the same.
        let series = with_local_recorder(recorder, || Series::register(route, method, status));
        series.record(took);
        self.routes.write().entry(route.into()).or_default().push(series);
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn every_route_method_and_status_is_counted_apart() {
        let (answers, recorder) = (Answers::default(), PrometheusBuilder::new().build_recorder());
        let told = [("/a", "GET", 200), ("/a", "GET", 404), ("/a", "PUT", 200), ("/b", "GET", 200)];
        for (times, (route, method, status)) in (1..).zip(told) {
            for _ in 0..times {
                answers.record(&recorder, route, method, status, Duration::from_millis(1));
            }
        }
        let text = recorder.handle().render();
        for (times, (route, method, status)) in (1..).zip(told) {
            let line = format!(r#"{}{{route="{route}",method="{method}",code="{status}"}} {times}"#, c::HTTP_REQUESTS);
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let line = format!(r#"{}_count{{route="/a",method="GET"}} 3"#, c::HTTP_REQUEST_DURATION);
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

//! Headers that a source may send, as garbage and nearly right.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::config::{BudgetHeaders, ResetHeader, ResetUnit};
use crate::source::budget_headers::used_up;
use crate::source::ledger::Now;
use crate::source::ledger_form;
use crate::source::link::next_target;
use crate::source::retry::{Pauses, retry_after};

const DATE: &str = "(Sun|Sunday|Mon|)[, ]{0,2}[0-9]{1,3}[- ](Jan|Feb|Nov|Foo)[- ][0-9]{1,6} [0-9]{1,3}:[0-9]{1,2}:[0-9]{1,2} ?(GMT|UTC|)";

fn header() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,60}", DATE, "[0-9]{0,30}", "-?[0-9]{1,4}(\\.[0-9])?", "Sun Nov  6 08:49:37 [0-9]{1,5}"]
}

proptest! {
    #[test]
    fn any_retry_after_is_a_bounded_pause(value in header(), date in proptest::option::of(header()), now in any::<i32>()) {
        let now = Timestamp::from_second(i64::from(now)).unwrap();
        let asked = retry_after(&value, date.as_deref(), now);
        let pauses = Pauses::default();
        let pause = pauses.asked(asked, 3);
        prop_assert!((Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&pause), "{:?}", pause);
    }

    #[test]
    fn any_reset_is_a_bounded_pause(
        value in header(),
        unit in proptest::sample::select(vec![
            ResetUnit::Seconds,
            ResetUnit::Milliseconds,
            ResetUnit::EpochSeconds,
            ResetUnit::EpochMilliseconds,
            ResetUnit::HttpDate,
        ]),
    ) {
        let Ok(value) = HeaderValue::from_str(&value) else { return Ok(()) };
        let reset = Some(ResetHeader { name: "x-reset".into(), unit });
        let spec = BudgetHeaders { remaining: Some("x-left".into()), reset, retry_after: None };
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("x-reset"), value),
            (HeaderName::from_static("x-left"), HeaderValue::from_static("0")),
        ]);
        let reset = used_up(&spec, &headers, 1, Timestamp::UNIX_EPOCH).unwrap();
        let day = Duration::from_secs(86_400);
        let pause = Pauses::default().until_reset(reset, Some(day));
        prop_assert!((Duration::from_secs(1)..=day).contains(&pause), "{:?}", pause);
    }

    #[test]
    fn any_stored_ledger_lies_in_the_past_or_is_refused(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            (any::<i64>(), any::<u32>(), any::<i64>(), any::<u32>(), any::<i64>()).prop_map(|(a, n, b, m, until)| {
                let pause = r#"{"until":UNTIL,"why":"budget"}"#.replace("UNTIL", &until.to_string());
                format!(r#"{{"version":1,"used":[[{a},{n}]],"lent":[{b},{m}],"paused":{pause}}}"#).into_bytes()
            }),
        ],
        now in any::<i32>(),
    ) {
        let day = Duration::from_secs(86_400);
        let now = Now { moment: 40 * day, wall: Timestamp::from_second(i64::from(now)).unwrap() };
        if let Ok(remembered) = ledger_form::read(&bytes, now, day) {
            prop_assert!(remembered.entries.iter().all(|entry| entry.at <= now.moment));
            prop_assert!(remembered.entries.is_sorted_by_key(|entry| entry.at));
            prop_assert!(remembered.pause.is_none_or(|pause| pause.until <= now.moment + day));
        }
    }

    #[test]
    fn any_link_header_has_a_target_of_its_own_or_none(value in prop_oneof!["\\PC{0,80}", "[<>;,=\" \\\\a-crelnxt]{0,80}"]) {
        if let Some(target) = next_target(&value) {
            let target = format!("<{target}");
            prop_assert!(value.replace("< ", "<").contains(target.trim_end()) || value.contains(&target[1..]), "{}", value);
        }
    }
}

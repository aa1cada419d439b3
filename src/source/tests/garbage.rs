//! Headers that a source may send, as garbage and nearly right.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

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
    fn any_link_header_has_a_target_of_its_own_or_none(value in prop_oneof!["\\PC{0,80}", "[<>;,=\" \\\\a-crelnxt]{0,80}"]) {
        if let Some(target) = next_target(&value) {
            let target = format!("<{target}");
            prop_assert!(value.replace("< ", "<").contains(target.trim_end()) || value.contains(&target[1..]), "{}", value);
        }
    }
}

//! What the properties of this module are tried on.

use proptest::prelude::*;

/// JSON of any shape, with few keys, so that some are equal, and in some of many spellings.
pub fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("{}".to_owned()),
        "-?[1-9][0-9]{0,3}(\\.5)?",
        "[a-c{}:,\\[\\] é]{0,4}".prop_map(|text| format!("\"{text}\"")),
        Just(r#""\"\\\u0061""#.to_owned()),
    ];
    let key = prop_oneof!["[a-c]", Just("\\u0061".to_owned()), "[a-c]{2}"];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
            proptest::collection::vec((key.clone(), inner), 0..6).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
                format!("{{ {} }}", entries.join(", "))
            }),
        ]
    })
}

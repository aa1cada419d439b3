//! One table per rule, with the exact words: parent lists, incremental reads, places that last.

use super::*;

const LEVEL: &str = "source.crm: partition = [{ request = { path = \"events\" }, select = \".[]\", \
                     fields = { event = \".id\" } }]";
const SINCE: &str = "source.crm.request: query = { after = \"{since}\" }";

#[test]
fn parents_are_asked_for_or_written_down() {
    let path = "source.crm.request: path = \"events/{parent.event}/people\"";
    let asked = source(&[LEVEL, path]);
    assert!(matches!(&asked.partitions[..], [PartitionSpec::List(list)] if list.fields[0].0 == "event"));
    let written = source(&["source.crm: partition = [{ values = [{ event = 1 }, { event = \"b\" }] }]", path]);
    let [PartitionSpec::Fixed(rows)] = &written.partitions[..] else { panic!("{:?}", written.partitions) };
    assert_eq!(rows.iter().map(|row| row["event"].as_str()).collect::<Vec<_>>(), ["1", "b"]);
    assert_eq!(written.partitions[0].fields(), ["event"]);
}

#[test]
fn params_of_parents_requests_are_params_of_the_feed() {
    let level = LEVEL.replace("events\"", "organizers/{param.org}/events\"");
    let faults = faults(&[&level]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("org"), "{faults:?}");
}

#[test]
fn partitions() {
    let both = LEVEL.replace("select", "values = [{ a = \"1\" }], select");
    let unknown = LEVEL.replace("\"events\"", "\"events/{parent.region}\"");
    let since = LEVEL.replace("\"events\" }", "\"events\", query = { a = \"{since}\" } }");
    let nothing = "source.crm: partition = [{ fields = { a = \".a\" } }]";
    let odd = "source.crm: partition = [{ values = [{ a = \"1\" }, { b = \"1\" }] }]";
    let same = "source.crm: partition = [{ values = [{ a = \"1\" }, { a = 1 }] }]";
    let twice = "source.crm: partition = [{ values = [{ a = \"1\" }] }, { values = [{ a = \"2\" }] }]";
    let name = "source.crm: partition = [{ values = [{ \"a.b\" = \"1\" }] }]";
    let deep = "source.crm: partition = [{ values = [{ a = 1 }] }, { values = [{ b = 1 }] }, { values = [{ c = 1 }] }, \
                { values = [{ d = 1 }] }, { values = [{ e = 1 }] }]";
    let either = "source.crm.partition[0]: parents are either asked for or written down; \
                  write request = { path = \"…\" }, or values = [{ name = \"…\" }, …]";
    check_faults(&[
        (&[&both], &[either]),
        (&[nothing], &[either]),
        (
            &[&unknown],
            &[
                "source.crm.partition[0].request: no parent has a field 'region'; name it in fields of a [[source.<name>.partition]]",
            ],
        ),
        (
            &["source.crm.request: path = \"events/{parent.evnt}\"", LEVEL],
            &["source.crm.request: no parent has a field 'evnt'; the levels above have event"],
        ),
        (
            &[&since],
            &[
                "source.crm.partition[0].request: a list of parents is always read whole, so that it cannot say {since}; leave it out",
            ],
        ),
        (&[odd], &["source.crm.partition[0].values: the rows have different keys; give each row the same keys"]),
        (&[same], &["source.crm.partition[0].values: two rows are the same; keep one of them"]),
        (&[twice], &["source.crm.partition[1]: a level above has a field 'a', too; give it another name"]),
        (
            &[name],
            &[
                "source.crm.partition[0].values[0].\"a.b\": no name for a field; use 1 to 64 letters, digits, '-' and '_'",
            ],
        ),
        (
            &[deep],
            &["source.crm.partition[4]: more than 4 levels of parents; take the innermost list that names all of them"],
        ),
    ]);
}

#[test]
fn incremental_reads() {
    let with = |incremental: &str| source(&[SINCE, &format!("source.crm: incremental = {incremental}")]).incremental;
    let spec = with("{ watermark = \"run_start\" }").unwrap();
    assert!(matches!(spec.watermark, WatermarkSpec::RunStart));
    assert_eq!((spec.lookback.as_secs(), spec.full_every.as_secs()), (60, 24 * 60 * 60));
    let spec =
        with("{ watermark = \"record_max\", record = \".at\", format = \"%Y-%m-%d\", lookback = \"0s\" }").unwrap();
    assert!(matches!(&spec.watermark, WatermarkSpec::RecordMax(at) if at.source() == ".at"));
    assert!(matches!(&spec.format, TimeFormat::Pattern(pattern, _) if pattern == "%Y-%m-%d"));
    let incremental = |text: &str| format!("source.crm: incremental = {text}");
    let run_start = incremental("{ watermark = \"run_start\" }");
    check_faults(&[
        (
            &[SINCE],
            &[
                "source.crm.incremental: the request says {since}, but nothing says what that is; write e.g. watermark = \"run_start\"",
            ],
        ),
        (
            &[&run_start],
            &["source.crm.incremental: no part of the request says {since}; \
               write e.g. query = { modified_since = \"{since}\" } in [source.<name>.request]"],
        ),
        (
            &[SINCE, &incremental("{ watermark = \"record_max\" }")],
            &["source.crm.incremental.record: missing; \
               write where a record's time of change stands, e.g. record = \".modified\""],
        ),
        (
            &[SINCE, &incremental("{ watermark = \"run_start\", zone = \"Mars/Base\" }")],
            &["source.crm.incremental.zone: must be a time zone of the IANA database (got \"Mars/Base\"); \
                 write e.g. zone = \"UTC\" or zone = \"America/Los_Angeles\""],
        ),
        (
            &[SINCE, &incremental("{ watermark = \"run_start\", format = \"%H:%M\" }")],
            &[
                "source.crm.incremental.format: this pattern does not tell a day; use strftime's, e.g. \"%Y-%m-%d %H:%M:%S\"",
            ],
        ),
        (
            &[SINCE, &incremental("{ watermark = \"run_start\", format = \"iso\" }")],
            &["source.crm.incremental.format: no format of times; \
               write \"rfc3339\", \"unix\", \"unix_ms\" or a pattern such as \"%Y-%m-%d %H:%M:%S\""],
        ),
        (
            &["source.crm.request: path = \"since/{since}\"", &run_start],
            &["source.crm.incremental: the path says {since}, which a first read does not have; \
               put it into the query, a header or the body"],
        ),
    ]);
}

#[test]
fn places_last_where_tokens_mark_them() {
    let with = |pagination: &str| source(&[&format!("source.crm: pagination = {pagination}")]).stable;
    assert!(with("{ kind = \"cursor\", query = \"after\", from = \".next\" }"));
    assert!(!with("{ kind = \"cursor\", query = \"after\", from = \".next\", stable = false }"));
    assert!(!with("{ kind = \"page\", param = \"page\" }"));
    assert!(with("{ kind = \"page\", param = \"page\", stable = true }"));
    assert!(!source(&[]).stable);
}

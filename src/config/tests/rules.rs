//! One table per rule, with the exact words: server, store, log, budget, limits, mapping, types and unknown keys.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;

#[test]
fn the_smallest_configuration_is_sound_and_has_the_defaults() {
    let config = sound(&[]);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7070");
    assert!(!config.server.behind_proxy);
    assert_eq!((config.store.path.to_str(), config.store.journal_days), (Some("data"), 30));
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Auto, "info"));
    let source = source(&[]);
    assert_eq!((source.priority, source.delete_scope, source.budget.len()), (0, DeleteScope::Registration, 0));
    assert_eq!(source.limits.page_bytes_max, crate::limits::PAGE_BYTES_MAX);
    assert_eq!((source.limits.tries, source.limits.pages_max), (5, 100_000));
}

#[test]
fn listening() {
    for good in ["127.0.0.1:1", "[::1]:7070", "127.9.9.9:7070"] {
        assert_eq!(sound(&[&format!("server: listen = {good:?}")]).server.listen.to_string(), good);
    }
    let open = sound(&["server: listen = \"0.0.0.0:80\"", "server: behind_proxy = true"]);
    assert_eq!(open.server.listen.to_string(), "0.0.0.0:80");
    check_faults(&[
        (
            &["server: listen = \"0.0.0.0:7070\""],
            &[
                "server.listen: would serve unencrypted beyond this machine (got \"0.0.0.0:7070\"); listen on 127.0.0.1, \
               or put a TLS proxy in front and say behind_proxy = true",
            ],
        ),
        (
            &["server: listen = \"localhost:7070\""],
            &["server.listen: must be an IP address and a port (got \"localhost:7070\"); \
               write e.g. \"127.0.0.1:7070\" or \"[::1]:7070\""],
        ),
        (
            &["server: behind_proxy = \"yes\""],
            &["server.behind_proxy: must be true or false (got a text); write true or false, without quotes"],
        ),
    ]);
}

#[test]
fn store_and_log() {
    let config = sound(&["store: path = \"/var/lib/rollcall\"", "log: level = \"warn,rollcall::source=debug\""]);
    assert_eq!(config.store.path, Path::new("/var/lib/rollcall"));
    check_faults(&[
        (&["store: path = \" \""], &["store.path: must not be empty; write a value or leave the key out"]),
        (
            &["store: journal_days = 0"],
            &["store.journal_days: must be > 0 (got 0); write a whole number from 1 to 3650"],
        ),
        (
            &["store: journal_days = 4000"],
            &["store.journal_days: must be at most 3650 (got 4000); write a whole number from 1 to 3650"],
        ),
        (
            &["log: format = \"jsn\""],
            &["log.format: must be one of \"auto\", \"text\", \"json\" (got \"jsn\"); did you mean \"json\"?"],
        ),
        (
            &["log: level = \"inof\""],
            &["log.level: must be a level or module=level (got \"inof\"); did you mean \"info\"?"],
        ),
        (
            &["log: level = \"loud\""],
            &["log.level: must be a level or module=level (got \"loud\"); \
               choose one of off, error, warn, info, debug, trace, or write module=level"],
        ),
    ]);
    let odd = faults(&["log: level = \"rollcall=loud\""]);
    assert!(odd[0].starts_with("log.level: must be a log filter ("), "{odd:?}");
}

const fn window(requests: u32, per: Per) -> WindowSpec {
    WindowSpec { requests, per, resets: None }
}

#[test]
fn budget() {
    let windows =
        source(&["source.crm: budget = [{ requests = 10, per = \"second\" }, { requests = 9, per = \"minute\" }]"]);
    let expected = [window(10, Per::Second), window(9, Per::Minute)];
    assert_eq!(windows.budget, expected);
    check_faults(&[
        (
            &["source.crm: budget = [{ requests = 0, per = \"second\" }, { requests = -3, per = \"fortnight\" }]"],
            &[
                "source.crm.budget[0].requests: must be > 0 (got 0); write a whole number from 1 to 1000000",
                "source.crm.budget[1].requests: must be > 0 (got -3); write a whole number from 1 to 1000000",
                "source.crm.budget[1].per: must be \"second\", \"minute\", \"hour\", \"day\" or a duration (got \"fortnight\"); \
                 write e.g. per = \"minute\" or per = \"10m\"",
            ],
        ),
        (
            &["source.crm: budget = [{ requests = 1, per = \"minute\" }, { requests = 2, per = \"minute\" }]"],
            &["source.crm.budget[1]: a second budget per minute; keep the stricter one"],
        ),
        (
            &["source.crm: budget = [{}]"],
            &[
                "source.crm.budget[0].requests: missing; write how many requests the source allows, e.g. requests = 10",
                "source.crm.budget[0].per: missing; write e.g. per = \"second\" or per = \"10m\"",
            ],
        ),
        (
            &["source.crm: budget = { requests = 1, per = \"minute\" }"],
            &["source.crm.budget: must be a list (got a table); \
               write it as a list, e.g. [[source.crm.budget]] for a list of tables"],
        ),
    ]);
}

#[test]
fn windows_of_a_budget() {
    let windows =
        source(&["source.crm: budget = [{ requests = 1, per = \"hour\" }, { requests = 2, per = \"10m\" }, \
         { requests = 3, per = \"24h\", resets_at = 06:30:00, zone = \"Europe/Berlin\" }]"]);
    let reset = DailyReset { at: jiff::civil::time(6, 30, 0, 0), zone: TimeZone::get("Europe/Berlin").unwrap() };
    let expected = [
        window(1, Per::Hour),
        window(2, Per::Every(Duration::from_secs(600))),
        WindowSpec { resets: Some(reset), ..window(3, Per::Day) },
    ];
    assert_eq!(windows.budget, expected);
    let names: Vec<_> = expected.iter().map(|window| window.per.to_string()).collect();
    assert_eq!(names, ["hour", "10m", "day"]);
    let utc = source(&["source.crm: budget = [{ requests = 3, per = \"day\", resets_at = \"00:00\" }]"]).budget;
    assert_eq!(utc[0].resets, Some(DailyReset { at: jiff::civil::Time::midnight(), zone: TimeZone::UTC }));
    check_faults(&[
        (
            &["source.crm: budget = [{ requests = 1, per = \"60s\" }, { requests = 2, per = \"minute\" }]"],
            &["source.crm.budget[1]: a second budget per minute; keep the stricter one"],
        ),
        (
            &["source.crm: budget = [{ requests = 1, per = \"1ms\" }, { requests = 1, per = \"32d\" }]"],
            &[
                "source.crm.budget[0].per: must be from 100ms to 31d (got \"1ms\"); choose a value within these bounds",
                "source.crm.budget[1].per: must be from 100ms to 31d (got \"32d\"); choose a value within these bounds",
            ],
        ),
        (
            &["source.crm: budget = [{ requests = 1, per = \"hour\", resets_at = \"00:00\" }]"],
            &["source.crm.budget[0].resets_at: only a day's allowance begins anew at a time of day; \
               write per = \"day\", or leave it out"],
        ),
        (
            &["source.crm: budget = [{ requests = 1, per = \"day\", zone = \"UTC\" }]"],
            &["source.crm.budget[0].zone: is of no use without resets_at; write e.g. resets_at = \"00:00\""],
        ),
        (
            &["source.crm: budget = [{ requests = 1, per = \"day\", resets_at = \"24:00\", zone = \"Mars/Base\" }]"],
            &[
                "source.crm.budget[0].zone: must be a time zone of the IANA database (got \"Mars/Base\"); \
                 write e.g. zone = \"UTC\" or zone = \"America/Los_Angeles\"",
                "source.crm.budget[0].resets_at: must be a time of day (got \"24:00\"); write e.g. resets_at = \"00:00\"",
            ],
        ),
    ]);
}

#[test]
fn weights() {
    assert_eq!(source(&[]).request.weight, 1);
    let budget = "source.crm: budget = [{ requests = 2000, per = \"10m\" }, { requests = 10, per = \"second\" }]";
    assert_eq!(source(&["source.crm.request: weight = 10", budget]).request.weight, 10);
    check_faults(&[
        (
            &["source.crm.request: weight = 11", budget],
            &["source.crm.budget[1].requests: allows no request at all, for each weighs 11 (got 10); \
               raise it, or lower weight in [source.<name>.request]"],
        ),
        (
            &["source.crm.request: weight = 0"],
            &["source.crm.request.weight: must be > 0 (got 0); write a whole number from 1 to 1000000"],
        ),
    ]);
}

#[test]
fn headers_of_a_budget() {
    assert_eq!(source(&[]).budget_headers, BudgetHeaders::default());
    let headers = "source.crm: budget_headers = { remaining = \"X-Left\", reset = \"X-Reset\", \
         reset_unit = \"http_date\", retry_after = \"X-Again\" }";
    let expected = BudgetHeaders {
        remaining: Some("X-Left".into()),
        reset: Some(ResetHeader { name: "X-Reset".into(), unit: ResetUnit::HttpDate }),
        retry_after: Some("X-Again".into()),
    };
    assert_eq!(source(&[headers]).budget_headers, expected);
    check_faults(&[
        (
            &["source.crm: budget_headers = { reset = \"X-Reset\" }"],
            &["source.crm.budget_headers.reset_unit: missing; \
               write what the header counts, as the source's documentation says"],
        ),
        (
            &["source.crm: budget_headers = { remaining = \"X-Left\" }"],
            &["source.crm.budget_headers.remaining: does not tell when there is more; \
               name the header that does: reset = \"…\""],
        ),
        (
            &["source.crm: budget_headers = { reset_unit = \"seconds\" }"],
            &["source.crm.budget_headers.reset_unit: is of no use without reset; \
               name the header: reset = \"X-RateLimit-Reset\""],
        ),
        (
            &["source.crm: budget_headers = { retry_after = \"a b\", reset = \"X\", reset_unit = \"sec\" }"],
            &[
                "source.crm.budget_headers.reset_unit: must be one of \"seconds\", \"milliseconds\", \
                 \"epoch_seconds\", \"epoch_milliseconds\", \"http_date\" (got \"sec\"); choose one, e.g. \"seconds\"",
                "source.crm.budget_headers.retry_after: no legal name of a header (got \"a b\"); \
                 use letters, digits and '-' only",
            ],
        ),
    ]);
}

#[test]
fn limits_of_a_source() {
    let limits = source(&[
        "source.crm.limits: connect_timeout = \"250ms\"",
        "source.crm.limits: run_timeout = \"1h30m\"",
        "source.crm.limits: page_bytes_max = \"1GiB\"",
        "source.crm.limits: tries = 1",
    ])
    .limits;
    assert_eq!((limits.connect_timeout.as_millis(), limits.run_timeout.as_secs()), (250, 5400));
    assert_eq!((limits.page_bytes_max, limits.tries), (1 << 30, 1));
    let units = "write a number with a unit (ms, s, m, h, d), e.g. \"30s\" or \"1h30m\"";
    let sizes = "write a number with a unit (B, KB, MB, GB, KiB, MiB, GiB), e.g. \"64MiB\"";
    check_faults(&[
        (
            &["source.crm.limits: connect_timeout = 10"],
            &[&format!("source.crm.limits.connect_timeout: must be a duration (got a number); {units}")],
        ),
        (
            &["source.crm.limits: idle_timeout = \"soon\""],
            &[&format!("source.crm.limits.idle_timeout: must be a duration (got \"soon\"); {units}")],
        ),
        (
            &["source.crm.limits: idle_timeout = \"0s\""],
            &[
                "source.crm.limits.idle_timeout: must be from 1ms to 1h (got \"0s\"); choose a value within these bounds",
            ],
        ),
        (
            &["source.crm.limits: run_timeout = \"8d\""],
            &["source.crm.limits.run_timeout: must be from 1ms to 7d (got \"8d\"); choose a value within these bounds"],
        ),
        (
            &["source.crm.limits: page_bytes_max = \"64\""],
            &[&format!("source.crm.limits.page_bytes_max: must be a size (got \"64\"); {sizes}")],
        ),
        (
            &["source.crm.limits: page_bytes_max = \"2GiB\""],
            &[
                "source.crm.limits.page_bytes_max: must be from 1KiB to 1GiB (got \"2GiB\"); choose a value within these bounds",
            ],
        ),
        (
            &["source.crm.limits: tries = 0", "source.crm.limits: pages_max = 99999999999999999999"],
            &[
                "source.crm.limits.tries: must be > 0 (got 0); write a whole number from 1 to 20",
                "source.crm.limits.pages_max: must be at most 10000000 (got 99999999999999999999); \
                 write a whole number from 1 to 10000000",
            ],
        ),
    ]);
}

#[test]
fn the_mapping_has_what_everybody_needs() {
    let spec = source(&[
        "source.crm.mapping: company = \".org\"",
        "source.crm.mapping: badge_url = \".badge\"",
        "source.crm.mapping: custom = { diet = \".diet\" }",
        "source.crm.states: removed_when = \".gone\"",
        "source.crm.groups: from = \".groups[]\"",
        "source.crm.groups: rule = [{ name = \" VIP \", when = \".vip\" }]",
    ])
    .mapping;
    let fields: Vec<_> = spec.fields.iter().map(|field| field.field.to_string()).collect();
    assert_eq!(fields, ["first_name", "last_name", "company", "custom.diet"]);
    assert!(spec.fields.is_sorted_by(|a, b| a.field < b.field));
    assert_eq!(spec.event_fields.len(), 1);
    assert_eq!((spec.group_rules[0].name.as_str(), spec.removed_when.is_some()), ("VIP", true));
    let missing = |key: &str| {
        format!(
            "source.crm.mapping.{key}: missing; everybody needs one: write where it stands in a record, e.g. {key} = \".{key}\""
        )
    };
    check_faults(&[
        (
            &["source.crm.mapping: -email", "source.crm.mapping: -first_name", "source.crm.mapping: -last_name"],
            &[&missing("email"), &missing("first_name"), &missing("last_name")],
        ),
        (
            &["source.crm.records: -select"],
            &[
                "source.crm.records.select: missing; write select = \"…\", where the list stands in a page, e.g. \".results[]\"",
            ],
        ),
        (
            &["source.crm.mapping: custom = { \"Diet Wish\" = \".d\" }"],
            &["source.crm.mapping.custom.\"Diet Wish\": no name for a custom field (got \"Diet Wish\"); \
               use 1 to 64 of a-z, 0-9 and '_'"],
        ),
        (
            &["source.crm.groups: rule = [{ name = \"VIP\" }, { when = \".x\" }]"],
            &[
                "source.crm.groups.rule[0].when: missing; write a condition on the record, e.g. when = '.ticket == \"VIP\"'",
                "source.crm.groups.rule[1].name: missing; write the group's name, e.g. name = \"VIP\"",
            ],
        ),
        (
            &["source.crm.states: removed_when = true"],
            &["source.crm.states.removed_when: must be a text (got true or false); put it in quotes"],
        ),
    ]);
    let long = "x".repeat(257);
    let found = faults(&[&format!("source.crm.groups: rule = [{{ name = {long:?}, when = \".x\" }}]")]);
    assert!(found[0].starts_with("source.crm.groups.rule[0].name: must be a name of at most 256 bytes"), "{found:?}");
}

#[test]
fn unknown_keys_are_faults_with_a_suggestion() {
    check_faults(&[
        (&["serve: listen = \"127.0.0.1:1\""], &["serve: no such key; did you mean server?"]),
        (&["server: lisen = \"127.0.0.1:1\""], &["server.lisen: no such key; did you mean listen?"]),
        (&["store: size = 1"], &["store.size: no such key; known here: path, journal_days, audit_days, compact_after"]),
        (&["log: lvel = 1"], &["log.lvel: no such key; did you mean level?"]),
        (&["source.crm: method = \"GET\""], &["source.crm.method: no such key; it belongs in [source.crm.request]"]),
        (&["source.crm.request: pth = \"x\""], &["source.crm.request.pth: no such key; did you mean path?"]),
        (&["source.crm.auth: token = \"x\""], &["source.crm.auth.token: no such key; known here: kind"]),
        (&["source.crm.pagination: size = 1"], &["source.crm.pagination.size: no such key; known here: kind"]),
        (&["source.crm.records: selct = \"x\""], &["source.crm.records.selct: no such key; did you mean select?"]),
        (&["source.crm.mapping: compny = \"x\""], &["source.crm.mapping.compny: no such key; did you mean company?"]),
        (
            &["source.crm.mapping: select = \"x\""],
            &["source.crm.mapping.select: no such key; it belongs in [source.crm.records]"],
        ),
        (
            &["source.crm.states: remove_when = \"x\""],
            &["source.crm.states.remove_when: no such key; did you mean removed_when?"],
        ),
        (&["source.crm.groups: rules = []"], &["source.crm.groups.rules: no such key; did you mean rule?"]),
        (&["source.crm.limits: retries = 1"], &["source.crm.limits.retries: no such key; did you mean tries?"]),
        (
            &["source.crm: budget = [{ requests = 1, per = \"second\", \"a b\" = 1 }]"],
            &["source.crm.budget[0].\"a b\": no such key; known here: requests, per, resets_at, zone"],
        ),
        (
            &["source.crm.groups: rule = [{ name = \"a\", when = \".a\", whn = 1 }]"],
            &["source.crm.groups.rule[0].whn: no such key; did you mean when?"],
        ),
        (&["event.summit: titel = \"x\""], &["event.summit.titel: no such key; did you mean title?"]),
        (
            &["event.summit: feed = [{ source = \"crm\", param = {} }]"],
            &["event.summit.feed[0].param: no such key; did you mean params?"],
        ),
        (
            &["source.crm.auth: kind = \"bearer\"", "source.crm.auth: token = { env = \"TOKEN\", fil = \"x\" }"],
            &["source.crm.auth.token.fil: no such key; did you mean file?"],
        ),
    ]);
}

#[test]
fn a_wrong_type_is_one_fault_and_not_one_for_each_key_it_lacks() {
    let braces = "write its keys in braces or under a header in brackets";
    let text = edited(&["source.crm: x = 1"]).replace("[source.crm.mapping]", "[source.crm.other]");
    let text = text.replace("x = 1", "mapping = 1").replace("[source.crm.other]\n", "[source.crm.states]\n");
    let found: Vec<_> = parse(&text).expect_err("mapping is no table").iter().map(ToString::to_string).collect();
    assert_eq!(found[0], format!("source.crm.mapping: must be a table (got a number); {braces}"));
    assert!(!found.iter().any(|fault| fault.contains("mapping.email")), "{found:?}");
    let found: Vec<_> =
        parse("source = []\nevent = 1.5\n").expect_err("no tables").iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            format!("source: must be a table (got a list); {braces}"),
            format!("event: must be a table (got a fraction); {braces}")
        ]
    );
}

#[test]
fn formats_of_pages() {
    use crate::decode::{Charset, CsvHeader, Format};
    let format = |format: &str| format!("source.crm.records: format = {format:?}");
    let no_select = "source.crm.records: -select";
    assert_eq!(source(&[]).format, Format::Json);
    let lines = source(&[&format("ndjson"), no_select]);
    assert_eq!((lines.format, lines.mapping.select.source()), (Format::Ndjson, ".[]"));
    let Format::Csv(table) = source(&[&format("csv"), no_select]).format else { panic!("a table") };
    assert_eq!((table.delimiter, table.header, table.charset), (b',', CsvHeader::FirstRow, None));
    let csv = |keys: &str| format!("source.crm.records: csv = {{ {keys} }}");
    let all = csv(r#"delimiter = "\t", header = [" a", "b"], encoding = "latin1""#);
    let Format::Csv(table) = source(&[&format("csv"), &all]).format else { panic!("a table") };
    assert_eq!((table.delimiter, table.header), (b'\t', CsvHeader::Names(vec!["a".into(), "b".into()])));
    assert_eq!(table.charset.map(Charset::name), Some("windows-1252"));
    let delimiter = "source.crm.records.csv.delimiter: must be one ASCII character, no quote and no line end; \
                     write e.g. \";\" or \"\\t\"";
    check_faults(&[
        (
            &[no_select],
            &[
                "source.crm.records.select: missing; write select = \"…\", where the list stands in a page, e.g. \".results[]\"",
            ],
        ),
        (
            &[&format("jsonl")],
            &[
                "source.crm.records.format: must be one of \"json\", \"ndjson\", \"csv\" (got \"jsonl\"); did you mean \"json\"?",
            ],
        ),
        (
            &[&csv("header = true")],
            &["source.crm.records.csv: is of no use to another format; write format = \"csv\", or leave it out"],
        ),
        (&[&format("csv"), &csv("delimiter = \"ab\"")], &[delimiter]),
        (&[&format("csv"), &csv("delimiter = \"\"")], &[delimiter]),
        (&[&format("csv"), &csv("delimiter = '\"'")], &[delimiter]),
        (&[&format("csv"), &csv("delimiter = \"·\"")], &[delimiter]),
        (
            &[&format("csv"), &csv("header = false, encoding = \"klingon\"")],
            &[
                "source.crm.records.csv.header: without a header the columns have no names; \
                 write true, or the names of the columns: [\"email\", \"name\"]",
                "source.crm.records.csv.encoding: no known encoding (got \"klingon\"); \
                 write a label of the WHATWG, e.g. \"utf-8\", \"windows-1252\", \"utf-16le\" or \"shift_jis\"",
            ],
        ),
        (
            &[&format("csv"), &csv("header = [\"a\", \" \", \"a \"]")],
            &[
                "source.crm.records.csv.header[1]: must not be empty; write a value or leave the key out",
                "source.crm.records.csv.header[2]: a second column \"a\"; give each column a name of its own",
            ],
        ),
        (
            &[&format("csv"), &csv("header = []")],
            &["source.crm.records.csv.header: a table has 1 to 4096 columns (got 0); \
               write true, or the names of the columns: [\"email\", \"name\"]"],
        ),
    ]);
}

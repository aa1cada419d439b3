//! NDJSON and CSV: what becomes of a page, and what each fault says.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::limits::{CSV_COLUMNS_MAX, JSON_DEPTH_MAX};

const ROOM: u64 = 1_000_000;

fn table(delimiter: u8, names: &[&str], label: Option<&str>) -> Format {
    let header = match names {
        [] => CsvHeader::FirstRow,
        names => CsvHeader::Names(names.iter().map(|name| (*name).to_owned()).collect()),
    };
    Format::Csv(CsvFormat { delimiter, header, charset: label.map(|label| Charset::of_label(label).unwrap()) })
}

fn csv() -> Format {
    table(b',', &[], None)
}

fn page(body: impl AsRef<[u8]>, format: &Format) -> Result<Document, DecodeError> {
    Document::decode(Bytes::copy_from_slice(body.as_ref()), format, None, ROOM)
}

/// The JSON that a page becomes.
fn json(body: impl AsRef<[u8]>, format: &Format) -> String {
    let page = page(body, format).unwrap();
    let records = page.items(&[]).unwrap();
    let listed: Vec<_> = records.iter().map(|record| String::from_utf8_lossy(record.bytes())).collect();
    assert_eq!(format!("[{}]", listed.join(",")).as_bytes(), page.bytes(), "the items are the page's");
    assert!(records.iter().all(|record| record.value().is_some()));
    assert!(Document::parse(page.bytes().clone()).is_ok(), "a page that is made is JSON");
    String::from_utf8(page.bytes().to_vec()).unwrap()
}

fn error(body: impl AsRef<[u8]>, format: &Format) -> String {
    page(body, format).unwrap_err().to_string()
}

#[test]
fn lines_become_a_list() {
    for (body, expected) in [
        ("{\"a\":1}\n{\"a\":2}\n", r#"[{"a":1},{"a":2}]"#),
        ("{\"a\":1}\r\n \t {\"a\": 2} \r\n", r#"[{"a":1},{"a": 2}]"#),
        ("\u{feff}\n\n{\"a\":1}\n\r\n\n{}", r#"[{"a":1},{}]"#),
        ("1\nnull\n\"a\"\n[2, 3]\n", r#"[1,null,"a",[2, 3]]"#),
        ("[1]", "[[1]]"),
        ("", "[]"),
        ("\n \r\n", "[]"),
    ] {
        assert_eq!(json(body, &Format::Ndjson), expected, "{body:?}");
    }
}

#[test]
fn a_line_that_is_no_value_is_a_fault_with_its_place() {
    for (body, expected, hint) in [
        (
            "{\"a\":1}\n{\"a\":2,\"b\":\"Ad",
            "invalid NDJSON at byte 22 (line 2, column 15): the body ends too early near `{\"x\":0} {\"x\":0,\"x\":\"xx`",
            "cut off",
        ),
        (
            "\u{feff}{\"a\":1}\n\n{a}\n",
            "invalid NDJSON at byte 13 (line 3, column 2): expected a key in double quotes near `xxx{\"x\":0}  {x} `",
            "each line",
        ),
        (
            "[\n{\"a\":1}\n]\n",
            "invalid NDJSON at byte 1 (line 1, column 2): the value does not end in its line near `[ {\"x\":0}`",
            "leave out `format`",
        ),
        (
            "{} {}\n",
            "invalid NDJSON at byte 3 (line 1, column 4): more text after the end of the value near `{} {} `",
            "each line",
        ),
        ("<html>\n</html>", "invalid NDJSON: the body looks like HTML or XML", "login"),
    ] {
        let fault = page(body, &Format::Ndjson).unwrap_err();
        assert_eq!(fault.to_string(), expected, "{body:?}");
        assert!(fault.hint().contains(hint), "{body:?}: {}", fault.hint());
    }
    assert_eq!(
        error(b"{}\n\"\xff\"", &Format::Ndjson),
        "invalid NDJSON at byte 4 (line 2, column 2): invalid UTF-8 near `{} \"x\"`"
    );
}

#[test]
fn a_line_nests_as_deeply_as_its_list_allows() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    json(nested(JSON_DEPTH_MAX - 1), &Format::Ndjson);
    assert!(error(nested(JSON_DEPTH_MAX), &Format::Ndjson).contains("nested too deeply"));
}

#[test]
fn rows_become_objects_of_texts() {
    for (body, format, expected) in [
        ("a,b\n1,x y\n", csv(), r#"[{"a":"1","b":"x y"}]"#),
        ("\u{a0}a , b\r\n\r\n 1,\r\n\n,\" 2\"", csv(), r#"[{"a":" 1","b":""},{"a":"","b":" 2"}]"#),
        ("\"a\"\"\\\",b\n\"x,\n\"\"y\"\"\",\t\n", csv(), "[{\"a\\\"\\\\\":\"x,\\u000a\\\"y\\\"\",\"b\":\"\\u0009\"}]"),
        ("a;b\n1,5;2\n", table(b';', &[], None), r#"[{"a":"1,5","b":"2"}]"#),
        ("1\t2\n3\t4", table(b'\t', &["x", "y"], None), r#"[{"x":"1","y":"2"},{"x":"3","y":"4"}]"#),
        ("a\r1\r2", csv(), r#"[{"a":"1"},{"a":"2"}]"#),
        ("\u{feff}a,é\n1,日本", csv(), r#"[{"a":"1","é":"日本"}]"#),
        ("a,b\n", csv(), "[]"),
        ("a,b", csv(), "[]"),
        ("", table(b',', &["x"], None), "[]"),
    ] {
        assert_eq!(json(body, &format), expected, "{body:?}");
    }
}

#[test]
fn encodings_are_the_marks_the_configs_or_the_answers() {
    let latin = Bytes::from_static(b"n\nZo\xeb\n");
    let zoe = r#"[{"n":"Zoë"}]"#;
    assert_eq!(json(&latin, &table(b',', &[], Some("windows-1252"))), zoe);
    let declared = |format: &Format, body: &Bytes, label| {
        let page = Document::decode(body.clone(), format, Charset::of_label(label), ROOM);
        page.map(|page| page.bytes().to_vec()).map_err(|error| error.to_string())
    };
    assert_eq!(declared(&csv(), &latin, "latin1"), Ok(zoe.into()));
    let utf8 = Bytes::from("n\nZoë\n");
    assert_eq!(declared(&table(b',', &[], Some("utf-8")), &utf8, "latin1"), Ok(zoe.into()), "the config counts");
    let marked = Bytes::from("\u{feff}n\nZoë\n");
    assert_eq!(declared(&table(b',', &[], Some("latin1")), &marked, "latin1"), Ok(zoe.into()), "the mark counts");
    let utf16: Vec<u8> = "n\nZoë\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(json(&utf16, &table(b',', &[], Some("utf-16le"))), zoe);
    assert_eq!(
        error(&latin, &csv()),
        "invalid CSV at byte 4 (line 2, column 3): these bytes are no UTF-8 near `x xxx `"
    );
    // JSON is UTF-8 whatever the answer says (RFC 8259).
    assert_eq!(declared(&Format::Ndjson, &Bytes::from("\"Zoë\""), "latin1"), Ok("[\"Zoë\"]".into()));
}

#[test]
fn what_is_no_table_is_a_fault_with_its_line() {
    for (body, expected, hint) in [
        ("a,b\n1,2\n3", "invalid CSV in line 3: 1 field where there are 2 columns", "cut off"),
        ("a,b\r\n\r\n1,2,3\r\n", "invalid CSV in line 3: 3 fields where there are 2 columns", "delimiter"),
        ("a,b\n1,\"Ada", "invalid CSV in line 2: a quote is opened and never closed near `x,x 0,\"xxx`", "cut off"),
        ("a,b\n\"x\n\",2\n1\n", "invalid CSV in line 4: 1 field where there are 2 columns", "cut off"),
        ("a\nA \"B\"", "invalid CSV in line 2: a quote inside a field that does not begin with one", "RFC 4180"),
        ("a\n\"A\"B", "invalid CSV in line 2: more text after the closing quote of a field", "RFC 4180"),
        ("{\"error\":\"Ada\"}", "invalid CSV in line 1: a quote inside a field", "delimiter"),
        ("a, ,b\n", "invalid CSV in line 1: column 2 has no name", "header"),
        ("\na,b,\"a \"\n", "invalid CSV in line 2: columns 1 and 3 have the same name", "header"),
        ("", "invalid CSV: the body is empty", "no body"),
        ("\n\n", "invalid CSV: the body is empty", "no body"),
        (" <html>\n", "invalid CSV: the body looks like HTML or XML", "login"),
    ] {
        let fault = page(body, &csv()).unwrap_err();
        assert!(fault.to_string().starts_with(expected), "{body:?}: {fault}");
        assert!(fault.hint().contains(hint), "{body:?}: {}", fault.hint());
        assert!(!fault.is_too_large() && !fault.to_string().contains("Ada"));
    }
    let wide = ",".repeat(CSV_COLUMNS_MAX);
    assert_eq!(error(&wide, &csv()), "invalid CSV in line 1: more than 4096 columns");
    assert!(error(&wide[1..], &csv()).contains("column 1 has no name"));
}

#[test]
fn a_small_table_of_long_names_does_not_become_a_large_page() {
    let body = format!("{}\n{}", "n".repeat(10_000), "1\n".repeat(10_000));
    let error = page(body, &csv()).unwrap_err();
    assert!(error.is_too_large(), "{error}");
}

/// A field as RFC 4180 writes it.
fn quoted(field: &str) -> String {
    format!("\"{}\"", field.replace('"', "\"\""))
}

proptest! {
    #[test]
    fn a_table_comes_back(rows in (1..5usize).prop_flat_map(|width| {
        proptest::collection::vec(proptest::collection::vec("[a\",;\r\n\t é{}\u{0}日-]{0,6}", width), 0..8)
    }), end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")]) {
        let width = rows.first().map_or(1, Vec::len);
        let names: Vec<String> = (0..width).map(|n| format!("c{n}")).collect();
        let mut lines = vec![names.join(",")];
        lines.extend(rows.iter().map(|row| row.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",")));
        let read: serde_json::Value = serde_json::from_str(&json(lines.join(end), &csv())).unwrap();
        let expected: Vec<_> = rows
            .iter()
            .map(|row| names.iter().cloned().zip(row.iter().map(|field| field.clone().into())).collect())
            .map(serde_json::Value::Object)
            .collect();
        prop_assert_eq!(read, serde_json::Value::Array(expected));
    }

    #[test]
    fn lines_come_back(values in proptest::collection::vec(arbitrary::json(), 0..8), end in "\r?\n[ \n]{0,2}") {
        let read = json(values.join(&end), &Format::Ndjson);
        prop_assert_eq!(read, format!("[{}]", values.iter().map(|value| value.trim()).collect::<Vec<_>>().join(",")));
    }

    /// Whoever cuts a table inside a row is noticed, but where the last field only becomes shorter.
    #[test]
    fn a_table_cut_short_is_noticed(cut in 1..60usize) {
        let whole = "id,name,note\n1,\"Lovelace, Ada\",\"x\"\n2,\"Hopper, Grace\",\"y\"\n";
        let cut = whole.len() - cut.min(whole.len() - 13);
        let rows = page(&whole[..cut], &csv()).map(|page| page.items(&[]).unwrap().len());
        let last = whole[..cut].rsplit('\n').next().unwrap();
        match rows {
            Ok(rows) => prop_assert!(
                (last.is_empty() || last.ends_with("x\"") || last.ends_with("y\"") || last.ends_with("\",")) && rows <= 2,
                "{}", last
            ),
            Err(error) => prop_assert!(error.to_string().contains("line"), "{}", error),
        }
    }
}

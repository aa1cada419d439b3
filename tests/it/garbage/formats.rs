//! Pages by lines and tables: whatever the bytes are, a list or a fault with its place, and nothing of them in its words.

use bytes::Bytes;
use proptest::prelude::*;
use rollcall::decode::{Charset, CsvFormat, CsvHeader, Document, Format};
use rollcall::mapping::Expression;
use serde_json::Value;

use super::mutation::{mutated, mutations};

const LINES: &str = "{\"id\": \"reg_1\", \"email\": \"Ada@example.org\", \"n\": -1.5e-3}\r\n\n\
                     {\"id\": 2, \"tags\": [\"a\", \"b\\\\\\\"\\n\", null], \"ö\": \"日本語\"}\n[1, [2]]\n";
const TABLE: &str = "id,E-mail,\"Name, last\",Remarks\r\n1,Ada@example.org,\"Love\"\"lace\",\"two\nlines\"\r\n\
                     2,Grace@example.org,Hopper,\r\n3,Zoë@example.org,日本,x y\r\n";
const LABELS: &[&str] =
    &["utf-8", "latin1", "utf-16le", "utf-16be", "shift_jis", "gb18030", "big5", "euc-kr", "iso-2022-jp"];
const BYTES_MAX: u64 = 20_000;

fn format() -> impl Strategy<Value = Format> {
    let delimiter = prop_oneof![Just(b','), Just(b';'), Just(b'\t'), Just(b' '), Just(b'a')];
    let names = proptest::collection::hash_set("[a-z]{1,3}", 1..5).prop_map(|names| names.into_iter().collect());
    let header = prop_oneof![2 => Just(CsvHeader::FirstRow), 1 => names.prop_map(CsvHeader::Names)];
    let csv = (delimiter, header, charset())
        .prop_map(|(delimiter, header, charset)| Format::Csv(CsvFormat { delimiter, header, charset }));
    prop_oneof![1 => Just(Format::Ndjson), 3 => csv]
}

fn charset() -> impl Strategy<Value = Option<Charset>> {
    proptest::option::of(proptest::sample::select(LABELS)).prop_map(|label| label.and_then(Charset::of_label))
}

fn check(bytes: &[u8], format: &Format, declared: Option<Charset>) -> Result<(), TestCaseError> {
    match Document::decode(Bytes::copy_from_slice(bytes), format, declared, BYTES_MAX) {
        Ok(page) => {
            let list: Value = serde_json::from_slice(page.bytes()).unwrap_or_default();
            let records = Expression::compile(".[]").unwrap().records(&page).unwrap();
            // serde refuses lone surrogates and some numbers, which pass here.
            if let Value::Array(items) = &list {
                prop_assert_eq!(items.len(), records.len());
            }
            if let Format::Csv(_) = format {
                let is_row = |item: &Value| item.as_object().is_some_and(|row| row.values().all(Value::is_string));
                prop_assert!(list.as_array().unwrap().iter().all(is_row), "{list}");
            }
            for expression in [".[0].email", "map(.id?) | length", "[.. | strings] | length", ".[-1]"] {
                let expression = Expression::compile(expression).unwrap();
                let _ = (expression.records(&page), expression.scalar(&page), expression.truthy(&page));
            }
        }
        Err(error) => {
            let said = error.to_string();
            let names_a_place = said.contains("line ") || said.contains("the body");
            prop_assert!(names_a_place && !said.contains("Ada") && said.len() < 300, "{said}");
            prop_assert!(!error.hint().is_empty());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), format in format(), declared in charset()) {
        check(&bytes, &format, declared)?;
    }

    #[test]
    fn pieces_in_any_order(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..40), format in format()) {
        check(pieces.concat().as_bytes(), &format, None)?;
    }

    #[test]
    fn mutated_lines(mutations in mutations()) {
        check(&mutated(LINES.as_bytes(), &mutations), &Format::Ndjson, None)?;
    }

    #[test]
    fn mutated_tables(mutations in mutations(), format in format()) {
        check(&mutated(TABLE.as_bytes(), &mutations), &format, None)?;
    }

    /// As the source cuts it, at any byte: never more rows than there were, and none that was not there.
    #[test]
    fn tables_cut_anywhere(cut in 0..TABLE.len()) {
        let format = Format::Csv(CsvFormat { delimiter: b',', header: CsvHeader::FirstRow, charset: None });
        let rows = |bytes: &[u8]| {
            let page = Document::decode(Bytes::copy_from_slice(bytes), &format, None, BYTES_MAX).ok()?;
            let Ok(Value::Array(rows)) = serde_json::from_slice(page.bytes()) else { return None };
            Some(rows)
        };
        let whole = rows(TABLE.as_bytes()).unwrap();
        prop_assert_eq!(whole.len(), 3);
        if let Some(part) = rows(&TABLE.as_bytes()[..cut]) {
            // The last row's last field alone may have become shorter.
            let sound = part.len().saturating_sub(1);
            prop_assert_eq!(&part[..sound], &whole[..sound]);
            prop_assert_eq!(part.last().map(|row| &row["E-mail"]), whole[..part.len()].last().map(|row| &row["E-mail"]));
        }
    }
}

const PIECES: &[&str] = &[
    "\"",
    "\"\"",
    ",",
    ";",
    "\t",
    " ",
    "\n",
    "\r\n",
    "\r",
    "a",
    "b1",
    "\u{feff}",
    "é",
    "日",
    "\u{0}",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "{\"a\":1}",
    "\"a\"",
    "null",
    "1",
    "<",
    "a,b\n",
    "\"x,y\"",
];

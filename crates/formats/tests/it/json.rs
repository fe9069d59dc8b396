//! The guard in front of every payload.

use madake_formats::Limits;
use madake_formats::json::{JsonError, Value, parse};

fn refusal(body: &[u8]) -> JsonError {
    parse(body, &Limits::default()).expect_err("the document is hostile")
}

#[test]
fn sound_documents_are_read_in_order() {
    let body = r#" {"b":[1,-2,1.5,true,null],"a":{"é\n":"\ud83c\udf8d"}} "#;
    let parsed = parse(body.as_bytes(), &Limits::default()).unwrap();
    let expected = Value::Object(vec![
        (
            "b".into(),
            Value::List(vec![
                Value::Integer(1),
                Value::Integer(-2),
                Value::Number(1.5),
                Value::Bool(true),
                Value::Null,
            ]),
        ),
        (
            "a".into(),
            Value::Object(vec![("é\n".into(), Value::Text("🎍".into()))]),
        ),
    ]);
    assert_eq!(parsed, expected);
}

#[test]
fn w6_a_body_one_byte_over_the_limit_is_refused_before_parsing() {
    let limit = Limits::default().body_bytes;
    assert_eq!(limit, 10 * 1024 * 1024);
    // Not JSON at all: only its length is looked at.
    let body = vec![b'!'; limit + 1];
    assert_eq!(
        refusal(&body),
        JsonError::TooLarge {
            bytes: limit + 1,
            limit
        }
    );
}

#[test]
fn w8_nesting_has_a_limit_and_never_ends_the_stack() {
    let limit = Limits::default().depth;
    let nested =
        |open: &str, close: &str, levels| format!("{}1{}", open.repeat(levels), close.repeat(levels));
    assert!(parse(nested("[", "]", limit).as_bytes(), &Limits::default()).is_ok());
    for levels in [limit + 1, 127, 128, 10_000, 1_000_000] {
        let lists = nested("[", "]", levels);
        assert_eq!(
            refusal(lists.as_bytes()),
            JsonError::TooDeep { limit },
            "{levels} lists"
        );
        let objects = nested(r#"{"a":"#, "}", levels);
        assert_eq!(
            refusal(objects.as_bytes()),
            JsonError::TooDeep { limit },
            "{levels} objects"
        );
        assert_eq!(
            refusal("[".repeat(levels).as_bytes()),
            JsonError::TooDeep { limit },
            "{levels} open"
        );
    }
    let generous = Limits {
        depth: 1_000_000,
        ..Limits::default()
    };
    assert_eq!(
        parse("[".repeat(10_000).as_bytes(), &generous),
        Err(JsonError::TooDeep { limit: 120 })
    );
}

#[test]
fn w8_a_million_keys_or_entries_are_refused() {
    let limit = Limits::default().elements;
    let keys: Vec<String> = (0..1_000_000).map(|number| format!("\"{number}\":0")).collect();
    let object = format!("{{{}}}", keys.join(","));
    assert!(object.len() > Limits::default().body_bytes);
    let roomy = Limits {
        body_bytes: usize::MAX,
        ..Limits::default()
    };
    assert_eq!(
        parse(object.as_bytes(), &roomy),
        Err(JsonError::TooManyElements { limit })
    );
    let list = format!("[{}0]", "0,".repeat(1_000_000));
    assert_eq!(refusal(list.as_bytes()), JsonError::TooManyElements { limit });
}

#[test]
fn w8_duplicate_keys_are_refused_in_small_and_large_objects() {
    let duplicate = |key: &str| JsonError::DuplicateKey { key: key.to_owned() };
    assert_eq!(refusal(br#"{"slug":"a","slug":"b"}"#), duplicate("slug"));
    assert_eq!(refusal(br#"{"slug":"a","sl\u0075g":"b"}"#), duplicate("slug"));
    assert_eq!(refusal(br#"[{"x":{"a":1,"a":1}}]"#), duplicate("a"));
    for members in [15, 16, 17, 18, 5000] {
        let mut keys: Vec<String> = (0..members).map(|number| format!("\"k{number}\":0")).collect();
        assert!(parse(format!("{{{}}}", keys.join(",")).as_bytes(), &Limits::default()).is_ok());
        keys.push("\"k3\":1".to_owned());
        let object = format!("{{{}}}", keys.join(","));
        assert_eq!(refusal(object.as_bytes()), duplicate("k3"), "{members}");
    }
    assert_eq!(refusal(b"{\"\\u001b[2J\":1,\"\\u001b[2J\":1}"), duplicate("[2J"));
}

#[test]
fn w9_text_that_is_no_unicode_is_refused_wherever_it_stands() {
    let table: [(&str, &[u8]); 9] = [
        ("invalid utf-8 in a value", b"{\"slug\":\"\xff\"}"),
        ("invalid utf-8 in a key", b"{\"\xc3\x28\":1}"),
        (
            "invalid utf-8 in a value nobody reads",
            b"{\"x\":[{\"y\":\"\xe2\x28\xa1\"}]}",
        ),
        ("overlong slash", b"{\"slug\":\"\xc0\xaf\"}"),
        ("surrogate in utf-8", b"{\"slug\":\"\xed\xa0\x80\"}"),
        ("lone leading surrogate", br#"{"slug":"\ud800"}"#),
        ("lone trailing surrogate", br#"{"slug":"\udc00x"}"#),
        ("raw nul", b"{\"slug\":\"a\x00b\"}"),
        ("lone surrogate in a key", br#"{"\ud800":1}"#),
    ];
    for (case, body) in table {
        assert!(matches!(refusal(body), JsonError::Malformed { .. }), "{case}");
    }
}

#[test]
fn broken_documents_are_refused_with_a_position() {
    let bodies: [&[u8]; 9] = [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"{} x",
        b"{'a':1}",
        b"nul",
        b"[1e999]",
        b"\xef\xbb\xbf{}",
    ];
    for body in bodies {
        let JsonError::Malformed { reason } = refusal(body) else {
            panic!("{body:?}")
        };
        assert!(reason.contains("line 1 column"), "{reason}");
    }
}

#[test]
fn numbers_out_of_range_are_no_integers() {
    let body = br#"{"a":9223372036854775807,"b":9223372036854775808,"c":123456789012345678901234567890,"d":1e300,"e":-9223372036854775808}"#;
    let parsed = parse(body, &Limits::default()).unwrap();
    let integer = |key| parsed.field(key).and_then(Value::as_integer);
    assert_eq!(integer("a"), Some(i64::MAX));
    assert_eq!([integer("b"), integer("c"), integer("d")], [None; 3]);
    assert_eq!(integer("e"), Some(i64::MIN));
}

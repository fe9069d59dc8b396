//! What each type sends for the sample push and the sample build, compared with `tests/golden/<type>.json`.
//!
//! After an intended change, run with `MADAKE_WRITE_GOLDEN=1` and read the difference.

use std::path::PathBuf;

use madake_brokers::{Action, CATALOGUE, Call, sample_build, sample_push};
use serde_json::{Value, json};

use crate::fixture::{broker, calls, good, request};

#[test]
fn every_type_sends_what_is_written_down() {
    let mut different = Vec::new();
    for of in CATALOGUE {
        let broker = broker(of.key, &good(of.key));
        let sent = json!({
            "push": calls(&broker, &sample_push()).iter().map(shape).collect::<Vec<_>>(),
            "build": calls(&broker, &sample_build()).iter().map(shape).collect::<Vec<_>>(),
        });
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{}.json", of.key));
        let text = format!("{}\n", serde_json::to_string_pretty(&sent).unwrap());
        if std::env::var_os("MADAKE_WRITE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            different.push(format!("{}:\n{text}", path.display()));
        }
    }
    assert!(different.is_empty(), "differs from\n{}", different.join("\n"));
}

fn shape(call: &Call) -> Value {
    let does = match &call.action {
        Action::Http(_) => {
            let request = request(call);
            let text = String::from_utf8(request.body).unwrap();
            let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
            let headers: serde_json::Map<String, Value> = request
                .headers
                .into_iter()
                .map(|(name, value)| (name, Value::String(value)))
                .collect();
            json!({ "method": request.method.as_str(), "url": request.url, "headers": headers, "body": body })
        }
        Action::Mail(mail) => json!({
            "to": mail.to,
            "reply_to": mail.reply_to,
            "subject": mail.subject,
            "text": mail.text.lines().collect::<Vec<_>>(),
            "patch": mail.patch.as_ref().map(|patch| json!({
                "ranges": patch.ranges,
                "file_name": patch.file_name,
                "max_bytes": patch.max_bytes,
            })),
        }),
        Action::Execute(execution) => json!({
            "program": execution.program,
            "stdin": serde_json::from_slice::<Value>(&execution.stdin).unwrap(),
            "timeout_s": execution.timeout_s,
        }),
    };
    json!({ "key": call.key, "title": call.title, "does": does })
}

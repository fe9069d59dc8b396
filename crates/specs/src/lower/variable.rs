//! Plan variables (bamboo-specs.md 5).

use madake_domain::plan::Variable;

use super::{Context, scalar};
use crate::mention::MentionKind;
use crate::report::{Finding, shown};
use crate::yaml::{Entry, Node, Value};

/// What encrypted values of another server start with.
pub(super) const FOREIGN_SECRET: &str = "BAMSCRT@";

/// Parts of names whose values are secrets.
const SECRET_WORDS: [&str; 5] = ["password", "secret", "passphrase", "sshkey", "token"];

/// Whether a name says that its value is a secret.
pub(super) fn names_secret(name: &str) -> bool {
    let folded: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_lowercase();
    SECRET_WORDS.iter().any(|word| folded.contains(word))
}

/// Whether an item is rather one variable, as `{name: version, value: 1}`, than two that are called so.
fn is_described(item: &[Entry]) -> bool {
    let has = |key: &str| item.iter().any(|entry| entry.key.text == key);
    has("name") && has("value")
}

/// The variables in the order of the file.
pub(super) fn variables(cx: &mut Context<'_>, node: &Node) -> Vec<Variable> {
    let mut entries: Vec<&Entry> = Vec::new();
    match &node.value {
        Value::Map(map) => entries.extend(&map.entries),
        Value::Broken => {}
        Value::List(items) => {
            for item in items {
                let of_item = item.as_map().map(|map| map.entries.as_slice());
                let Some(of_item) = of_item.filter(|all| !all.is_empty() && !is_described(all)) else {
                    if !matches!(item.value, Value::Broken) {
                        scalar::wrong_type(cx, item, "an item of `variables`", "`NAME: value`");
                    }
                    continue;
                };
                for entry in of_item {
                    match entries.iter().find(|other| other.key.text == entry.key.text) {
                        Some(first) => {
                            let message = format!("the variable `{}` is given twice", shown(&entry.key.text));
                            let finding = Finding::error("duplicate-key", entry.key.span, message);
                            cx.add(finding.related(first.key.span, "first given here"));
                        }
                        None => entries.push(entry),
                    }
                }
            }
        }
        _ => scalar::wrong_type(cx, node, "`variables`", "a map from name to value"),
    }
    let mut variables: Vec<Variable> = Vec::new();
    for entry in entries {
        let name = entry.key.text.as_str();
        if name.is_empty()
            || name
                .chars()
                .any(|c| c == '=' || c.is_whitespace() || c.is_control())
        {
            let message = format!("`{}` is not the name of a variable", shown(name));
            cx.add(
                Finding::error("bad-variable", entry.key.span, message)
                    .expected("letters, digits, `.`, `_` and `-`"),
            );
            continue;
        }
        let value = match &entry.value.value {
            Value::Null => String::new(),
            _ => match scalar::text(cx, &entry.value, &format!("the variable `{}`", shown(name))) {
                Some(value) => value,
                None => continue,
            },
        };
        cx.report
            .mention(MentionKind::Variable(name.to_owned()), entry.value.span);
        secrets(cx, name, &value, &entry.value);
        variables.push(Variable {
            name: name.to_owned(),
            value,
        });
    }
    variables
}

/// Warns of secrets that cannot be read, and of those that everybody can.
fn secrets(cx: &mut Context<'_>, name: &str, value: &str, node: &Node) {
    if value.starts_with(FOREIGN_SECRET) {
        let message = format!(
            "the value of `{}` was encrypted by another server and cannot be read here",
            shown(name)
        );
        let whose = if cx.in_environment {
            ", for the source plan"
        } else {
            ""
        };
        cx.add(
            Finding::warning("foreign-secret", node.span, message)
                .note(format!(
                    "an administrator enters it once: `madake variable set {} --plan PROJ-PLAN --secret --value-stdin`{whose}",
                    shown(name)
                )),
        );
    } else if !value.is_empty() && names_secret(name) {
        let message = format!(
            "`{}` looks like a secret, and everybody who can read the repository can read it",
            shown(name)
        );
        cx.add(Finding::warning("plain-secret", node.span, message));
    }
}

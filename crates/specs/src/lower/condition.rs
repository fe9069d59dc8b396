//! Conditions of triggers: Bamboo's `green-plan` and `all-other-conditions` (bamboo-specs.md 7.1), and four of our
//! own that stand for what hook scripts were written for (origin 000): who committed, how many commits are new,
//! the time of day, the day of the week.

use madake_domain::plan::TriggerCondition;

use super::fields::Fields;
use super::{Context, item, scalar};
use crate::language::{State, trigger as language};
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Entry, Node, Value, boolean};

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

const END_OF_DAY: u16 = 24 * 60;

/// The conditions of a trigger, which must all hold, and those of apps by dotted name.
pub(super) fn conditions(
    cx: &mut Context<'_>,
    node: &Node,
) -> (Vec<TriggerCondition>, Vec<(String, String)>) {
    let (mut conditions, mut others) = (Vec::new(), Vec::new());
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) => std::slice::from_ref(node),
        Value::Broken => return (conditions, others),
        _ => {
            scalar::wrong_type(cx, node, "`conditions`", "a list");
            return (conditions, others);
        }
    };
    for item in items {
        match &item.value {
            Value::Map(map) => {
                for entry in &map.entries {
                    conditions.extend(condition(cx, entry, &mut others));
                }
            }
            Value::Broken => {}
            _ => {
                let names: Vec<&str> = language::CONDITIONS.names().collect();
                scalar::wrong_type(cx, item, "a condition", &super::fields::any_of(&names));
            }
        }
    }
    (conditions, others)
}

fn condition(
    cx: &mut Context<'_>,
    entry: &Entry,
    others: &mut Vec<(String, String)>,
) -> Option<TriggerCondition> {
    let node = &entry.value;
    let choice = item::known(cx, &language::CONDITIONS, &entry.key.text, entry.key.span)?;
    cx.report
        .document_key(entry.key.span, node.span, language::CONDITIONS.id, choice.name);
    match choice.name {
        "green-plan" => green_plan(cx, node),
        "all-other-conditions" => {
            let settings = scalar::free(cx, node);
            if let State::NotYet(instead) = choice.state
                && settings.iter().any(|(_, value)| boolean(value) != Some(false))
            {
                cx.not_run(entry.key.span, "`all-other-conditions`", instead);
            }
            others.extend(settings);
            None
        }
        "committers" => {
            let names = scalar::texts(cx, node, "`committers`");
            if names.is_empty() && !matches!(node.value, Value::Broken | Value::Map(_)) {
                let message = "`committers` names nobody, so the trigger would never fire";
                cx.add(Finding::error("empty", entry.key.span, message));
            }
            (!names.is_empty()).then_some(TriggerCondition::Committers { names })
        }
        "minimum-commits" => scalar::number(cx, node, "the number of commits", 1)
            .map(|count| TriggerCondition::MinimumCommits { count }),
        "time-window" => time_window(cx, node),
        "after" => after(cx, node),
        _ => weekdays(cx, node),
    }
}

fn green_plan(cx: &mut Context<'_>, node: &Node) -> Option<TriggerCondition> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut plans = Vec::new();
    for item in items {
        plans.push(scalar::plan_key(cx, item)?);
    }
    (!plans.is_empty()).then_some(TriggerCondition::GreenPlan { plans })
}

fn time_window(cx: &mut Context<'_>, node: &Node) -> Option<TriggerCondition> {
    let mut fields = Fields::of(cx, node, &language::TIME_WINDOW)?;
    let from = fields.take("from").map(|node| minute(cx, node));
    let until = fields.take("until").map(|node| minute(cx, node));
    let time_zone = time_zone(cx, &mut fields);
    fields.finish(cx);
    if from.is_none() && until.is_none() {
        cx.add(Finding::error(
            "missing-key",
            node.span,
            "`time-window` has neither `from` nor `until`",
        ));
        return None;
    }
    window(
        cx,
        node,
        from.unwrap_or(Some(0))?,
        until.unwrap_or(Some(END_OF_DAY))?,
        time_zone,
    )
}

/// `after: '17:00'` or `after: {time: '17:00', time-zone: Europe/Berlin}`.
fn after(cx: &mut Context<'_>, node: &Node) -> Option<TriggerCondition> {
    if node.as_map().is_none() {
        let from = minute(cx, node)?;
        return window(cx, node, from, END_OF_DAY, None);
    }
    let mut fields = Fields::of(cx, node, &language::AFTER)?;
    let time = fields.take("time");
    let time_zone = time_zone(cx, &mut fields);
    fields.finish(cx);
    let Some(time) = time else {
        cx.add(Finding::error("missing-key", node.span, "`after` has no `time`"));
        return None;
    };
    let from = minute(cx, time)?;
    window(cx, node, from, END_OF_DAY, time_zone)
}

fn window(
    cx: &mut Context<'_>,
    node: &Node,
    from_minute: u16,
    until_minute: u16,
    time_zone: Option<String>,
) -> Option<TriggerCondition> {
    if from_minute == until_minute {
        cx.add(Finding::error(
            "empty",
            node.span,
            "the time window ends when it begins, so it is never open",
        ));
        return None;
    }
    Some(TriggerCondition::TimeWindow {
        from_minute,
        until_minute,
        time_zone,
    })
}

/// Minutes after midnight of `17:00`, up to `24:00`.
fn minute(cx: &mut Context<'_>, node: &Node) -> Option<u16> {
    let parsed = node.as_text().and_then(|text| {
        let (hours, minutes) = text.trim().split_once(':')?;
        let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(hours) || !digits(minutes) || minutes.len() != 2 {
            return None;
        }
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        let minute = hours * 60 + minutes;
        (minutes < 60 && minute <= END_OF_DAY).then_some(minute)
    });
    if parsed.is_none() && !matches!(node.value, Value::Broken) {
        scalar::wrong_type(
            cx,
            node,
            "a time of day",
            "hours and minutes from `'00:00'` to `'24:00'`",
        );
    }
    parsed
}

fn time_zone(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Option<String> {
    let node = fields.take("time-zone")?;
    let name = scalar::non_empty_text(cx, node, "the time zone")?;
    match (cx.options.validate_time_zone)(&name) {
        Ok(()) => Some(name),
        Err(fault) => {
            let message = format!("`{}` is not a time zone: {fault}", shown(&name));
            cx.add(
                Finding::error("bad-time-zone", node.span, message)
                    .expected("a name such as `Europe/Berlin`"),
            );
            None
        }
    }
}

/// `weekdays: [thursday]` or `weekdays: {days: [thu], time-zone: Europe/Berlin}`.
fn weekdays(cx: &mut Context<'_>, node: &Node) -> Option<TriggerCondition> {
    let mut zone = None;
    let list = if node.as_map().is_some() {
        let mut fields = Fields::of(cx, node, &language::WEEKDAYS)?;
        let days = fields.take("days");
        zone = time_zone(cx, &mut fields);
        fields.finish(cx);
        days.unwrap_or(node)
    } else {
        node
    };
    let mut days = Vec::new();
    for (text, node) in scalar::placed_texts(cx, list, "`weekdays`") {
        let folded = text.trim().to_ascii_lowercase();
        let found = (1u8..)
            .zip(DAYS)
            .find(|(_, name)| folded.len() >= 3 && name.starts_with(&folded));
        match found {
            Some((day, _)) if !days.contains(&day) => days.push(day),
            Some(_) => {}
            None => {
                let message = format!("there is no day `{}`", shown(&text));
                cx.add(
                    Finding::error("unknown-value", node.span, message)
                        .expected("`monday` to `sunday`, or their first three letters")
                        .suggestion(nearest(&text, DAYS)),
                );
                return None;
            }
        }
    }
    if days.is_empty() {
        if list.as_map().is_none() {
            cx.add(Finding::error(
                "empty",
                node.span,
                "`weekdays` names no day, so the trigger would never fire",
            ));
        }
        return None;
    }
    days.sort_unstable();
    Some(TriggerCondition::Weekdays {
        days,
        time_zone: zone,
    })
}

//! JSON of Mocha's `json` reporter and of `mocha-bamboo-reporter`: lists of tests by how they ended.
//!
//! Each test is taken when it was read, so what stands before a damaged place is kept.

use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::case::{CaseSink, RawCase, RawFailure};
use super::xml::line_of;
use super::{FindingKind, ReportFormat, TestOutcome, duration};

pub(super) fn read(text: &str, sink: &mut CaseSink<'_>) -> Option<ReportFormat> {
    // What the tests wrote to standard output may stand before the report.
    let start = text.find("{\n").or_else(|| text.find('{')).unwrap_or(0);
    let first_line = line_of(text, start);
    if !text[..start].trim().trim_start_matches('\u{feff}').is_empty() {
        sink.find(
            1,
            FindingKind::Damaged,
            "there is text before the report, which was passed over",
        );
    }
    let collected = Collected {
        sink: RefCell::new(sink),
        first_line,
        lists: RefCell::new(0),
    };
    let mut deserializer = serde_json::Deserializer::from_str(&text[start..]);
    let read = Report(&collected).deserialize(&mut deserializer);
    let lists = collected.lists.into_inner();
    let sink = collected.sink.into_inner();
    if let Err(error) = read {
        let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
        let line = first_line.saturating_add(line.saturating_sub(1));
        sink.find(
            line,
            FindingKind::Damaged,
            &format!("the JSON cannot be read further: {error}"),
        );
    }
    if lists == 0 {
        sink.find(
            first_line,
            FindingKind::NotAReport,
            "the JSON has none of `passes`, `failures`, `pending` and `tests`, so it is no report of Mocha",
        );
        return None;
    }
    Some(ReportFormat::Mocha)
}

struct Collected<'a, 's> {
    sink: RefCell<&'a mut CaseSink<'s>>,
    first_line: u32,
    /// How many lists of tests there were.
    lists: RefCell<usize>,
}

impl Collected<'_, '_> {
    fn add(&self, test: MochaTest, outcome: TestOutcome) {
        let mut sink = self.sink.borrow_mut();
        let (title, full_title) = (test.title.text(), test.full_title.text());
        let class_name = full_title
            .strip_suffix(title.as_str())
            .map(str::trim)
            .filter(|suite| !suite.is_empty())
            .map_or_else(|| test.file.text(), str::to_owned);
        let problem = match test.err {
            Problem { message, stack } if message.0.is_none() && stack.0.is_none() => test.error,
            problem => problem,
        };
        let duration_ms = match test.duration.0 {
            Some(Value::Number(number)) => duration::of_number(number, self.first_line, &mut sink),
            Some(Value::Text(text)) => duration::milliseconds(Some(&text), self.first_line, &mut sink),
            None => None,
        };
        sink.add(RawCase {
            class_name,
            name: if title.is_empty() { full_title } else { title },
            outcome,
            duration_ms,
            failures: vec![RawFailure {
                message: problem.message.text(),
                text: problem.stack.text(),
            }],
            system_out: String::new(),
            line: self.first_line,
        });
    }
}

/// The document.
struct Report<'c, 'a, 's>(&'c Collected<'a, 's>);

impl<'de> DeserializeSeed<'de> for Report<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Report<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with lists of tests")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut waiting = Vec::new();
        let mut has_others = false;
        while let Some(key) = map.next_key::<String>()? {
            let outcome = match key.as_str() {
                "failures" => TestOutcome::Failed,
                "passes" => TestOutcome::Successful,
                "pending" | "skipped" => TestOutcome::Skipped,
                "tests" => {
                    // Mocha's own list of all tests comes first, and the others repeat it.
                    let limit = self.0.sink.borrow().limits().cases;
                    waiting = map.next_value_seed(AllTests { limit })?;
                    *self.0.lists.borrow_mut() += 1;
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            has_others = true;
            *self.0.lists.borrow_mut() += 1;
            map.next_value_seed(Tests {
                collected: self.0,
                outcome,
            })?;
        }
        if !has_others {
            for test in waiting {
                let outcome = test.outcome();
                self.0.add(test, outcome);
            }
        }
        Ok(())
    }
}

/// A list of tests that ended alike.
struct Tests<'c, 'a, 's> {
    collected: &'c Collected<'a, 's>,
    outcome: TestOutcome,
}

impl<'de> DeserializeSeed<'de> for Tests<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Tests<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(test) = list.next_element()? {
            self.collected.add(test, self.outcome);
        }
        Ok(())
    }
}

/// The list of all tests, up to a number.
struct AllTests {
    limit: usize,
}

impl<'de> DeserializeSeed<'de> for AllTests {
    type Value = Vec<MochaTest>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AllTests {
    type Value = Vec<MochaTest>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut tests = Vec::new();
        // One more than is taken, so that it is noted when there are more.
        while tests.len() <= self.limit {
            match list.next_element()? {
                Some(test) => tests.push(test),
                None => return Ok(tests),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(tests)
    }
}

/// One test.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MochaTest {
    title: Scalar,
    #[serde(rename = "fullTitle")]
    full_title: Scalar,
    file: Scalar,
    duration: Scalar,
    err: Problem,
    error: Problem,
    pending: Scalar,
    state: Scalar,
}

impl MochaTest {
    fn outcome(&self) -> TestOutcome {
        let state = self.state.text();
        let failed = [&self.err, &self.error]
            .iter()
            .any(|problem| problem.message.0.is_some() || problem.stack.0.is_some());
        if failed || state == "failed" {
            TestOutcome::Failed
        } else if self.pending.text() == "true" || state == "pending" || self.duration.0.is_none() {
            TestOutcome::Skipped
        } else {
            TestOutcome::Successful
        }
    }
}

/// A text or a number; whatever else stands there is nothing.
#[derive(Debug, Default)]
struct Scalar(Option<Value>);

#[derive(Debug)]
enum Value {
    Text(String),
    Number(f64),
}

impl Scalar {
    fn text(&self) -> String {
        match &self.0 {
            None => String::new(),
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let problem = Problem::deserialize(deserializer)?;
        Ok(problem.message)
    }
}

/// Why a test failed: an object, or its message alone.
#[derive(Debug, Default)]
struct Problem {
    message: Scalar,
    stack: Scalar,
}

impl Problem {
    fn of(value: Value) -> Self {
        Self {
            message: Scalar(Some(value)),
            stack: Scalar(None),
        }
    }
}

impl<'de> Deserialize<'de> for Problem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProblemVisitor)
    }
}

struct ProblemVisitor;

impl<'de> Visitor<'de> for ProblemVisitor {
    type Value = Problem;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_str<E>(self, text: &str) -> Result<Problem, E> {
        let filled = (!text.is_empty()).then(|| Problem::of(Value::Text(text.to_owned())));
        Ok(filled.unwrap_or_default())
    }

    fn visit_bool<E>(self, is: bool) -> Result<Problem, E> {
        Ok(Problem::of(Value::Text(is.to_string())))
    }

    #[expect(clippy::cast_precision_loss, reason = "no duration is that long")]
    fn visit_i64<E>(self, number: i64) -> Result<Problem, E> {
        Ok(Problem::of(Value::Number(number as f64)))
    }

    #[expect(clippy::cast_precision_loss, reason = "no duration is that long")]
    fn visit_u64<E>(self, number: u64) -> Result<Problem, E> {
        Ok(Problem::of(Value::Number(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Problem, E> {
        Ok(Problem::of(Value::Number(number)))
    }

    fn visit_unit<E>(self) -> Result<Problem, E> {
        Ok(Problem::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Problem, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Problem::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Problem, A::Error> {
        let mut problem = Problem::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "message" => problem.message = map.next_value()?,
                "stack" => problem.stack = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(problem)
    }
}

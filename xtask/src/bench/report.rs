//! What was measured: figures of single runs, medians and ranges over all runs, as a table and as JSON.

use serde_json::{Value, json};

/// One figure of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    /// What it is.
    pub(crate) name: &'static str,
    /// In what unit.
    pub(crate) unit: &'static str,
    /// The figure.
    pub(crate) value: f64,
}

/// Shorthand for a figure.
pub(crate) fn figure(name: &'static str, unit: &'static str, value: f64) -> Figure {
    Figure { name, unit, value }
}

/// One run of one contestant.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// What was measured.
    pub(crate) figures: Vec<Figure>,
    /// Whether the work was done rightly; if not, what was wrong.
    pub(crate) gate: Result<(), String>,
}

/// All runs of one contestant.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    /// Its name.
    pub(crate) contestant: &'static str,
    /// Its runs in their order, each with the load average before it.
    pub(crate) runs: Vec<(f64, Run)>,
    /// Why it was not run at all.
    pub(crate) absent: Option<String>,
}

/// The middle, the least and the greatest of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

/// The spread of `values`; `None` when there are none.
pub(crate) fn spread(values: &[f64]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(Spread {
        median: quantile(&sorted, 0.5)?,
        least: *sorted.first()?,
        greatest: *sorted.last()?,
    })
}

/// The value below which the share `q` (0 to 1) of the sorted values lies, between neighbours by proportion.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list of measurements"
    )]
    let (below, part) = {
        let place = q.clamp(0.0, 1.0) * last as f64;
        (place.floor() as usize, place.fract())
    };
    let low = sorted.get(below)?;
    let high = sorted.get(below + 1).unwrap_or(low);
    Some(low + (high - low) * part)
}

impl Results {
    fn names(&self) -> Vec<(&'static str, &'static str)> {
        let mut names = Vec::new();
        for figure in self.runs.iter().flat_map(|(_, run)| &run.figures) {
            if !names.contains(&(figure.name, figure.unit)) {
                names.push((figure.name, figure.unit));
            }
        }
        names
    }

    fn values(&self, name: &str) -> Vec<f64> {
        let figures = self.runs.iter().flat_map(|(_, run)| &run.figures);
        figures
            .filter(|figure| figure.name == name)
            .map(|figure| figure.value)
            .collect()
    }

    fn gate(&self) -> String {
        if let Some(reason) = &self.absent {
            return format!("NOT MEASURED: {reason}");
        }
        match self.runs.iter().find_map(|(_, run)| run.gate.as_ref().err()) {
            Some(reason) => format!("fail: {reason}"),
            None => "pass".to_owned(),
        }
    }

    fn json(&self) -> Value {
        let medians: serde_json::Map<String, Value> = self
            .names()
            .into_iter()
            .filter_map(|(name, unit)| {
                let spread = spread(&self.values(name))?;
                let value = json!({
                    "unit": unit,
                    "median": spread.median,
                    "least": spread.least,
                    "greatest": spread.greatest,
                });
                Some((name.to_owned(), value))
            })
            .collect();
        let runs: Vec<Value> = self
            .runs
            .iter()
            .map(|(load, run)| {
                let figures: serde_json::Map<String, Value> = run
                    .figures
                    .iter()
                    .map(|figure| (figure.name.to_owned(), json!(figure.value)))
                    .collect();
                json!({ "loadBefore": load, "figures": figures, "fault": run.gate.as_ref().err() })
            })
            .collect();
        json!({ "contestant": self.contestant, "gate": self.gate(), "figures": medians, "runs": runs })
    }
}

/// Everything about one measurement, for machines.
pub(crate) fn as_json(name: &str, title: &str, circumstances: &Value, all: &[Results]) -> Value {
    let contestants: Vec<Value> = all.iter().map(Results::json).collect();
    json!({ "benchmark": name, "title": title, "circumstances": circumstances, "contestants": contestants })
}

/// The table for people: contestants side by side, a figure in each line, `median (least to greatest)`.
pub(crate) fn as_table(all: &[Results]) -> String {
    let mut names = Vec::new();
    for name in all.iter().flat_map(Results::names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut rows = vec![
        std::iter::once(String::new())
            .chain(all.iter().map(|one| one.contestant.to_owned()))
            .collect::<Vec<_>>(),
    ];
    for (name, unit) in names {
        let mut row = vec![format!("{name}, {unit}")];
        row.extend(all.iter().map(|one| {
            spread(&one.values(name)).map_or_else(
                || "-".to_owned(),
                |spread| {
                    if one.runs.len() < 2 {
                        return shown(spread.median);
                    }
                    format!(
                        "{} ({} to {})",
                        shown(spread.median),
                        shown(spread.least),
                        shown(spread.greatest)
                    )
                },
            )
        }));
        rows.push(row);
    }
    let widths: Vec<usize> = (0..=all.len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
    for one in all {
        text.push_str(&format!("{}: {}\n", one.contestant, one.gate()));
    }
    text
}

/// Three digits that matter, and no more.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value == value.trunc() => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(values: &[f64], gate: &Result<(), String>) -> Results {
        Results {
            contestant: "one",
            runs: values
                .iter()
                .map(|value| {
                    let run = Run {
                        figures: vec![figure("speed", "1/s", *value)],
                        gate: gate.clone(),
                    };
                    (0.1, run)
                })
                .collect(),
            absent: None,
        }
    }

    #[test]
    fn spread_is_that_of_unsorted_values() {
        let found = spread(&[3.0, 1.0, 2.0]).expect("values");
        assert_eq!((found.median, found.least, found.greatest), (2.0, 1.0, 3.0));
        assert_eq!(spread(&[]), None);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0], 0.99), Some(1.99));
    }

    #[test]
    fn table_shows_median_range_and_gate() {
        let table = as_table(&[results(&[300.0, 100.0, 200.0], &Ok(()))]);
        assert!(table.contains("speed, 1/s   200 (100 to 300)"), "{table}");
        assert!(table.ends_with("one: pass\n"), "{table}");
    }

    #[test]
    fn one_failed_run_fails_the_contestant() {
        let table = as_table(&[results(&[1.5], &Err("two were lost".into()))]);
        assert!(table.ends_with("one: fail: two were lost\n"), "{table}");
    }
}

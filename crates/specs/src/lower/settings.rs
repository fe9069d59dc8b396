//! Settings of apps by dotted name, taken one by one; each knows its place.

use std::str::FromStr;

use super::scalar::{self, Setting};
use super::{Context, path};
use crate::report::{Finding, shown};
use crate::source::Span;
use crate::yaml::{Node, boolean};

/// The settings that were not taken yet.
pub(super) struct Settings {
    /// Where it is said that one is missing.
    pub(super) place: Span,
    left: Vec<Setting>,
}

impl Settings {
    /// The settings of a node; none without one. `place` is where it is said that one is missing.
    pub(super) fn of(cx: &mut Context<'_>, node: Option<&Node>, place: Span) -> Self {
        let left = node
            .map(|node| scalar::placed_settings(cx, node))
            .unwrap_or_default();
        for Setting {
            name, value, span, ..
        } in &left
        {
            match name.as_str() {
                "environmentVariables" | "envVars" => scalar::secrets_among(cx, value, *span),
                name => scalar::secret_setting(cx, name, value, *span),
            }
        }
        Self { place, left }
    }

    /// A setting with its places, if it is given.
    pub(super) fn take_placed(&mut self, name: &str) -> Option<Setting> {
        let at = self.left.iter().position(|setting| setting.name == name)?;
        Some(self.left.remove(at))
    }

    /// The value of a setting, if it is given.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.take_placed(name).map(|setting| setting.value)
    }

    /// Where the key of a setting stands, if it is given.
    pub(super) fn key_span(&self, name: &str) -> Option<Span> {
        let mut settings = self.left.iter();
        settings
            .find(|setting| setting.name == name)
            .map(|setting| setting.key_span)
    }

    /// A text, empty where it is not given.
    pub(super) fn text(&mut self, name: &str) -> String {
        self.take(name).unwrap_or_default()
    }

    /// A setting that must be given and not be empty.
    pub(super) fn need_placed(&mut self, cx: &mut Context<'_>, name: &str) -> Option<Setting> {
        let finding = match self.take_placed(name) {
            Some(setting) if !setting.value.trim().is_empty() => return Some(setting),
            Some(setting) => {
                let message = format!("`{name}` has no value");
                Finding::error("missing-key", setting.key_span, message)
            }
            None => {
                let message = format!("the configuration of the task has no `{name}`");
                Finding::error("missing-key", self.place, message)
            }
        };
        cx.add(finding);
        None
    }

    /// A text that must be given.
    pub(super) fn need(&mut self, cx: &mut Context<'_>, name: &str) -> Option<String> {
        self.need_placed(cx, name).map(|setting| setting.value)
    }

    /// A path below the working directory, empty where it is not given.
    pub(super) fn path(&mut self, cx: &mut Context<'_>, name: &str) -> String {
        match self.take_placed(name) {
            Some(setting) => {
                path::checked(cx, setting.value, setting.span, &format!("`{name}`")).unwrap_or_default()
            }
            None => String::new(),
        }
    }

    /// A boolean, if it is given; something else is reported.
    pub(super) fn maybe_flag(&mut self, cx: &mut Context<'_>, name: &str) -> Option<bool> {
        let setting = self.take_placed(name)?;
        let flag = boolean(&setting.value);
        if flag.is_none() && !setting.value.trim().is_empty() {
            let message = format!(
                "`{name}` cannot be `{}`, and counts as false",
                shown(&setting.value)
            );
            cx.add(Finding::warning("wrong-type", setting.span, message).expected("`true` or `false`"));
        }
        flag
    }

    /// A boolean; what is none counts as false.
    pub(super) fn flag(&mut self, cx: &mut Context<'_>, name: &str) -> bool {
        self.maybe_flag(cx, name).unwrap_or(false)
    }

    /// A number, if it is given; something else is reported.
    pub(super) fn number<T: FromStr>(&mut self, cx: &mut Context<'_>, name: &str) -> Option<T> {
        let setting = self.take_placed(name)?;
        let text = setting.value.trim();
        let number = text.parse().ok();
        if number.is_none() && !text.is_empty() {
            let message = format!("`{name}` cannot be `{}`", shown(text));
            cx.add(Finding::warning("wrong-type", setting.span, message).expected("a number"));
        }
        number
    }

    /// Pairs of `FIRST_0` and `SECOND_0`, `FIRST_1` and `SECOND_1` and so on.
    pub(super) fn pairs(&mut self, first: &str, second: &str) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for number in 0u32.. {
            let outer = self.take(&format!("{first}_{number}"));
            let inner = self.take(&format!("{second}_{number}"));
            match (outer, inner) {
                (None, None) => break,
                (outer, inner) => pairs.push((outer.unwrap_or_default(), inner.unwrap_or_default())),
            }
        }
        pairs
    }

    /// Whether a setting that starts so is left.
    pub(super) fn has(&self, prefix: &str) -> bool {
        self.left.iter().any(|setting| setting.name.starts_with(prefix))
    }

    /// The settings that start so.
    pub(super) fn take_all(&mut self, prefix: &str) -> Vec<Setting> {
        let (taken, left) = std::mem::take(&mut self.left)
            .into_iter()
            .partition(|setting| setting.name.starts_with(prefix));
        self.left = left;
        taken
    }

    /// What nobody asked for and that says something.
    pub(super) fn rest(&self) -> impl Iterator<Item = &Setting> {
        self.left
            .iter()
            .filter(|setting| !setting.value.trim().is_empty() && boolean(&setting.value) != Some(false))
    }

    /// Everything that is left, by name.
    pub(super) fn into_left(self) -> Vec<(String, String)> {
        self.left
            .into_iter()
            .map(|setting| (setting.name, setting.value))
            .collect()
    }

    /// The same, without ending.
    pub(super) fn take_left(&mut self) -> Vec<(String, String)> {
        let left = std::mem::take(&mut self.left);
        let place = self.place;
        Self { place, left }.into_left()
    }
}

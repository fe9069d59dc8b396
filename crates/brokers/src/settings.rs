//! Settings as people and scripts write them, checked and typed. Every mistake names the setting, says what is
//! wrong and how to mend it, and all are told at once.

use std::collections::BTreeMap;
use std::fmt;

use crate::address::Address;
use crate::catalogue::{BrokerType, Field, FieldKind};
use crate::refs::{RefFilter, Targets};
use crate::secret::Secret;
use crate::template::{Escape, Template};

/// Settings by name, values as text, as a form or REST gives them.
pub type Settings = BTreeMap<String, String>;

/// The longest value, in bytes.
const MAX_VALUE: usize = 16 * 1024;

/// What an administrator allows brokers to do.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// The absolute paths of programs that brokers may run.
    pub executables: Vec<String>,
}

/// One mistake in settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting, by the name of the catalogue, or as it was given if there is none such.
    pub field: String,
    /// What is wrong, and how to mend it.
    pub sentence: String,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.sentence)
    }
}

impl std::error::Error for SettingProblem {}

/// Hands out typed values and collects what is wrong. After a mistake it hands out a stand-in, so that the rest is
/// looked at too; nothing made of stand-ins leaves this crate.
pub(crate) struct Reader<'a> {
    values: BTreeMap<&'static str, &'a str>,
    fields: BTreeMap<&'static str, &'static Field>,
    problems: Vec<SettingProblem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(of: &'static BrokerType, settings: &'a Settings) -> Self {
        let fields = of.all_fields().map(|field| (field.name, field)).collect();
        let mut reader = Self {
            values: BTreeMap::new(),
            fields,
            problems: Vec::new(),
        };
        for (name, value) in settings {
            let Some(field) = of.field(name) else {
                let remedy = match of.near_field(name) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "there are {}",
                        of.all_fields()
                            .map(|field| field.name)
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                };
                let name = madake_formats::text::line(name, 100);
                reader.problem(&name, format!("is no setting of {}; {remedy}", of.title));
                continue;
            };
            let value = if matches!(field.kind, FieldKind::Secret) {
                value.as_str()
            } else {
                value.trim()
            };
            if value.len() > MAX_VALUE {
                reader.problem(
                    field.name,
                    format!("is longer than {MAX_VALUE} bytes; shorten it"),
                );
            } else if reader.values.insert(field.name, value).is_some() {
                reader.problem(
                    field.name,
                    "is given twice, under two of its names; leave one out".to_owned(),
                );
            }
        }
        for field in of.all_fields() {
            if field.required && reader.raw(field.name).is_empty() {
                reader.problem(field.name, format!("is missing; {}", lower_first(field.help)));
            }
        }
        reader
    }

    /// Everything that was wrong.
    pub(crate) fn problems(self) -> Vec<SettingProblem> {
        self.problems
    }

    pub(crate) fn problem(&mut self, name: &str, sentence: String) {
        self.problems.push(SettingProblem {
            field: name.to_owned(),
            sentence,
        });
    }

    /// The value as given, or the default.
    fn raw(&self, name: &str) -> &'a str {
        match self.values.get(name).copied() {
            Some(value) if !value.is_empty() => value,
            _ => self.fields.get(name).map_or("", |field| field.default),
        }
    }

    /// One line, empty if it is not given.
    pub(crate) fn text(&mut self, name: &str) -> String {
        let value = self.raw(name);
        if value.chars().any(char::is_control) {
            self.problem(
                name,
                "has a line break or another control character; write one line".to_owned(),
            );
            return String::new();
        }
        value.to_owned()
    }

    /// One line, if it is given.
    pub(crate) fn optional(&mut self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// A secret, empty if it is not given.
    pub(crate) fn secret(&mut self, name: &str) -> Secret {
        Secret::new(self.text(name))
    }

    /// An address.
    pub(crate) fn address(&mut self, name: &str) -> Address {
        let value = self.raw(name);
        let stand_in = || Address::parse("http://stand-in.invalid").expect("this is an address");
        if value.is_empty() {
            return stand_in();
        }
        Address::parse(value).unwrap_or_else(|problem| {
            self.problem(
                name,
                format!("{problem}; write an address such as `https://ci.example/path`"),
            );
            stand_in()
        })
    }

    /// An address without name and password, for receivers that take a token.
    pub(crate) fn bare_address(&mut self, name: &str) -> Address {
        let address = self.address(name);
        if address.credentials().is_some() {
            let sentence = "has a name or password before the host; leave it out, and write the token into its own setting";
            self.problem(name, sentence.to_owned());
        }
        address
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        match self.raw(name).to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => true,
            "" | "false" | "no" | "off" | "0" => false,
            _ => {
                self.problem(
                    name,
                    "is neither `true` nor `false`; write one of them".to_owned(),
                );
                false
            }
        }
    }

    /// A number within the bounds of the field.
    pub(crate) fn number(&mut self, name: &str) -> u64 {
        let Some(FieldKind::Number(least, most)) = self.fields.get(name).map(|field| field.kind) else {
            return 0;
        };
        match self.raw(name).parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.problem(
                    name,
                    format!("is not a whole number from {least} to {most}; write one"),
                );
                least
            }
        }
    }

    /// One of the words of the field, as the catalogue writes it.
    pub(crate) fn choice(&mut self, name: &str) -> &'static str {
        let Some(FieldKind::Choice(words)) = self.fields.get(name).map(|field| field.kind) else {
            return "";
        };
        let value = self.raw(name);
        words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(value))
            .copied()
            .unwrap_or_else(|| {
                self.problem(
                    name,
                    format!("is none of {}; write one of them", words.join(", ")),
                );
                words[0]
            })
    }

    /// Entries, one a line or separated by commas, without empty ones.
    pub(crate) fn list(&mut self, name: &str) -> Vec<&'a str> {
        self.raw(name)
            .split(['\n', ','])
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .collect()
    }

    /// `branch:TARGET` pairs.
    pub(crate) fn targets(&mut self, name: &str) -> Targets {
        let entries = self.list(name);
        Targets::parse(entries).unwrap_or_else(|problem| {
            self.problem(name, format!("{problem}; write targets or `branch:TARGET` pairs"));
            Targets::default()
        })
    }

    /// Patterns of refs.
    pub(crate) fn filter(&mut self, name: &str) -> RefFilter {
        let entries = self.list(name);
        RefFilter::parse(entries).unwrap_or_else(|problem| {
            self.problem(
                name,
                format!("{problem}; write patterns such as `main` or `release/*`"),
            );
            RefFilter::default()
        })
    }

    /// A template, none if it is not given.
    pub(crate) fn template(&mut self, name: &'static str, escape: Escape) -> Option<Template> {
        let source = self.raw(name);
        if source.is_empty() {
            return None;
        }
        match Template::new(name, source, escape) {
            Ok(template) => Some(template),
            Err(problem) => {
                self.problem(name, problem.sentence_with_line());
                None
            }
        }
    }

    /// A template of a required setting.
    pub(crate) fn required_template(&mut self, name: &'static str, escape: Escape) -> Template {
        self.template(name, escape)
            .unwrap_or_else(|| Template::new(name, "", escape).expect("the empty text is a template"))
    }

    /// Named templates, one a line, with `separator` behind the name; names are of letters, digits, `_`, `-`, `.`.
    pub(crate) fn named_templates(
        &mut self,
        name: &'static str,
        separator: char,
        escape: Escape,
    ) -> Vec<(String, Template)> {
        let mut found = Vec::new();
        for (at, line) in self
            .raw(name)
            .lines()
            .map(str::trim)
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            let number = at + 1;
            let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            match line.split_once(separator).map(|(key, value)| (key.trim(), value.trim())) {
                Some((key, value)) if !key.is_empty() && key.chars().all(token) => {
                    match Template::new(name, value, escape) {
                        Ok(template) => found.push((key.to_owned(), template)),
                        Err(problem) => self.problem(name, format!("line {number}: {}", problem.sentence)),
                    }
                }
                _ => self.problem(
                    name,
                    format!("line {number}: is not a name of letters, digits, `_`, `-`, `.` with `{separator}` and a value behind it"),
                ),
            }
        }
        found
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().collect::<String>() + chars.as_str())
        .unwrap_or_default()
}

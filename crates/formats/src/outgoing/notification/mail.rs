//! A letter as a mail: subject, text, HTML.

use super::{Item, Letter, Tone};

/// What subjects begin with, so that they can be filtered.
pub const SUBJECT_MARK: &str = "[Madake]";

/// The subject: `[Madake] Web › Shop › #7 has FAILED (1 test failed). Change made by Ann`.
pub fn subject(letter: &Letter) -> String {
    format!("{SUBJECT_MARK} {}", letter.headline)
}

/// The text. `under` are the rules that name the reader, as people call their events; `because` says why it is sent, each
/// a piece of a sentence.
pub fn text(letter: &Letter, under: &[String], because: &[String]) -> String {
    let mut text = format!("{}\n{}\n\n", letter.headline, letter.link);
    let width = letter.facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    for (name, value) in &letter.facts {
        text.push_str(&format!("{:width$} {value}\n", format!("{name}:")));
    }
    for section in &letter.sections {
        text.push_str(&format!("\n{}\n", section.title));
        for item in &section.items {
            text.push_str(&format!("  {}\n", item.name));
            for line in item.text.lines().filter(|line| !line.trim().is_empty()) {
                text.push_str(&format!("    {line}\n"));
            }
            if let Some(link) = &item.link {
                text.push_str(&format!("    {link}\n"));
            }
        }
        if section.more > 0 {
            text.push_str(&format!("  and {} more\n", section.more));
        }
    }
    text.push_str(&format!("\n-- \n{}\n", why(under, because)));
    text
}

/// The same as a page without anything that is fetched or run.
pub fn html(letter: &Letter, under: &[String], because: &[String]) -> String {
    let colour = match letter.tone {
        Tone::Good => "#1f7a4d",
        Tone::Bad => "#b3261e",
        Tone::Neutral => "#4a5a68",
    };
    let mut page = format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body style=\"font-family:sans-serif;color:#1b1f23;line-height:1.4\">\n\
         <h2 style=\"border-left:6px solid {colour};padding-left:10px\"><a style=\"color:{colour}\" href=\"{link}\">{title}</a></h2>\n\
         <table>\n",
        title = escaped(&letter.headline),
        link = escaped(&letter.link),
    );
    for (name, value) in &letter.facts {
        page.push_str(&format!(
            "<tr><th style=\"text-align:left;vertical-align:top;padding-right:12px\">{}</th><td>{}</td></tr>\n",
            escaped(name),
            escaped(value)
        ));
    }
    page.push_str("</table>\n");
    for section in &letter.sections {
        page.push_str(&format!("<h3>{}</h3>\n<ul>\n", escaped(&section.title)));
        for item in &section.items {
            page.push_str(&list_item(item));
        }
        if section.more > 0 {
            page.push_str(&format!("<li>and {} more</li>\n", section.more));
        }
        page.push_str("</ul>\n");
    }
    page.push_str(&format!(
        "<hr>\n<p style=\"color:#6a737d;font-size:small\">{}</p>\n</body></html>\n",
        escaped(&why(under, because))
    ));
    page
}

fn list_item(item: &Item) -> String {
    let name = escaped(&item.name);
    let name = match &item.link {
        Some(link) => format!("<a href=\"{}\">{name}</a>", escaped(link)),
        None => name,
    };
    let text = item.text.trim();
    if text.is_empty() {
        return format!("<li>{name}</li>\n");
    }
    let text: Vec<String> = text.lines().map(escaped).collect();
    format!("<li>{name}<br>{}</li>\n", text.join("<br>"))
}

fn why(under: &[String], because: &[String]) -> String {
    let reasons = if because.is_empty() {
        "the plan names you".to_owned()
    } else {
        because.join(", and ")
    };
    let rules: Vec<String> = under.iter().map(|event| format!("\"{event}\"")).collect();
    format!(
        "You get this message because {reasons}. The plan asks for it under {}.",
        rules.join(" and ")
    )
}

/// Text in HTML, also between quotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

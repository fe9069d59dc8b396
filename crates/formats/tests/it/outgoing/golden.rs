//! Whole bodies of every profile, kept beside the tests. `MADAKE_BLESS=1` writes them anew, to be read
//! before they are committed.

use std::path::Path;

use madake_formats::outgoing::{Profile, PushFacts, Settings};

use super::facts;

fn compare(name: &str, push: &PushFacts) {
    for profile in Profile::ALL {
        let mut text = String::new();
        for rendered in profile.render(push, &Settings::default()) {
            text.push_str(&format!("Content-Type: {}\n", rendered.content_type));
            for (header, value) in &rendered.headers {
                text.push_str(&format!("{header}: {value}\n"));
            }
            text.push_str(&serde_json::to_string_pretty(&facts::json(&rendered)).unwrap());
            text.push_str("\n\n");
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/outgoing/golden")
            .join(format!("{name}-{profile}.txt"));
        if std::env::var_os("MADAKE_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(expected == text, "{} differs:\n{text}", path.display());
    }
}

#[test]
fn a_push_of_git_is_told_as_before() {
    compare("git", &facts::git_push());
}

#[test]
fn a_push_of_mercurial_is_told_as_before() {
    compare("mercurial", &facts::mercurial_push());
}

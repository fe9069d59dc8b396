//! Issues that texts name by the keys that Jira gives them: `PROJ-123`.

/// What looks like a key of Jira and hardly ever is one. Left out unless `projects` names it.
const NO_PROJECTS: &[&str] = &[
    "UTF", "ISO", "SHA", "RFC", "CVE", "CWE", "AES", "RSA", "TLS", "HTTP", "UCS", "MD", "ISBN", "IEEE",
    "GPL", "LGPL", "X",
];

/// The keys of issues that a message names, as Jira writes them: `PROJ-12`. What looks like one and hardly ever is, such
/// as `UTF-8`, is left out.
#[must_use]
pub fn issue_keys(message: &str) -> Vec<String> {
    jira_keys(message, &[])
}

/// The keys of Jira in a message: two or more capitals, a `-` and a number, with nothing of a word around. With
/// `projects`, only theirs.
#[must_use]
pub fn jira_keys(message: &str, projects: &[String]) -> Vec<String> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut keys = Vec::new();
    for candidate in message.split(|c| !word(c)) {
        let Some((project, number)) = candidate.split_once('-') else {
            continue;
        };
        let project_fits = project.len() >= 2
            && project.len() <= 30
            && project.starts_with(|c: char| c.is_ascii_uppercase())
            && project
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let number_fits = !number.starts_with('0')
            && (1..=9).contains(&number.len())
            && number.chars().all(|c| c.is_ascii_digit());
        let wanted = if projects.is_empty() {
            !NO_PROJECTS.contains(&project)
        } else {
            projects.iter().any(|known| known.eq_ignore_ascii_case(project))
        };
        if project_fits && number_fits && wanted {
            keys.push(candidate.to_owned());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::jira_keys;

    #[test]
    fn jira_keys_are_found_in_messages() {
        let table: [(&str, &[&str]); 8] = [
            ("GROVE-12: weigh", &["GROVE-12"]),
            ("see GROVE-1,GROVE-2 (A1_B-3)", &["GROVE-1", "GROVE-2", "A1_B-3"]),
            ("grove-12 Grove-12 G-1", &[]),
            ("UTF-8 SHA-256 ISO-8859", &[]),
            ("xGROVE-12 GROVE-12x GROVE-012 GROVE-12-3", &[]),
            ("GROVE-1234567890", &[]),
            ("feature/GROVE-7-cut", &[]),
            ("[GROVE-7]", &["GROVE-7"]),
        ];
        for (message, expected) in table {
            assert_eq!(jira_keys(message, &[]), expected, "{message}");
        }
        assert_eq!(
            jira_keys("GROVE-1 OTHER-2 UTF-8", &["grove".to_owned(), "utf".to_owned()]),
            ["GROVE-1", "UTF-8"]
        );
    }
}

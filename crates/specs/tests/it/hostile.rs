//! Files that are meant to hurt: each is an error with a place, quickly (hostile-inputs.md Y1 to Y10).

use madake_specs::{Reading, Severity};

use crate::{plan_text, reading, reading_with};

/// The code of the first error.
fn first_error(text: &str) -> String {
    let result = reading(text);
    assert!(result.plans.is_empty());
    result
        .diagnostics
        .iter()
        .find(|found| found.severity == Severity::Error)
        .map(|found| found.code.clone())
        .expect("there is an error")
}

/// The first finding of this code, as `line:column`.
fn place_of(result: &Reading, code: &str) -> String {
    let found = result.diagnostics.iter().find(|found| found.code == code);
    found.map_or_else(
        || panic!("no {code} among {:#?}", result.diagnostics),
        |found| format!("{}:{}", found.line, found.column),
    )
}

#[test]
fn y1_tags_are_errors_with_their_place() {
    for (text, place) in [
        ("a: 1\nb: !!java.net.URL [x]\n", "2:4"),
        ("a: !!javax.script.ScriptEngineManager {}\n", "1:4"),
        ("- !python/object:os.system {a: b}\n", "1:3"),
        ("a: !!binary aGk=\n", "1:4"),
        ("a:\n  b: !ruby/object:Gem x\n", "2:6"),
        ("%TAG ! tag:example.org,2000:\n---\na: !x y\n", "1:1"),
    ] {
        assert_eq!(place_of(&reading(text), "specs::unknown-tag"), place, "{text}");
    }
    for (text, place) in [
        ("a: 1\nb: !include /etc/passwd\n", "2:4"),
        ("!include '../../../etc/passwd'\n", "1:1"),
        ("a: !include [x]\n", "1:4"),
    ] {
        assert_eq!(place_of(&reading(text), "specs::include"), place, "{text}");
    }
}

#[test]
fn y2_what_expands_beyond_the_limits_is_refused_before_it_is_built() {
    let mut laughs = String::from("a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    let names: Vec<char> = ('a'..='i').collect();
    for pair in names.windows(2) {
        let below = vec![format!("*{}", pair[0]); 9].join(", ");
        laughs.push_str(&format!("{0}: &{0} [{below}]\n", pair[1]));
    }
    let mut merges = String::from("m0: &m0 {a: 1}\n");
    for level in 1..60 {
        let below = vec![format!("*m{}", level - 1); 10].join(", ");
        merges.push_str(&format!("m{level}: &m{level} {{<<: [{below}], k{level}: 1}}\n"));
    }
    let keys: Vec<String> = (0..2000).map(|number| format!("k{number}: 1")).collect();
    let wide = format!(
        "a: &a {{{}}}\nb:\n{}",
        keys.join(", "),
        "  - {<<: *a}\n".repeat(5000)
    );
    let scalar = format!("a: {}\n", "x".repeat(100_000_000));
    let jobs: String = (0..100_000).map(|number| format!("j{number}: {{}}\n")).collect();
    for (name, text) in [
        ("nine times nine", laughs),
        ("merge keys of merge keys", merges),
        ("one wide map merged often", wide),
        ("one long scalar", scalar),
        ("jobs without end", jobs),
    ] {
        assert_eq!(first_error(&text), "specs::too-large", "{name}");
    }
}

#[test]
fn y3_keys_that_repeat_and_tabs_have_a_place() {
    let repeated = reading(&plan_text("Build: {}\nvariables:\n  a: 1\n  'a': 2\n"));
    assert_eq!(place_of(&repeated, "specs::duplicate-key"), "11:3");
    let tabs = reading("version: 2\nplan:\n\tkey: A\n");
    assert_eq!(place_of(&tabs, "specs::yaml-syntax").split(':').next(), Some("3"));
}

#[test]
fn y6_paths_that_lead_out_are_refused() {
    for path in [
        "../..",
        "/etc",
        "a/../../b",
        "~/x",
        "C:\\\\x",
        "'..\\x'",
        "\"a\\0b\"",
    ] {
        for task in [
            "checkout: {path: @}",
            "script: {file: @}",
            "script: {scripts: make, working-dir: @}",
            "inject-variables: @",
            "artifact-download: {destination: @}",
            "maven: {executable: m, goal: g, project-file: @}",
            "any-task: {plugin-key: 'com.atlassian.bamboo.plugins.ant:task.builder.ant', configuration: {label: a, workingSubDirectory: @}}",
        ] {
            let task = task.replace('@', path);
            let result = reading(&plan_text(&format!("Build:\n  tasks:\n    - {task}\n")));
            // What Bamboo's samples have: it is put below the working directory, and that is said.
            let below = path == "/etc" && task.contains("destination");
            assert_eq!(result.has_errors(), !below, "{task}");
            assert!(!result.diagnostics.is_empty(), "{task}");
        }
        for rest in [
            "artifacts: [{name: a, pattern: b, location: @}]",
            "artifact-subscriptions: [{artifact: a, destination: @}]",
        ] {
            let rest = rest.replace('@', path);
            let result = reading(&plan_text(&format!("Build:\n  {rest}\n")));
            let below = path == "/etc" && rest.contains("destination");
            assert_eq!(result.has_errors(), !below, "{rest}");
            assert!(!result.diagnostics.is_empty(), "{rest}");
        }
    }
}

#[test]
fn y10_no_unknown_key_is_passed_over_in_silence() {
    let text = include_str!("whole.yml");
    let lines: Vec<&str> = text.lines().collect();
    // Keys below these are names or settings that the author chooses.
    let free = [
        "variables",
        "configuration",
        "custom",
        "buildExpiryConfig",
        "equals",
        "volumes",
        "matches",
    ];
    let mut tried = 0;
    for (at, line) in lines.iter().enumerate() {
        let blanks = line.len() - line.trim_start().len();
        let is_key = line.trim_start().split_once(':').is_some_and(|(key, value)| {
            (value.is_empty() || value.starts_with(' ')) && !key.contains([' ', '-', '{', '[', '#', '"'])
        });
        let parent = lines[..at]
            .iter()
            .rev()
            .find(|above| {
                let own = above.len() - above.trim_start().len();
                !above.trim().is_empty() && own < blanks
            })
            .map_or("", |above| above.trim().trim_start_matches("- "));
        let parent = parent.split(':').next().unwrap_or_default();
        if !is_key || free.contains(&parent) || parent.ends_with('|') {
            continue;
        }
        let mut changed = lines.clone();
        let added = format!("{}zzunknown: 1", " ".repeat(blanks));
        changed.insert(at, &added);
        let result = reading(&changed.join("\n"));
        let place = u32::try_from(at).unwrap() + 1;
        let told = result.diagnostics.iter().any(|found| found.line == place);
        assert!(told, "line {place} below `{parent}`: {:#?}", result.diagnostics);
        tried += 1;
    }
    assert!(tried > 60, "{tried}");
}

#[test]
fn y2_alias_bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert_eq!(first_error(&bomb), "specs::too-large");
    let keys = format!(
        "a: &a {{x: {}}}\nb: [{}]\n",
        "y".repeat(20_000),
        vec!["{<<: *a}"; 3000].join(", ")
    );
    assert_eq!(first_error(&keys), "specs::too-large");
}

#[test]
fn y2_anchors_that_contain_themselves_are_refused() {
    for text in ["a: &a\n  b: *a\n", "a: &a\n  <<: *a\n", "a: &a [*a]\n"] {
        let result = reading(text);
        let code = "specs::yaml-syntax";
        assert!(
            result.diagnostics.iter().any(|found| found.code == code),
            "{text}"
        );
    }
}

#[test]
fn y2_deep_nesting_is_refused() {
    let mut staircase = String::new();
    for level in 0..500 {
        staircase.push_str(&format!("{}a:\n", " ".repeat(level)));
    }
    assert_eq!(first_error(&staircase), "specs::too-deep");
    assert_eq!(first_error(&"- ".repeat(100_000)), "specs::too-deep");
    assert_eq!(
        first_error(&format!("a: {}", "[".repeat(100_000))),
        "specs::yaml-syntax"
    );
    let flow = format!("a: {}{}\n", "[".repeat(250), "]".repeat(250));
    assert_eq!(first_error(&flow), "specs::too-deep");
    let mut nested = String::from("a:\n-\n");
    for level in 1..160 {
        let blanks = " ".repeat(level);
        nested.push_str(&format!("{blanks}a:\n{blanks}-\n"));
    }
    let flow = "{a: ".repeat(250) + &"}".repeat(250);
    nested.push_str(&format!("{}{flow}\n", " ".repeat(160)));
    assert_eq!(first_error(&nested), "specs::too-deep");
}

#[test]
fn y2_large_files_are_refused() {
    assert_eq!(
        first_error(&format!("a: {}\n", "x".repeat(2_000_000))),
        "specs::too-large"
    );
    let jobs: String = (0..100_000).map(|number| format!("j{number}:\n")).collect();
    assert_eq!(first_error(&jobs), "specs::too-large");
    let list = "- a\n".repeat(200_000);
    assert_eq!(first_error(&list), "specs::too-large");
    let documents = "---\na\n".repeat(100_000);
    let result = reading(&documents);
    assert!(result.diagnostics.len() <= 501, "{}", result.diagnostics.len());
}

#[test]
fn characters_that_end_the_text_early_are_refused() {
    assert_eq!(first_error("version: 2\0\nplan: x\n"), "specs::control-character");
    assert_eq!(
        first_error("version: 2\nplan: \u{85}x\n"),
        "specs::control-character"
    );
}

#[test]
fn y2_includes_that_do_not_end_are_refused() {
    let cycle = [
        ("bamboo-specs/a.yml", "x: !include b.yml\n"),
        ("bamboo-specs/b.yml", "x: !include a.yml\n"),
    ];
    let result = reading_with(&plan_text("Build: !include a.yml\n"), &cycle);
    assert!(
        result
            .diagnostics
            .iter()
            .any(|found| found.message.contains("includes itself"))
    );
    let itself = reading_with("!include bamboo.yml\n", &[("bamboo-specs/bamboo.yml", "a: 1\n")]);
    assert!(itself.diagnostics[0].message.contains("includes itself"));
    let names: Vec<(String, String)> = (0..30)
        .map(|level| {
            (
                format!("bamboo-specs/f{level}.yml"),
                format!("x: !include f{}.yml\n", level + 1),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let chain = reading_with("a: !include f0.yml\n", &files);
    assert!(
        chain
            .diagnostics
            .iter()
            .any(|found| found.message.contains("10 deep"))
    );
    let wide = format!("[{}]", vec!["x"; 20_000].join(","));
    let many = format!("a: [{}]\n", vec!["!include w.yml"; 100].join(", "));
    let result = reading_with(&many, &[("bamboo-specs/w.yml", &wide)]);
    assert!(
        result
            .diagnostics
            .iter()
            .any(|found| found.code == "specs::too-large")
    );
}

#[test]
fn y9_names_of_images_are_not_options() {
    for image in ["--privileged", "'a b'"] {
        let result = reading(&plan_text(&format!("docker: {image}\nBuild: {{tasks: []}}\n")));
        assert!(result.has_errors(), "{image}");
    }
}

#[test]
fn y7_values_that_outsiders_choose_are_pointed_at_in_scripts() {
    let codes = |body: &str| {
        let result = reading(&plan_text(&format!("Build:\n  tasks:\n    - script: {body}\n")));
        assert_eq!(result.plans.len(), 1);
        result
            .diagnostics
            .into_iter()
            .map(|found| found.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        codes("git push ${bamboo.planRepository.branchName}"),
        ["specs::script-substitution"]
    );
    assert_eq!(
        codes("[echo, 'echo ${bamboo.repository.pr.key}']"),
        ["specs::script-substitution"]
    );
    assert_eq!(
        codes("echo ${bamboo.buildNumber} \"$bamboo_planRepository_branchName\""),
        [""; 0]
    );
}

#[test]
fn y3_typed_scalars_are_read_as_yaml_1_1_where_a_boolean_is_expected() {
    for (text, manual) in [
        ("yes", true),
        ("On", true),
        ("'true'", true),
        ("n", false),
        ("OFF", false),
    ] {
        let text = format!(
            "version: 2\nplan: {{project-key: P, key: A, name: a}}\nstages:\n  - S: {{manual: {text}, jobs: []}}\n"
        );
        assert_eq!(
            reading(&text).plans[0].configuration.stages[0].manual,
            manual,
            "{text}"
        );
    }
    for text in ["0o777", "1e3", "1", "~x"] {
        let text = format!(
            "version: 2\nplan: {{project-key: P, key: A, name: a}}\nstages:\n  - S: {{manual: {text}, jobs: []}}\n"
        );
        assert_eq!(first_error(&text), "specs::wrong-type", "{text}");
    }
}

#[test]
fn l1_patterns_that_would_take_too_much_are_refused_with_their_place() {
    for (pattern, refusal) in [
        ("(a+)+$".to_owned(), None),
        (r"^rc-v[0-9]+\.[0-9]+\.[0-9]+.*".to_owned(), None),
        ("(((a{100}){100}){100}){100}".to_owned(), Some("it is too large")),
    ] {
        let text = plan_text(&format!(
            "branches: {{create: {{for-new-branch: '{pattern}'}}}}\ntriggers:\n  - tag: {{filter: '{pattern}'}}\n\
             branch-overrides:\n  - '{pattern}': {{triggers: []}}\nBuild: {{tasks: []}}\n"
        ));
        let found: Vec<_> = reading(&text)
            .diagnostics
            .into_iter()
            .filter(|one| one.code == "specs::bad-pattern")
            .collect();
        match refusal {
            None => assert!(found.is_empty(), "{pattern}: {found:#?}"),
            Some(refusal) => {
                assert_eq!(found.len(), 3, "{pattern}: {found:#?}");
                for one in found {
                    assert!(one.message.contains(refusal), "{}", one.message);
                }
            }
        }
    }
}

#[test]
fn l1_many_large_patterns_are_read_in_bounded_time() {
    let overrides: Vec<String> = (0..50)
        .map(|number| format!("  - '[a-z]{{1,900}}-{number}': {{triggers: []}}"))
        .collect();
    let text = plan_text(&format!(
        "Build: {{tasks: []}}\nbranch-overrides:\n{}\n",
        overrides.join("\n")
    ));
    let began = std::time::Instant::now();
    let plan = crate::plan(&text);
    assert_eq!(plan.branch_overrides.len(), 50);
    let applied = plan.on_branch(&"a".repeat(900));
    assert_eq!(applied.branch_overrides.len(), 50, "none of them matches");
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

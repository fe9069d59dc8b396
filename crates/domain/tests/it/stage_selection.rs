//! Which stages a queue call runs: the table of bamboo-rest.md 6.2 for new builds, 6.3 for existing ones, and R13
//! of hostile-inputs.md.

use madake_domain::schedule::{Build, BuildState, InvalidTransition, NewBuildError};
use madake_domain::stage_selection::{
    Continuation, ContinuationKind, ContinueRefusal, Limit, StageOutline, StageRequest, StageSelectionError,
    limit_for_new_build, plan_continuation,
};

use crate::schedule_fixture::{Story, plan, query};

const MANUALS: &str = "First Second* Third*";
const AUTOMATICS_BEHIND: &str = "First Second* Check Third* Publish";
const WITH_FINALS: &str = "First Second* Third* Clean!";
const FINAL_IN_EACH_PART: &str = "First Sweep! Second* Clean! Third* Tidy!";
const FIRST_MANUAL: &str = "Ask* Build Deploy*";

#[test]
fn a_new_build_runs_the_stages_that_the_query_asks_for() {
    let cases: &[(&str, &str, &[&str])] = &[
        (MANUALS, "", &["First"]),
        (MANUALS, "executeAllStages", &["First"]),
        (MANUALS, "executeAllStages=", &["First"]),
        (MANUALS, "executeAllStages=false", &["First"]),
        (MANUALS, "executeAllStages=False", &["First"]),
        (MANUALS, "executeAllStages=1", &["First"]),
        (MANUALS, "executeAllStages=yes", &["First"]),
        (MANUALS, "executeAllStages=true", &["First", "Second", "Third"]),
        (MANUALS, "executeAllStages=True", &["First", "Second", "Third"]),
        (MANUALS, "executeAllStages=TRUE", &["First", "Second", "Third"]),
        (MANUALS, "stage", &["First"]),
        (MANUALS, "stage=", &["First"]),
        (MANUALS, "stage&executeAllStages", &["First"]),
        (
            MANUALS,
            "stage&executeAllStages=true",
            &["First", "Second", "Third"],
        ),
        (MANUALS, "stage=First", &["First"]),
        (MANUALS, "stage=Second", &["First", "Second"]),
        (MANUALS, "stage=Third", &["First", "Second", "Third"]),
        (MANUALS, "stage=Second&executeAllStages", &["First", "Second"]),
        (
            MANUALS,
            "stage=Second&executeAllStages=false",
            &["First", "Second"],
        ),
        (
            MANUALS,
            "executeAllStages=false&stage=Second",
            &["First", "Second"],
        ),
        (
            MANUALS,
            "stage=Second&executeAllStages=true",
            &["First", "Second", "Third"],
        ),
        (MANUALS, "stage=Second&stage=Third", &["First", "Second"]),
        (
            MANUALS,
            "os_authType=basic&stage=Second&_=1",
            &["First", "Second"],
        ),
        (AUTOMATICS_BEHIND, "", &["First"]),
        (AUTOMATICS_BEHIND, "stage=First", &["First"]),
        (AUTOMATICS_BEHIND, "stage=Second", &["First", "Second", "Check"]),
        (AUTOMATICS_BEHIND, "stage=Check", &["First", "Second", "Check"]),
        (
            AUTOMATICS_BEHIND,
            "stage=Third",
            &["First", "Second", "Check", "Third", "Publish"],
        ),
        (
            AUTOMATICS_BEHIND,
            "executeAllStages=true",
            &["First", "Second", "Check", "Third", "Publish"],
        ),
        (WITH_FINALS, "", &["First"]),
        (WITH_FINALS, "stage=Second", &["First", "Second"]),
        (WITH_FINALS, "stage=Third", &["First", "Second", "Third", "Clean"]),
        (WITH_FINALS, "stage=Clean", &["First", "Second", "Third", "Clean"]),
        (FINAL_IN_EACH_PART, "", &["First", "Sweep"]),
        (
            FINAL_IN_EACH_PART,
            "stage=Second",
            &["First", "Sweep", "Second", "Clean"],
        ),
        (FIRST_MANUAL, "", &[]),
        (FIRST_MANUAL, "executeAllStages=false", &[]),
        (FIRST_MANUAL, "stage=Ask", &["Ask", "Build"]),
        (FIRST_MANUAL, "stage=Build", &["Ask", "Build"]),
        (FIRST_MANUAL, "executeAllStages=true", &["Ask", "Build", "Deploy"]),
        ("Build Test Pack", "", &["Build", "Test", "Pack"]),
        ("Build Test Pack", "stage=Build", &["Build", "Test", "Pack"]),
    ];
    for (stages, post, expected) in cases {
        let mut story = Story::started(stages, post);
        assert_eq!(story.work_off(&[]), *expected, "POST ?{post} on {stages}");
    }
}

#[test]
fn an_unknown_stage_is_refused_with_the_names_that_exist() {
    for post in [
        "stage=Nope",
        "stage=second",
        "stage=Second%20",
        "stage=Nope&executeAllStages=true",
    ] {
        let Err(NewBuildError::Selection(error)) = Build::new(plan(MANUALS), &query(post)) else {
            panic!("{post} was accepted");
        };
        assert_eq!(error.code(), "unknown-stage");
        assert_eq!(error.http_status(), 400);
        assert!(
            error
                .sentence()
                .ends_with("does not exist. The plan has these stages: First, Second, Third.")
        );
    }
}

#[test]
fn a_plan_without_stages_has_nothing_to_run() {
    assert_eq!(
        limit_for_new_build(&[], &StageRequest::default()),
        Ok(Limit::Nothing)
    );
    let refused = limit_for_new_build(&[], &query("stage=First")).unwrap_err();
    assert_eq!(
        refused.sentence(),
        "Stage 'First' does not exist: the plan has no stages."
    );
}

#[test]
fn the_limit_ends_before_the_next_manual_stage() {
    let stages = [("A", false), ("B", true), ("C", false), ("D", true)];
    let outlines: Vec<StageOutline<'_>> = stages
        .iter()
        .map(|&(name, manual)| StageOutline { name, manual })
        .collect();
    let limit = |text: &str| limit_for_new_build(&outlines, &query(text)).unwrap();
    assert_eq!(limit(""), Limit::Through(0));
    assert_eq!(limit("stage=B"), Limit::Through(2));
    assert_eq!(limit("stage=D"), Limit::Through(3));
    assert!(limit("stage=B").covers(2));
    assert!(!limit("stage=B").covers(3));
    assert!(!Limit::Nothing.covers(0));
}

/// One continuation of an existing build: what was run before, with which stages failing, and what the PUT does.
struct Put {
    stages: &'static str,
    post: &'static str,
    before: &'static [&'static str],
    failing: &'static [&'static str],
    query: &'static str,
    expected: Result<&'static [&'static str], &'static str>,
}

const fn put(
    stages: &'static str,
    post: &'static str,
    query: &'static str,
    expected: Result<&'static [&'static str], &'static str>,
) -> Put {
    Put {
        stages,
        post,
        before: &[],
        failing: &[],
        query,
        expected,
    }
}

impl Put {
    const fn after(mut self, before: &'static [&'static str]) -> Self {
        self.before = before;
        self
    }

    const fn with_failing(mut self, failing: &'static [&'static str]) -> Self {
        self.failing = failing;
        self
    }
}

const SECOND_DONE: &str = "Stage 'Second' has already been executed.";
const FIRST_DONE: &str = "Stage 'First' has already been executed.";
const ALL_DONE: &str = "All stages of this build have already been executed.";
const UNKNOWN: &str = "Stage 'Nope' does not exist. The plan has these stages: First, Second, Third.";

#[test]
fn an_existing_build_runs_the_stages_that_the_query_asks_for() {
    let cases = [
        // First has run; Second is pending.
        put(MANUALS, "", "", Ok(&["Second"])),
        put(MANUALS, "", "executeAllStages", Ok(&["Second"])),
        put(MANUALS, "", "executeAllStages=false", Ok(&["Second"])),
        put(MANUALS, "", "stage&executeAllStages", Ok(&["Second"])),
        put(MANUALS, "", "executeAllStages=true", Ok(&["Second", "Third"])),
        put(MANUALS, "", "stage=Second", Ok(&["Second"])),
        put(
            MANUALS,
            "",
            "stage=Second&executeAllStages=false",
            Ok(&["Second"]),
        ),
        put(
            MANUALS,
            "",
            "stage=Second&executeAllStages=true",
            Ok(&["Second", "Third"]),
        ),
        put(MANUALS, "", "stage=Third", Ok(&["Second", "Third"])),
        put(
            MANUALS,
            "",
            "stage=Third&executeAllStages=false",
            Ok(&["Second", "Third"]),
        ),
        put(MANUALS, "", "stage=First", Err(FIRST_DONE)),
        put(
            MANUALS,
            "",
            "stage=First&executeAllStages=true",
            Ok(&["Second", "Third"]),
        ),
        put(MANUALS, "", "stage=Nope", Err(UNKNOWN)),
        put(MANUALS, "", "stage=Nope&executeAllStages=true", Err(UNKNOWN)),
        // Second has run as well: the report at the end of origin 001.
        put(
            MANUALS,
            "stage=Second",
            "stage=Second&executeAllStages=false",
            Err(SECOND_DONE),
        ),
        put(
            MANUALS,
            "stage=Second",
            "stage=Second&executeAllStages",
            Err(SECOND_DONE),
        ),
        put(MANUALS, "stage=Second", "stage=Second", Err(SECOND_DONE)),
        put(
            MANUALS,
            "stage=Second",
            "stage=First&executeAllStages=false",
            Err(FIRST_DONE),
        ),
        put(
            MANUALS,
            "stage=Second",
            "stage=Second&executeAllStages=true",
            Ok(&["Third"]),
        ),
        put(MANUALS, "stage=Second", "", Ok(&["Third"])),
        put(MANUALS, "stage=Second", "stage=Third", Ok(&["Third"])),
        put(MANUALS, "", "stage=Second", Err(SECOND_DONE)).after(&["stage=Second"]),
        put(MANUALS, "", "stage=Third", Ok(&["Third"])).after(&["stage=Second"]),
        // Everything has run.
        put(MANUALS, "executeAllStages=true", "", Err(ALL_DONE)),
        put(
            MANUALS,
            "executeAllStages=true",
            "executeAllStages=true",
            Err(ALL_DONE),
        ),
        put(
            MANUALS,
            "executeAllStages=true",
            "stage=Second&executeAllStages=true",
            Err(ALL_DONE),
        ),
        put(MANUALS, "executeAllStages=true", "stage=Second", Err(SECOND_DONE)),
        put(MANUALS, "executeAllStages=true", "stage=Nope", Err(UNKNOWN)),
        // Automatic stages run along with the manual one before them.
        put(AUTOMATICS_BEHIND, "", "", Ok(&["Second", "Check"])),
        put(AUTOMATICS_BEHIND, "", "stage=Second", Ok(&["Second", "Check"])),
        put(
            AUTOMATICS_BEHIND,
            "",
            "stage=Third",
            Ok(&["Second", "Check", "Third", "Publish"]),
        ),
        put(
            AUTOMATICS_BEHIND,
            "stage=Second",
            "stage=Second",
            Err(SECOND_DONE),
        ),
        put(AUTOMATICS_BEHIND, "stage=Second", "", Ok(&["Third", "Publish"])),
        put(
            AUTOMATICS_BEHIND,
            "stage=Second",
            "stage=Second&executeAllStages=true",
            Ok(&["Third", "Publish"]),
        ),
        // A named stage counts as executed only when the automatic ones behind it ran too.
        put(AUTOMATICS_BEHIND, "stage=Second", "stage=Second", Ok(&["Check"])).with_failing(&["Check"]),
        put(AUTOMATICS_BEHIND, "stage=Second", "stage=First", Err(FIRST_DONE)).with_failing(&["Check"]),
        // A failed stage runs again, then on to the limit, and no further.
        put(MANUALS, "", "", Ok(&["First"])).with_failing(&["First"]),
        put(MANUALS, "executeAllStages=true", "", Ok(&["First"])).with_failing(&["First"]),
        put(
            MANUALS,
            "executeAllStages=true",
            "executeAllStages=false",
            Ok(&["First"]),
        )
        .with_failing(&["First"]),
        put(MANUALS, "", "stage=Second", Ok(&["First", "Second"])).with_failing(&["First"]),
        put(
            MANUALS,
            "",
            "executeAllStages=true",
            Ok(&["First", "Second", "Third"]),
        )
        .with_failing(&["First"]),
        put(MANUALS, "stage=Second", "stage=First", Err(FIRST_DONE)).with_failing(&["Second"]),
        put(
            MANUALS,
            "stage=Second",
            "stage=Second&executeAllStages=false",
            Ok(&["Second"]),
        )
        .with_failing(&["Second"]),
        // Final stages belong to the part of the plan that they stand in.
        put(WITH_FINALS, "", "", Ok(&["Second"])),
        put(WITH_FINALS, "stage=Second", "", Ok(&["Third", "Clean"])),
        put(WITH_FINALS, "stage=Second", "stage=Second", Err(SECOND_DONE)),
        put(WITH_FINALS, "stage=Third", "", Ok(&["Third", "Clean"])).with_failing(&["Third"]),
        put(WITH_FINALS, "stage=Third", "", Ok(&["Clean"])).with_failing(&["Clean"]),
        put(FINAL_IN_EACH_PART, "", "stage=Second", Ok(&["Second", "Clean"])),
        put(
            FINAL_IN_EACH_PART,
            "stage=Second",
            "stage=Second",
            Err(SECOND_DONE),
        ),
        put(FINAL_IN_EACH_PART, "stage=Second", "", Ok(&["Second", "Clean"])).with_failing(&["Second"]),
        // The first stage is manual and nobody had asked for it.
        put(FIRST_MANUAL, "", "", Ok(&["Ask", "Build"])),
        put(FIRST_MANUAL, "", "stage=Deploy", Ok(&["Ask", "Build", "Deploy"])),
    ];
    for case in cases {
        let mut story = Story::started(case.stages, case.post);
        story.work_off(case.failing);
        for earlier in case.before {
            story.put(earlier).unwrap();
            story.work_off(case.failing);
        }
        let before = story.build.clone();
        let outcome = story.put(case.query);
        let context = format!(
            "PUT ?{} on {} after POST ?{} and {:?} with {:?} failing",
            case.query, case.stages, case.post, case.before, case.failing
        );
        match case.expected {
            Ok(expected) => {
                outcome.expect(&context);
                assert_eq!(story.work_off(&[]), expected, "{context}");
            }
            Err(expected) => {
                let Err(InvalidTransition::Continue(refusal)) = outcome else {
                    panic!("{context} was not refused");
                };
                assert_eq!(refusal.sentence(), expected, "{context}");
                assert_eq!(refusal.http_status(), 400, "{context}");
                assert_eq!(story.build, before, "{context}");
            }
        }
    }
}

#[test]
fn a_build_that_runs_or_has_not_begun_cannot_be_continued() {
    let created = Story::created(MANUALS, "");
    let mut running = Story::started(MANUALS, "");
    running.run(10);
    for build in [&created.build, &running.build] {
        let refusal = plan_continuation(build, &query("executeAllStages=true")).unwrap_err();
        assert_eq!(refusal, ContinueRefusal::StillRunning);
        assert_eq!(refusal.code(), "build-still-running");
        assert_eq!(refusal.http_status(), 400);
    }
    assert!(matches!(
        plan_continuation(&running.build, &query("stage=Nope")),
        Err(ContinueRefusal::Selection(
            StageSelectionError::UnknownStage { .. }
        ))
    ));
}

#[test]
fn refusing_an_executed_stage_leaves_the_build_continuable() {
    let mut story = Story::started(MANUALS, "stage=Second");
    story.work_off(&[]);
    let refusal = plan_continuation(&story.build, &query("stage=Second&executeAllStages=false")).unwrap_err();
    assert_eq!(refusal.code(), "stage-already-executed");
    assert!(story.build.summary().continuable);
    assert!(matches!(
        story.build.state(),
        BuildState::Paused { next_stage: 2, .. }
    ));
}

#[test]
fn a_continuation_says_where_it_begins_and_what_it_repeats() {
    let mut paused = Story::started(AUTOMATICS_BEHIND, "");
    paused.work_off(&[]);
    assert_eq!(
        plan_continuation(&paused.build, &query("")),
        Ok(Continuation {
            from: 1,
            through: 2,
            kind: ContinuationKind::RunPending
        })
    );
    let mut failing = Story::started(AUTOMATICS_BEHIND, "");
    failing.work_off(&["First"]);
    assert_eq!(
        plan_continuation(&failing.build, &query("stage=Third")),
        Ok(Continuation {
            from: 0,
            through: 4,
            kind: ContinuationKind::RerunUnsuccessful
        })
    );
}

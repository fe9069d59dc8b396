//! Plan files that scenarios share.

/// A plan PROJ-PLAN with one job whose script is given, and further sections.
pub(crate) fn one_job(script: &str, more: &str) -> String {
    let body: String = script.lines().map(|line| format!("        {line}\n")).collect();
    format!(
        "version: 2\nplan:\n  project-key: PROJ\n  key: PLAN\n  name: Build it\nstages:\n  - Build: [Compile]\n\
         Compile:\n  key: JOB1\n  tasks:\n    - script: |\n{body}{more}\n"
    )
}

//! Labels results whose logs match a pattern of their job (`auto` in bamboo-specs.md 11).

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use madake_domain::plan::PatternLabel;
use madake_protocol::log::LogLine;
use madake_store::build::Job;

use crate::Engine;

/// This much of a log is searched, in bytes.
const SEARCHED: u64 = 512 * 1024 * 1024;
/// The most bytes of a line that count.
const LINE: u64 = 64 * 1024;

/// The label that the log of a job that ended gives its result.
pub(crate) async fn of_job(engine: &Engine, job: &Job) -> Option<String> {
    let build_id = job.build_id;
    let build = engine
        .store()
        .read(move |tx| madake_store::build::by_id(tx, build_id))
        .await
        .ok()?;
    let configuration = engine.configuration(build.version_id).await.ok()?;
    let wanted = configuration.job(&job.name)?.other.pattern_label.clone()?;
    let path = engine.home().job_log(build.id, job.id, job.attempt);
    tokio::task::spawn_blocking(move || search(&path, &wanted).then_some(wanted.label))
        .await
        .ok()?
}

/// Whether a line of the log matches.
fn search(path: &Path, wanted: &PatternLabel) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let Some(matches) = wanted.matcher() else {
        return false;
    };
    let mut reader = BufReader::with_capacity(256 * 1024, file.take(SEARCHED));
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if matches(LogLine::parse(text).map_or(text, |line| line.message)) {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_lines_are_searched_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let text = "simple\t31-Jan-2026 06:17:36\tstarts\nbuild\t31-Jan-2026 06:17:37\t3 warnings found\n";
        std::fs::write(&path, text).expect("a log");
        let finds = |regex: &str| {
            let wanted = PatternLabel {
                regex: regex.into(),
                label: "warned".into(),
            };
            search(&path, &wanted)
        };
        assert!(finds("[0-9]+ warnings"));
        assert!(finds("^starts$"));
        assert!(!finds("^simple"), "the type of a line is not part of it");
        assert!(!finds("Jan-2026"));
        assert!(!finds("(") && !finds("starts.*warnings"));
    }
}

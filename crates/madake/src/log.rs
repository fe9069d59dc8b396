//! The server's log: lines on standard error or in a file, as text or as JSON.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, anyhow, bail};
use madake_server::config::LogSection;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Starts logging to standard error as the configuration says.
///
/// # Errors
/// When the level or the format is not known.
pub(crate) fn start(section: &LogSection) -> anyhow::Result<()> {
    start_with(section, std::io::stderr, std::io::stderr().is_terminal())
}

/// Starts logging to the end of a file.
///
/// # Errors
/// As [`start`], and when the file cannot be written.
pub(crate) fn start_in_file(section: &LogSection, path: &Path) -> anyhow::Result<()> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("the log {} cannot be written", path.display()))?;
    start_with(section, Mutex::new(file), false)
}

fn start_with<W>(section: &LogSection, writer: W, colour: bool) -> anyhow::Result<()>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&section.level)
        .map_err(|error| anyhow!("log.level: `{}` cannot be read: {error}", section.level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    let started = match section.format.as_str() {
        "text" => builder.with_ansi(colour).try_init(),
        "json" => builder.json().flatten_event(true).try_init(),
        other => bail!("log.format: `{other}` is neither `text` nor `json`"),
    };
    started.map_err(|error| anyhow!("the log cannot be started: {error}"))
}

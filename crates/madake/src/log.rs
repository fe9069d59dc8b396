//! The server's log: lines on standard error, as text or as JSON.

use madake_server::config::LogSection;
use tracing_subscriber::EnvFilter;

/// Starts logging as the configuration says.
///
/// # Errors
/// When the level or the format is not known.
pub(crate) fn start(section: &LogSection) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&section.level)
        .map_err(|error| anyhow::anyhow!("log.level: `{}` cannot be read: {error}", section.level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match section.format.as_str() {
        "text" => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        "json" => builder.json().flatten_event(true).try_init(),
        other => anyhow::bail!("log.format: `{other}` is neither `text` nor `json`"),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

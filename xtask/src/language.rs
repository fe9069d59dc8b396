//! `cargo xtask language`: writes `docs/language.md` anew, from the tables of the reader of plan files.

use anyhow::Context as _;

use crate::process::repository;

const PAGE: &str = "docs/language.md";

/// Writes the page, or with `check` says whether it would change.
///
/// # Errors
/// When the page cannot be written, or with `check` is not as it would be written.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let path = repository().join(PAGE);
    let page = madake_specs::language_page();
    if check {
        let written = std::fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
        anyhow::ensure!(
            written == page,
            "{PAGE} is out of date: `cargo xtask language` writes it"
        );
        println!("{PAGE} is up to date");
        return Ok(());
    }
    std::fs::write(&path, page).with_context(|| format!("cannot write {PAGE}"))?;
    println!("wrote {PAGE}");
    Ok(())
}

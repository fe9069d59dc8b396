//! `cargo xtask fuzz`: feeds readers with damaged input for a while, and says what they do not bear.
//!
//! The damage is made by a generator with a seed, so that what is found can be made again: no panic, no input that takes
//! long, no finding outside of its text.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use madake_specs::{IncludeError, Options, read, render_line, render_text};

use crate::process::repository;

/// The longest time that one reading may take. The readers are built without optimisation here.
const LONGEST: Duration = Duration::from_secs(2);

/// Pieces that hurt YAML readers.
const PIECES: [&str; 40] = [
    "\n",
    "  ",
    "- ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "|",
    ">",
    "&a ",
    "*a",
    "<<: ",
    "!include x.yml",
    "!!map ",
    "---\n",
    "...\n",
    "# ",
    "\t",
    "?",
    ",",
    "~",
    "null",
    "true",
    "\u{85}",
    "\u{feff}",
    "\0",
    "é",
    "%TAG ! x\n",
    "\\",
    "0x1F",
    "1e9",
    "stages:",
    "tasks:",
    "any-task:",
    "branch-overrides:",
    "environments:",
    "plan:",
];

/// What is fed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reader {
    /// The reader of plan files.
    Specs,
}

/// Flags of `cargo xtask fuzz`.
#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// What is fed.
    reader: Reader,
    /// For how many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where the generator begins; the same seed makes the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Further files to damage, besides those of the tests.
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
}

/// Feeds until the time is over.
///
/// # Errors
/// With the input that was not borne, which is stored beside.
pub(crate) fn run(fuzz: &Fuzz) -> anyhow::Result<()> {
    let Reader::Specs = fuzz.reader;
    let mut seeds = files(&repository().join("crates/specs/tests/it"))?;
    if let Some(corpus) = &fuzz.corpus {
        seeds.extend(files(corpus)?);
    }
    anyhow::ensure!(!seeds.is_empty(), "there is nothing to damage");
    let mut random = Random(fuzz.seed.max(1));
    let until = Instant::now() + Duration::from_secs(fuzz.seconds);
    let (mut count, mut longest) = (0u64, Duration::ZERO);
    while Instant::now() < until {
        let input = damaged(&seeds, &mut random);
        let (mut outcome, mut took) = timed(&input);
        // A busy machine makes any reading slow once.
        for _ in 0..4 {
            if took > LONGEST && matches!(outcome, Ok(Ok(()))) {
                let (again, shorter) = timed(&input);
                (outcome, took) = (again, took.min(shorter));
            }
        }
        longest = longest.max(took);
        count += 1;
        let fault = match outcome {
            Ok(Ok(())) if took > LONGEST => format!("reading took {took:?}"),
            Ok(Ok(())) => continue,
            Ok(Err(fault)) => fault,
            Err(_) => "the reader panicked".to_owned(),
        };
        let path = repository().join("target/fuzz-specs.yml");
        std::fs::write(&path, &input).with_context(|| format!("cannot write {}", path.display()))?;
        bail!(
            "input {count} of seed {}: {fault}; it is stored in {}",
            fuzz.seed,
            path.display()
        );
    }
    println!("{count} inputs, the longest took {longest:?}");
    Ok(())
}

/// What feeding comes to, and how long it takes.
fn timed(input: &str) -> (std::thread::Result<Result<(), String>>, Duration) {
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| feed(input)));
    (outcome, began.elapsed())
}

/// The YAML files of a folder.
fn files(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|ending| ending == "yml" || ending == "yaml")
            {
                texts.push(String::from_utf8_lossy(&std::fs::read(&path)?).into_owned());
            }
        }
    }
    texts.sort();
    Ok(texts)
}

/// One of the files, damaged in a few places: pieces come, go, move and repeat, also from other files.
fn damaged(seeds: &[String], random: &mut Random) -> String {
    let mut text: Vec<char> = seeds[random.below(seeds.len())].chars().collect();
    for _ in 0..=random.below(8) {
        let at = random.below(text.len() + 1);
        match random.below(6) {
            0 => {
                let piece = PIECES[random.below(PIECES.len())];
                text.splice(at..at, piece.chars());
            }
            1 => {
                let end = (at + random.below(40)).min(text.len());
                text.drain(at..end);
            }
            2 => {
                let end = (at + random.below(200)).min(text.len());
                let part: Vec<char> = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                text.splice(to..to, part);
            }
            3 => {
                let other: Vec<char> = seeds[random.below(seeds.len())].chars().collect();
                let from = random.below(other.len() + 1);
                let end = (from + random.below(300)).min(other.len());
                text.splice(at..at, other[from..end].iter().copied());
            }
            4 => {
                let piece = PIECES[random.below(PIECES.len())].repeat(1 + random.below(300));
                text.splice(at..at, piece.chars());
            }
            _ => {
                if let Some(place) = text.get_mut(at) {
                    *place = char::from_u32(u32::try_from(random.below(0x300)).unwrap_or(0)).unwrap_or('x');
                }
            }
        }
        text.truncate(200_000);
    }
    text.into_iter().collect()
}

/// Reads, shows and writes what was read; says what is wrong with the answer.
fn feed(input: &str) -> Result<(), String> {
    let tree = |path: &str| {
        if path.ends_with("x.yml") {
            Ok(input.chars().take(2000).collect())
        } else {
            Err(IncludeError::NotFound)
        }
    };
    let reading = read("bamboo-specs/bamboo.yml", input, &tree, &Options::default());
    let _ = render_text(&reading.diagnostics, &reading.sources, false);
    for found in &reading.diagnostics {
        let line = render_line(found);
        if line.chars().any(char::is_control) {
            return Err(format!("a finding has control characters: {line:?}"));
        }
        let lines = reading
            .sources
            .text(&found.file)
            .ok_or_else(|| format!("a finding is in an unknown file: {line}"))?
            .split('\n')
            .count();
        if found.line == 0 || found.column == 0 || found.line as usize > lines {
            return Err(format!("a finding is outside of its file: {line}"));
        }
    }
    for plan in &reading.plans {
        let text = madake_specs::export(&plan.configuration);
        if text.len() > Options::default().max_file_bytes / 2 {
            continue;
        }
        let again = read("bamboo-specs/bamboo.yml", &text, &tree, &Options::default());
        match again.plans.as_slice() {
            [read] if read.configuration == plan.configuration => {}
            _ => {
                return Err(format!(
                    "the plan {} does not read back:\n{text}",
                    plan.configuration.key
                ));
            }
        }
    }
    Ok(())
}

/// A generator of numbers (xorshift64*), the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap_or(u64::MAX)).unwrap_or(0)
    }
}

//! Finding and ending the processes of a job.
//!
//! A supervisor is the reaper of everything that its job starts, so while it lives each process of the job is
//! below it in the tree, also one that made itself a daemon. When the supervisor is gone, they are known by
//! the environment that they were born with and by their session.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use madake_protocol::JobStarted;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, wait};

/// The variable that each process of a job is born with: no two attempts share its value.
pub(crate) const COOKIE_VARIABLE: &str = "bamboo_tmp_directory";

/// The name of the processes that a sandbox is made of.
pub(crate) const SANDBOX_PROGRAM: &str = "bwrap";

/// How long killed processes may take to vanish; only one in an uninterruptible system call takes longer.
const VANISHING_TIME: Duration = Duration::from_secs(5);

/// What `/proc/<pid>/stat` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) pid: i32,
    pub(crate) name: String,
    state: u8,
    parent: i32,
    group: i32,
    session: i32,
    /// Clock ticks between the start of the machine and the start of the process.
    pub(crate) start_ticks: u64,
}

impl ProcessStat {
    /// What is known about a process; `None` when there is none.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(stat);
        // The name may hold spaces and brackets, so it ends at the last bracket.
        let (pid, rest) = text.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            pid: pid.parse().ok()?,
            name: name.to_owned(),
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    fn was_born_with(&self, cookie: &[u8]) -> bool {
        fs::read(format!("/proc/{}/environ", self.pid))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == cookie))
    }

    /// Ends exactly this process: never one that got its number meanwhile.
    fn kill(&self) {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return;
        };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return;
        };
        if Self::of(self.pid).is_some_and(|now| now.start_ticks == self.start_ticks) {
            // A process that ended by itself in the meantime is as good.
            let _ = pidfd_send_signal(&handle, Signal::KILL);
        }
    }

    /// `name (pid)`, for the log.
    fn label(&self) -> String {
        format!("{} ({})", self.name, self.pid)
    }
}

fn all() -> Vec<ProcessStat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(ProcessStat::of)
        .collect()
}

/// Living processes below this one in the tree.
fn descendants() -> Vec<ProcessStat> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut others = all();
    let mut family = HashSet::from([own]);
    let mut found = Vec::new();
    loop {
        let (below, rest): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|process| family.contains(&process.parent));
        if below.is_empty() {
            break;
        }
        family.extend(below.iter().map(|process| process.pid));
        found.extend(below.into_iter().filter(|process| !process.is_dead()));
        others = rest;
    }
    found
}

/// Sends SIGKILL once to everything below this process; who waits for a child still gets its status.
pub(crate) fn kill_descendants_once() {
    for process in descendants() {
        process.kill();
    }
}

/// Ends everything below this process and takes in the dead. To be called when nobody waits for a child.
/// Returns the names of those that were still running.
pub(crate) fn end_descendants() -> Vec<String> {
    let began = Instant::now();
    let mut killed: Vec<String> = Vec::new();
    while reap_dead_children() == Children::Left {
        for process in descendants() {
            let label = process.label();
            if !killed.contains(&label) {
                killed.push(label);
            }
            process.kill();
        }
        if began.elapsed() > VANISHING_TIME {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    killed
}

/// Whether a process has children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Children {
    /// At least one lives.
    Left,
    /// There are none, so there is nothing below them either.
    None,
}

/// Takes in children that ended, also adopted ones. To be called when nobody waits for a child.
pub(crate) fn reap_dead_children() -> Children {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return Children::Left,
            Err(_) => return Children::None,
        }
    }
}

/// Whether a process of the job still works in this group: the processes that a sandbox is made of stay there as long
/// as anything lives inside, also what has left the group.
pub(crate) fn works_in_group(group: Pid) -> bool {
    let group = group.as_raw_nonzero().get();
    all()
        .iter()
        .any(|process| process.group == group && !process.is_dead() && process.name != SANDBOX_PROGRAM)
}

/// Identifies the time between two starts of the machine; empty where the system does not say.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

/// The entry that [`COOKIE_VARIABLE`] has in the environment of the job with this temporary directory.
fn cookie(tmp_directory: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    [
        COOKIE_VARIABLE.as_bytes(),
        b"=",
        tmp_directory.as_os_str().as_bytes(),
    ]
    .concat()
}

/// Ends what a job left running whose supervisor is gone. Returns how many processes there were.
///
/// A process belongs to the job when it was born with the job's environment, or when it is in a session with
/// such a process. Numbers alone are never trusted: they are used again. A process that threw its environment
/// away *and* left the session, or has no relative there, is not found.
pub(crate) fn end_leftovers(started: Option<&JobStarted>, tmp_directory: &Path) -> usize {
    if started.is_some_and(|started| !started.boot_id.is_empty() && started.boot_id != boot_id()) {
        return 0;
    }
    let cookie = cookie(tmp_directory);
    let began = Instant::now();
    let mut killed = HashSet::new();
    let mut clean_looks = 0;
    // A process may be born behind the back of one look, so only two clean ones count.
    while clean_looks < 2 && began.elapsed() < VANISHING_TIME {
        let alive: Vec<_> = all().into_iter().filter(|process| !process.is_dead()).collect();
        let marked: HashSet<i32> = alive
            .iter()
            .filter(|process| process.was_born_with(&cookie))
            .map(|process| process.pid)
            .collect();
        let session = started.map(|started| started.session).filter(|session| {
            alive
                .iter()
                .any(|process| process.session == *session && marked.contains(&process.pid))
        });
        let ours: Vec<_> = alive
            .iter()
            .filter(|process| marked.contains(&process.pid) || Some(process.session) == session)
            .collect();
        if ours.is_empty() {
            clean_looks += 1;
            continue;
        }
        clean_looks = 0;
        for process in ours {
            killed.insert((process.pid, process.start_ticks));
            process.kill();
        }
        thread::sleep(Duration::from_millis(1));
    }
    killed.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_of_a_process_with_brackets_and_spaces_in_its_name_is_read() {
        let line = b"42 (a) b (c) S 7 42 41 0 -1 4194304 99 0 0 0 0 0 0 0 20 0 1 0 136209 3133440 383";
        let stat = ProcessStat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.parent), (42, "a) b (c", 7));
        assert_eq!((stat.group, stat.session), (42, 41));
        assert_eq!((stat.start_ticks, stat.state), (136_209, b'S'));
    }

    #[test]
    fn process_that_is_gone_has_no_stat() {
        assert!(ProcessStat::of(i32::MAX).is_none());
        assert!(ProcessStat::of(std::process::id().cast_signed()).is_some());
    }
}

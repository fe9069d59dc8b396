//! B8, telling others: how soon receivers hear of pushes while others fail and hang and the server is killed in the
//! middle, how many deliveries a second one receiver gets, and whether each that was due has arrived.
//!
//! Four parts: single pushes to one receiver; how long pushes take with a dead receiver and with none; pushes to two
//! repositories with 50 receivers each, of which ten always fail and five hang; and one push of thousands of branches,
//! each told by itself, to one receiver.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::http::free_port;
use super::machine::{Usage, random_below, wait_for};
use super::madake::Madake;
use super::receivers::{Arrived, Manner, Receivers};
use super::report::{Figure, Run, figure, quantile};
use super::server::Server;
use super::work_tree::WorkTree;
use super::{Contestant, Setting};

/// The headline.
pub(crate) const TITLE: &str =
    "deliveries to 100 receivers, of which 10 fail and 5 hang, with a `kill -9`; and 10,000 to one";

const GOOD: usize = 85;
const FAILING: usize = 10;
const HANGING: usize = 5;
/// A repository has at most fifty receivers, so the hundred share two, and each push goes to both.
const CROWDS: [&str; 2] = ["crowd-one", "crowd-two"];
/// How long deliveries may take until they count as lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// An attempt that comes back after less than this is not on the schedule: 5 s, a fifth more or less.
const FIRST_RETRY_MS: i64 = 4000;

/// Who is measured.
pub(crate) fn contestants(_setting: &Setting) -> Vec<Contestant> {
    let absent = |name, reason: &str| Contestant {
        name,
        absent: Some(reason.to_owned()),
        run: |_, _| anyhow::bail!("it is not there"),
    };
    vec![
        Contestant {
            name: "madake",
            absent: None,
            run: madake,
        },
        absent(
            "svix-server",
            "it needs a PostgreSQL server and half an hour to compile; no package of it exists",
        ),
        absent("Buildbot", "its HttpStatusPush tells of builds and not of pushes"),
    ]
}

/// How large the parts are.
struct Size {
    single: usize,
    crowd: usize,
    branches: usize,
}

fn size(setting: &Setting) -> Size {
    if setting.quick {
        Size {
            single: 10,
            crowd: 20,
            branches: 1000,
        }
    } else {
        Size {
            single: 50,
            crowd: 100,
            branches: 10_000,
        }
    }
}

fn madake(setting: &Setting, folder: &Path) -> anyhow::Result<Run> {
    let size = size(setting);
    let madake = Madake::new(setting, folder, "[outgoing]\nallow = [\"127.0.0.1\"]\n")?;
    for name in ["single", "untold", "dead", "many"].iter().chain(&CROWDS) {
        madake.command(&["repo", "create", &format!("BENCH/{name}")], "")?;
    }
    let server = madake.start()?;
    let mut faults = Vec::new();
    let mut figures = single(&madake, folder, size.single, &mut faults)?;
    figures.extend(beside_the_dead(&madake, folder, size.single)?);
    let (more, server) = crowd(&madake, folder, size.crowd, server, &mut faults)?;
    figures.extend(more);
    figures.extend(many(&madake, folder, size.branches, &server, &mut faults)?);
    figures.push(figure("peak memory", "MiB", server.usage()?.peak_mib));
    Ok(Run {
        figures,
        gate: match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(()),
        },
    })
}

/// Pushes one by one, told to one receiver: from the ledger's entry to the arrival.
fn single(
    madake: &Madake<'_>,
    folder: &Path,
    pushes: usize,
    faults: &mut Vec<String>,
) -> anyhow::Result<Vec<Figure>> {
    let receivers = Receivers::start(&[Manner::Good])?;
    let receiver = tell(madake, "BENCH/single", &receivers.url(0), false)?;
    let mut tree = tree(madake, folder, "single")?;
    let mut from_command = Vec::new();
    for count in 1..=pushes {
        tree.commit()?;
        let pushed = tree.push("main")?;
        wait_for(PATIENCE, || (receivers.count() >= count).then_some(()))
            .with_context(|| format!("push {count} was not told"))?;
        from_command.push(pushed.began);
        std::thread::sleep(Duration::from_millis(50));
    }
    let arrived = receivers.take();
    for (began, one) in from_command.iter_mut().zip(&arrived) {
        *began = (one.at - *began) * 1000.0;
    }
    from_command.sort_by(f64::total_cmp);
    let due = due(madake, &[receiver])?;
    let delays = check(&due, &arrived, &[receiver], pushes, faults).sorted_delays;
    Ok(vec![
        figure("one push, ledger to receiver p50", "ms", at(&delays, 0.5)),
        figure("one push, ledger to receiver p99", "ms", at(&delays, 0.99)),
        figure("`git push` to receiver p50", "ms", at(&from_command, 0.5)),
    ])
}

/// Pushes in turns to a repository that nobody hears of, and to one whose only receiver answers no connection.
fn beside_the_dead(madake: &Madake<'_>, folder: &Path, pushes: usize) -> anyhow::Result<Vec<Figure>> {
    let dead = format!("http://127.0.0.1:{}/hook", free_port()?);
    tell(madake, "BENCH/dead", &dead, false)?;
    let mut trees = [tree(madake, folder, "untold")?, tree(madake, folder, "dead")?];
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..pushes {
        for (tree, took) in trees.iter_mut().zip(&mut took) {
            tree.commit()?;
            took.push(tree.push("main")?.took_ms);
        }
    }
    for one in &mut took {
        one.sort_by(f64::total_cmp);
    }
    Ok(vec![
        figure("`git push` told to nobody p50", "ms", at(&took[0], 0.5)),
        figure("`git push` with a dead receiver p50", "ms", at(&took[1], 0.5)),
    ])
}

/// Pushes to two repositories with 50 receivers each; the server is killed in the middle.
fn crowd(
    madake: &Madake<'_>,
    folder: &Path,
    pushes: usize,
    server: Server,
    faults: &mut Vec<String>,
) -> anyhow::Result<(Vec<Figure>, Server)> {
    let manners: Vec<Manner> = std::iter::repeat_n(Manner::Good, GOOD)
        .chain(std::iter::repeat_n(Manner::Failing, FAILING))
        .chain(std::iter::repeat_n(Manner::Hanging, HANGING))
        .collect();
    let receivers = Receivers::start(&manners)?;
    let ids = (0..manners.len())
        .map(|index| {
            let repository = format!("BENCH/{}", CROWDS[index % 2]);
            tell(madake, &repository, &receivers.url(index), false)
        })
        .collect::<anyhow::Result<Vec<i64>>>()?;
    let mut trees = CROWDS
        .iter()
        .map(|name| tree(madake, folder, name))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut used = Usage::default();
    let mut before = server.usage()?;
    let mut server = Some(server);
    for count in 1..=pushes {
        for tree in &mut trees {
            tree.commit()?;
            tree.push("main")?;
        }
        if count == pushes / 2
            && let Some(running) = server.take()
        {
            std::thread::sleep(Duration::from_millis(random_below(50)));
            used.cpu_seconds += running.usage()?.cpu_seconds - before.cpu_seconds;
            running.kill();
            before = Usage::default();
            server = Some(madake.start()?);
        }
    }
    let server = server.context("no server")?;
    let good = &ids[..GOOD];
    let mut arrived = Vec::new();
    let mut seen = HashSet::new();
    let due = wait_for(PATIENCE, || {
        for one in receivers.take() {
            if one.receiver < GOOD {
                seen.insert((one.receiver, one.id.clone()));
            }
            arrived.push(one);
        }
        (seen.len() >= GOOD * pushes).then(|| due(madake, &ids))
    })
    .unwrap_or_else(|| due(madake, &ids))?;
    used.cpu_seconds += server.usage()?.cpu_seconds - before.cpu_seconds;
    let checked = check(&due, &arrived, good, pushes, faults);
    if let Some(early) = early_retry(madake, &ids[GOOD..GOOD + FAILING])? {
        faults.push(format!(
            "an attempt was repeated after {early} ms, before its time"
        ));
    }
    let delays = checked.sorted_delays;
    let figures = vec![
        figure("100 receivers, ledger to good ones p50", "ms", at(&delays, 0.5)),
        figure("100 receivers, ledger to good ones p99", "ms", at(&delays, 0.99)),
        figure(
            "100 receivers, ledger to good ones, longest",
            "ms",
            at(&delays, 1.0),
        ),
        figure("delivered twice over the kill", "", count(checked.repeated)),
        figure(
            "100 receivers, server CPU",
            "ms per push",
            used.cpu_seconds * 1000.0 / count(pushes * CROWDS.len()),
        ),
    ];
    Ok((figures, server))
}

/// One push that moves many branches, each told by itself to one receiver.
fn many(
    madake: &Madake<'_>,
    folder: &Path,
    branches: usize,
    server: &Server,
    faults: &mut Vec<String>,
) -> anyhow::Result<Vec<Figure>> {
    let mut tree = tree(madake, folder, "many")?;
    tree.commit()?;
    let first = tree.push("main")?.revision;
    move_branches(madake, "many", branches, NO_COMMIT, &first)?;
    let receivers = Receivers::start(&[Manner::Good])?;
    tree.commit()?;
    let second = tree.push("main")?.revision;
    // What is decided after the receiver is there is told.
    let open = "SELECT COUNT(*) FROM event WHERE state = 'received'";
    wait_for(PATIENCE, || matches!(madake.count(open), Ok(0)).then_some(()))
        .context("the pushes before were not decided")?;
    tell(madake, "BENCH/many", &receivers.url(0), true)?;
    let before = server.usage()?.cpu_seconds;
    move_branches(madake, "many", branches, &first, &second)?;
    wait_for(PATIENCE, || (receivers.count() > 0).then_some(()));
    // What git and the decision took is behind it: from here on, the server delivers.
    let (decided, early) = (server.usage()?.cpu_seconds, receivers.count());
    wait_for(PATIENCE, || (receivers.count() >= branches).then_some(()));
    let delivered = server.usage()?.cpu_seconds;
    let arrived = receivers.take();
    let distinct: HashSet<&str> = arrived.iter().map(|one| one.id.as_str()).collect();
    if distinct.len() != branches {
        faults.push(format!(
            "{branches} branches were pushed, and {} deliveries came to one receiver",
            distinct.len()
        ));
    }
    let times = || arrived.iter().map(|one| one.at);
    let seconds = times().fold(0.0, f64::max) - times().fold(f64::INFINITY, f64::min);
    Ok(vec![
        figure(
            "one receiver, a backlog",
            "deliveries/s",
            count(arrived.len()) / seconds.max(0.001),
        ),
        figure(
            "a backlog, server CPU",
            "ms per 1000",
            (delivered - decided) * 1_000_000.0 / count(arrived.len().saturating_sub(early).max(1)),
        ),
        figure(
            "the push of the backlog, server CPU",
            "ms per 1000",
            (decided - before) * 1_000_000.0 / count(branches),
        ),
    ])
}

/// What a branch that is not there yet moves from.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";
/// A pack without objects, and its checksum.
const EMPTY_PACK: &[u8] =
    b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";

/// Moves branches in one push between commits that the server has. Git's own client would take minutes to prepare it: it
/// compares each of the names with each of the server's.
fn move_branches(
    madake: &Madake<'_>,
    repository: &str,
    branches: usize,
    old: &str,
    new: &str,
) -> anyhow::Result<()> {
    let mut body = Vec::new();
    for number in 0..branches {
        let mut command = format!("{old} {new} refs/heads/topic/{number}");
        if number == 0 {
            command.push_str("\0report-status");
        }
        body.extend_from_slice(format!("{:04x}{command}", command.len() + 4).as_bytes());
    }
    body.extend_from_slice(b"0000");
    body.extend_from_slice(EMPTY_PACK);
    let answer = madake.client().send(
        "POST",
        &format!("/scm/bench/{repository}.git/git-receive-pack"),
        &[("Content-Type", "application/x-git-receive-pack-request")],
        &body,
    )?;
    let text = String::from_utf8_lossy(&answer.body);
    let moved = text.matches("ok refs/heads/topic/").count();
    ensure!(
        moved == branches,
        "{moved} of {branches} branches were moved: {text:.300}"
    );
    Ok(())
}

fn tree(madake: &Madake<'_>, folder: &Path, name: &str) -> anyhow::Result<WorkTree> {
    WorkTree::new(
        &folder.join(name),
        &madake.clone_url("bench", name),
        Some(Madake::credentials()),
    )
}

/// Makes a receiver of signed JSON and returns its id.
fn tell(madake: &Madake<'_>, repository: &str, url: &str, per_ref: bool) -> anyhow::Result<i64> {
    let wanted = serde_json::json!({
        "repository": repository, "url": url, "profile": "native", "settings": { "deliveryPerRef": per_ref },
    });
    let answer = madake.client().send(
        "POST",
        "/rest/madake/1.0/receivers",
        &[("Content-Type", "application/json")],
        wanted.to_string().as_bytes(),
    )?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.is_success(), "a receiver was refused: {text}");
    let made: serde_json::Value = serde_json::from_str(&text)?;
    made["id"].as_i64().context("the receiver has no id")
}

/// A delivery that the ledger knows: its receiver, and when the push was entered (seconds since 1970).
type Due = HashMap<String, (i64, f64)>;

fn due(madake: &Madake<'_>, receivers: &[i64]) -> anyhow::Result<Due> {
    let rows = madake.rows(&format!(
        "SELECT delivery.uid, delivery.receiver_id, event.received_ms / 1000.0
         FROM delivery JOIN event ON event.id = delivery.event_id WHERE delivery.receiver_id IN ({})",
        list(receivers)
    ))?;
    let read = rows.iter().filter_map(|row| {
        let [uid, receiver, received] = row.as_slice() else {
            return None;
        };
        Some((uid.as_str()?.to_owned(), (receiver.as_i64()?, received.as_f64()?)))
    });
    Ok(read.collect())
}

fn list(ids: &[i64]) -> String {
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    texts.join(",")
}

struct Checked {
    /// Milliseconds from the ledger's entry to the first arrival of each delivery to a good receiver.
    sorted_delays: Vec<f64>,
    /// How many arrivals at good receivers had come before.
    repeated: usize,
}

/// Compares what the ledger says with what arrived at the receivers `good`.
fn check(due: &Due, arrived: &[Arrived], good: &[i64], pushes: usize, faults: &mut Vec<String>) -> Checked {
    let mut first: HashMap<&str, f64> = HashMap::new();
    let mut repeated = 0;
    for one in arrived.iter().filter(|one| one.receiver < good.len()) {
        match due.get(&one.id) {
            Some((receiver, _)) if *receiver == good[one.receiver] => {}
            _ => faults.push(format!("delivery {} came to the wrong receiver", one.id)),
        }
        let before = first.entry(&one.id).or_insert(f64::INFINITY);
        repeated += usize::from(before.is_finite());
        *before = before.min(one.at);
    }
    let mut delays = Vec::new();
    for receiver in good {
        let of_it: Vec<_> = due.iter().filter(|(_, (to, _))| to == receiver).collect();
        if of_it.len() != pushes {
            faults.push(format!(
                "receiver {receiver} was to hear of {pushes} pushes, and has {} deliveries",
                of_it.len()
            ));
        }
        for (id, (_, received)) in of_it {
            match first.get(id.as_str()) {
                Some(at) => delays.push((at - received) * 1000.0),
                None => faults.push(format!("delivery {id} did not arrive")),
            }
        }
    }
    delays.sort_by(f64::total_cmp);
    Checked {
        sorted_delays: delays,
        repeated,
    }
}

/// The shortest time in milliseconds between the first two attempts of a delivery, if it is too short.
fn early_retry(madake: &Madake<'_>, failing: &[i64]) -> anyhow::Result<Option<i64>> {
    let rows = madake.rows(&format!(
        "SELECT MIN(second.began_ms - first.began_ms - first.duration_ms) FROM delivery
         JOIN delivery_attempt first ON first.delivery_id = delivery.id AND first.number = 1
         JOIN delivery_attempt second ON second.delivery_id = delivery.id AND second.number = 2
         WHERE delivery.receiver_id IN ({})",
        list(failing)
    ))?;
    let shortest = rows.first().and_then(|row| row.first()?.as_i64());
    Ok(shortest.filter(|gap| *gap < FIRST_RETRY_MS))
}

fn at(sorted: &[f64], q: f64) -> f64 {
    quantile(sorted, q).unwrap_or(0.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of deliveries is far below 2^52"
)]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(receiver: usize, id: &str, at: f64) -> Arrived {
        Arrived {
            receiver,
            id: id.into(),
            at,
        }
    }

    #[test]
    fn what_did_not_arrive_is_a_fault_and_what_arrived_twice_is_counted() {
        let due = Due::from([("a".to_owned(), (7, 1.0)), ("b".to_owned(), (8, 1.0))]);
        let mut faults = Vec::new();
        let twice = [arrived(0, "a", 1.25), arrived(0, "a", 3.0), arrived(1, "b", 1.5)];
        let checked = check(&due, &twice, &[7, 8], 1, &mut faults);
        assert_eq!((checked.sorted_delays, checked.repeated), (vec![250.0, 500.0], 1));
        assert!(faults.is_empty(), "{faults:?}");
        check(&due, &twice[..1], &[7, 8], 1, &mut faults);
        assert_eq!(faults, ["delivery b did not arrive"]);
    }

    #[test]
    fn delivery_to_the_wrong_receiver_is_a_fault() {
        let due = Due::from([("a".to_owned(), (7, 1.0))]);
        let mut faults = Vec::new();
        check(&due, &[arrived(0, "a", 1.0)], &[8], 0, &mut faults);
        assert_eq!(faults, ["delivery a came to the wrong receiver"]);
    }
}

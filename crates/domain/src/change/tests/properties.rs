//! What holds for any event.

use proptest::prelude::*;

use super::*;

fn any_ref() -> impl Strategy<Value = MovedRef> {
    let name = prop_oneof![
        Just("master".to_owned()),
        Just("feature/foo".to_owned()),
        Just("feature/bar".to_owned()),
        "[a-z]{1,3}(/[a-z-]{0,3})?",
        ".{0,6}",
    ];
    let kind = prop_oneof![8 => Just(RefKind::Branch), 1 => Just(RefKind::Tag), 1 => Just(RefKind::Other)];
    (name, kind, 0usize..4, 0usize..4).prop_map(|(name, kind, old, new)| {
        let id = |at: usize| rev(["0", "a", "b", "c"][at]);
        MovedRef {
            kind,
            name,
            old: id(old),
            new: id(new),
        }
    })
}

proptest! {
    #[test]
    fn nothing_is_dropped_in_silence(
        refs in proptest::collection::vec(any_ref(), 0..12),
        limit in 0usize..6,
        enabled: bool,
        listens: bool,
    ) {
        let mut plan = plan((!listens).then(Vec::new));
        plan.enabled = enabled;
        let mut arrival = push(refs.clone());
        arrival.max_candidates = limit;
        let decisions = judge(&plan, &rows(), &arrival);
        for moved in &refs {
            let named = decisions.iter().any(|decision| {
                decision.vcs_branch.as_ref() == Some(&moved.name) || decision.refs.contains(&moved.name)
            });
            prop_assert!(named, "{:?} is in no decision: {:#?}", moved, decisions);
        }
        for decision in &decisions {
            prop_assert_eq!(decision.build, decision.code.builds());
            prop_assert_eq!(decision.build, decision.rules.iter().all(|rule| rule.outcome != Outcome::Stopped));
            prop_assert!(!decision.rules.is_empty());
            prop_assert!(!decision.sentence.contains(|c: char| c.is_control() && c != '\t'), "{:?}", decision.sentence);
        }
        prop_assert!(decisions.iter().filter(|decision| decision.build).count() <= limit);
        if !enabled || !listens {
            prop_assert!(decisions.iter().all(|decision| !decision.build));
        }
    }

    #[test]
    fn a_look_at_the_heads_speaks_of_each_row_once(
        heads_read in proptest::collection::btree_map("[a-z]{1,2}|master|feature/foo", 0usize..3, 0..8),
        complete: bool,
    ) {
        let all: Vec<(&str, &str)> = heads_read.iter().map(|(name, at)| (name.as_str(), ["a", "b", "c"][*at])).collect();
        let mut arrival = remote_call("PROJ-PLAN", false, &all);
        if let News::Heads(read) = &mut arrival.news {
            read.complete = complete;
        }
        let decisions = judge(&plan(Some(vec![remote()])), &rows(), &arrival);
        for row in rows() {
            let of_row = decisions.iter().filter(|decision| decision.subject == Subject::Branch { key: row.key.clone() });
            prop_assert_eq!(of_row.count(), 1);
        }
        for decision in decisions.iter().filter(|decision| decision.build) {
            prop_assert_ne!(&decision.revision, &decision.previous);
        }
    }
}

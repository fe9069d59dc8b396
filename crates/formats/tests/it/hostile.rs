//! Hostile payloads; the row of hostile-inputs.md stands in each table or name.

use madake_formats::object_id::ObjectIdProblem;
use madake_formats::ref_name::RefNameProblem;
use madake_formats::text::CUT_MARK;
use madake_formats::{Limits, Note, PushError, read_push};

use crate::samples::{
    bitbucket_cloud_with, bitbucket_dc, cloud_change, cloud_post_git, id, one_of_each, post_receive_stash2,
    post_receive_with, read, server_ref, zeros,
};

#[test]
fn w6_a_body_over_the_limit_is_refused_as_too_large_in_every_form() {
    let limits = Limits::default();
    for start in ["{", "payload=", "x"] {
        let body = format!("{start}{}", " ".repeat(limits.body_bytes));
        let error = read_push(&[], body.as_bytes(), &limits).expect_err("the body is too long");
        assert!(error.is_too_large(), "{error}");
    }
    assert!(!read("{").expect_err("not json").is_too_large());
}

#[test]
fn w9_names_with_nul_or_other_control_characters_are_refused() {
    let slug = r#""slug":"grove-tools""#;
    let key = r#""key":"GROVE""#;
    let table = [
        ("nul in slug", slug, r#""slug":"grove\u0000tools""#),
        ("escape in slug", slug, r#""slug":"grove\u001b[2J""#),
        ("direction override in slug", slug, r#""slug":"grove\u202etools""#),
        ("line break in key", key, r#""key":"GRO\nVE""#),
        ("empty slug", slug, r#""slug":"""#),
    ];
    for (case, from, to) in table {
        let error = read(&post_receive_stash2().replace(from, to)).expect_err(case);
        assert!(matches!(error, PushError::Identifier { .. }), "{case}: {error}");
    }
    let long = format!(r#""slug":"{}""#, "x".repeat(256));
    assert!(matches!(
        read(&post_receive_stash2().replace(slug, &long)),
        Err(PushError::Identifier { .. })
    ));
    let number = read(&post_receive_stash2().replace(slug, r#""slug":5"#)).expect_err("a number");
    assert_eq!(
        number.to_string(),
        "payload has a repository.slug that is not a string"
    );
    let absent = read(&post_receive_stash2().replace(slug, r#""slug":null"#)).expect_err("absent");
    assert_eq!(absent.to_string(), "payload has no repository.slug");
}

#[test]
fn w9_ref_names_with_nul_or_beyond_the_limit_are_refused() {
    for name in ["refs/heads/a\0b", "", &format!("refs/heads/{}", "x".repeat(1024))] {
        let body = post_receive_with(&server_ref(name, &zeros(), &id('b'), "ADD"));
        assert!(matches!(read(&body), Err(PushError::RefText { .. })), "{name:?}");
    }
}

#[test]
fn w10_w11_hostile_ref_names_fail_the_check_and_others_stay_usable() {
    let table = [
        (
            "W10",
            "refs/heads/--upload-pack=touch /tmp/x",
            Some(RefNameProblem::Character(' ')),
        ),
        (
            "W10",
            "refs/heads/--upload-pack=touch",
            Some(RefNameProblem::LooksLikeOption),
        ),
        ("W10", "--upload-pack=touch", Some(RefNameProblem::NotFull)),
        ("W11", "refs/heads/a\nb", Some(RefNameProblem::Character('\n'))),
        ("W11", "refs/heads/../x", Some(RefNameProblem::Sequence)),
        ("W11", "refs/heads/x.lock", Some(RefNameProblem::Component)),
        ("W11", "refs/heads/$(id)", None),
        ("W11", "refs/heads/`id`", None),
        ("W11", "refs/heads/;id", None),
    ];
    for (row, name, problem) in table {
        let refs = [name, "refs/heads/fine"].map(|name| server_ref(name, &id('a'), &id('b'), "UPDATE"));
        let push = read(&post_receive_with(&refs.join(","))).unwrap();
        assert_eq!(push.changes[0].checked_name().err(), problem, "{row} {name:?}");
        assert_eq!(
            push.changes[1].checked_name().unwrap().as_str(),
            "refs/heads/fine"
        );
    }
    let named = cloud_change("named_branch", "--config=hooks.pre=id", Some('a'), Some('b'), "");
    let push = read(&bitbucket_cloud_with(&named)).unwrap();
    assert_eq!(
        push.changes[0].checked_name(),
        Err(RefNameProblem::LooksLikeOption)
    );
}

#[test]
fn w12_ids_that_are_not_full_and_lower_case_refuse_the_payload() {
    let table = [
        ("option", "-n1".to_owned(), ObjectIdProblem::Length),
        ("39 digits", "a".repeat(39), ObjectIdProblem::Length),
        ("upper case", "A".repeat(40), ObjectIdProblem::Digits),
        (
            "64 zeros beside 40 digits",
            "0".repeat(64),
            ObjectIdProblem::MixedLengths,
        ),
        (
            "64 digits beside 40",
            "b".repeat(64),
            ObjectIdProblem::MixedLengths,
        ),
    ];
    for (case, hash, problem) in table {
        let refs = [
            server_ref("refs/heads/fine", &id('a'), &id('b'), "UPDATE"),
            server_ref("refs/heads/main", &id('a'), &hash, "UPDATE"),
        ];
        let error = read(&post_receive_with(&refs.join(","))).expect_err(case);
        let PushError::ObjectId {
            place,
            problem: found,
        } = error
        else {
            panic!("{case}: {error}")
        };
        assert_eq!(
            (place.to_string().as_str(), found),
            ("refChanges[1].toHash", problem),
            "{case}"
        );
    }
    let in_commit = cloud_post_git().replace(&id('b'), "--help");
    assert!(matches!(read(&in_commit), Err(PushError::ObjectId { .. })));
    let full = ["a", "b"].map(|digit| digit.repeat(64));
    let sha256 = post_receive_with(&server_ref("refs/heads/main", &full[0], &full[1], "UPDATE"));
    assert_eq!(
        read(&sha256).unwrap().changes[0].new.as_ref().unwrap().as_str(),
        full[1]
    );
}

#[test]
fn w12_zeros_and_the_told_type_have_to_agree() {
    let table = [
        ("DELETE", id('a'), id('b')),
        ("DELETE", zeros(), id('b')),
        ("ADD", id('a'), id('b')),
        ("UPDATE", zeros(), id('b')),
        ("UPDATE", id('a'), zeros()),
        ("UPDATE", zeros(), zeros()),
    ];
    for (told, from, to) in table {
        let body = post_receive_with(&server_ref("refs/heads/x", &from, &to, told));
        assert!(
            matches!(read(&body), Err(PushError::Contradiction { .. })),
            "{told} {from} {to}"
        );
    }
    let unknown = post_receive_with(&server_ref("refs/heads/x", &id('a'), &id('b'), "DELETED"));
    assert!(matches!(read(&unknown), Err(PushError::WrongType { .. })));
}

#[test]
fn w17_many_refs_are_bounded_and_the_rest_is_counted() {
    let all = |count: usize| {
        let refs: Vec<String> = (0..count)
            .map(|number| server_ref(&format!("refs/heads/b{number}"), &id('a'), &id('b'), "UPDATE"))
            .collect();
        read(&post_receive_with(&refs.join(","))).unwrap()
    };
    let whole = all(1000);
    assert_eq!(whole.changes.len(), 1000);
    assert!(whole.changes_complete);
    let cut = all(1500);
    assert_eq!(cut.changes.len(), 1000);
    assert!(!cut.changes_complete);
    assert_eq!(
        cut.notes[0],
        Note::RefsLeftOut {
            named: 1500,
            taken: 1000
        }
    );
    assert_eq!(
        cut.notes[0].to_string(),
        "payload names 1500 refs, the first 1000 were taken; reconciliation reads the other 500 from the repository"
    );
}

#[test]
fn commits_and_paths_over_their_limits_are_counted_and_make_paths_unknown() {
    let few = Limits {
        paths_per_push: 1,
        ..Limits::default()
    };
    let short = Limits {
        path_bytes: 7,
        ..Limits::default()
    };
    for (limits, left_out) in [(few, 2), (short, 1)] {
        let push = read_push(&[], post_receive_stash2().as_bytes(), &limits).unwrap();
        assert!(push.notes.contains(&Note::PathsLeftOut(left_out)));
        assert!(push.known_paths().is_none());
    }
    let none = Limits {
        commits_per_push: 0,
        ..Limits::default()
    };
    let push = read_push(&[], post_receive_stash2().as_bytes(), &none).unwrap();
    assert!(push.notes.contains(&Note::CommitsLeftOut { listed: 1, taken: 0 }));
    assert!(!push.commits_complete);
}

#[test]
fn w22_no_link_of_a_payload_is_kept() {
    for (sender, _, body) in one_of_each() {
        let mut push = read(&body).unwrap();
        let kept = format!("{:?}", push.repository.addresses);
        assert!(!kept.contains("://"), "{sender}: {kept}");
        // They say where the repository is, for comparing; nothing can be fetched by them.
        push.repository.addresses.clear();
        let push = format!("{push:?}");
        assert!(
            !push.contains("://") && !push.contains("/projects/"),
            "{sender}: {push}"
        );
    }
    let inside = bitbucket_dc().replace("forge.example", "169.254.169.254");
    let mut push = read(&inside).unwrap();
    push.repository.addresses.clear();
    assert!(!format!("{push:?}").contains("169.254"));
}

#[test]
fn w23_people_and_messages_are_inert_and_bounded() {
    let hostile = r"<script>\u202egnp\u001b[31m\u0000\r\nx";
    let body = cloud_post_git()
        .replace("Hana Mori <hana@grove.example>", hostile)
        .replace("Trim the shoots", hostile)
        .replace(r#""user":"hana""#, &format!(r#""user":"{hostile}""#));
    let push = read(&body).unwrap();
    assert_eq!(push.commits[0].author, "<script>gnp[31m x");
    assert_eq!(push.commits[0].message, "<script>gnp[31m\nx\n");
    assert_eq!(push.pusher.as_deref(), Some("<script>gnp[31m x"));

    let limits = Limits::default();
    let long = "ひ".repeat(1024 * 1024 / 3);
    let body = cloud_post_git()
        .replace("Hana Mori <hana@grove.example>", &long)
        .replace("Trim the shoots", &long)
        .replace(r#""user":"hana""#, &format!(r#""user":"{long}""#));
    let push = read(&body).unwrap();
    let bounded = |text: &str, limit: usize| text.ends_with(CUT_MARK) && text.len() <= limit + CUT_MARK.len();
    assert!(bounded(&push.commits[0].author, limits.person_bytes));
    assert!(bounded(&push.commits[0].message, limits.message_bytes));
    assert!(bounded(push.pusher.as_deref().unwrap(), limits.person_bytes));
}

#[test]
fn errors_never_repeat_the_text_of_the_sender_at_length() {
    let long = "\u{1b}secret".repeat(10_000);
    let bodies = [
        post_receive_with(&server_ref(&long, &id('a'), &id('b'), "UPDATE")),
        post_receive_with(&server_ref("refs/heads/x", &long, &id('b'), "UPDATE")),
        post_receive_stash2().replace("\"grove-tools\"", &serde_json::to_string(&long).unwrap()),
        format!("{{{0}:1,{0}:2}}", serde_json::to_string(&long).unwrap()),
    ];
    for body in bodies {
        let error = read(&body).expect_err("the body is hostile").to_string();
        assert!(error.len() < 300 && !error.contains('\u{1b}'), "{error}");
    }
}

#[test]
fn numbers_out_of_range_in_times_are_no_times() {
    for number in [
        "1e300",
        "-1e300",
        "9223372036854775807",
        "-9223372036854775808",
        "99999999999999999999",
        "1.5",
    ] {
        let push = read(&post_receive_stash2().replace("1700000000000", number)).unwrap();
        assert_eq!(push.commits[0].authored_ms, None, "{number}");
    }
}

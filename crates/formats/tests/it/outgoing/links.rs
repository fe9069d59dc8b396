//! Links: what they look like and what is encoded in them.

use madake_formats::Scm;
use madake_formats::outgoing::links::Links;
use madake_formats::push::RefKind;

use super::facts::{git_push, hana, mercurial_push, moved, repository, server};
use crate::samples::{id, object};

#[test]
fn each_link_has_the_form_of_its_product() {
    let (server, repository) = (server(), repository(Scm::Git));
    let links = Links::new(&server, &repository);
    let hash = id('a');
    let branch = moved(RefKind::Branch, "feature/x", Some('b'), Some('a'));
    let tag = moved(RefKind::Tag, "v1 #2?", None, Some('a'));
    let table = [
        (links.project(), "/projects/GROVE".to_owned()),
        (links.user(&hana()), "/users/hana".to_owned()),
        (
            links.browse(),
            "/projects/GROVE/repos/grove-tools/browse".to_owned(),
        ),
        (
            links.change(&object('a'), "src/main.rs"),
            format!("/projects/GROVE/repos/grove-tools/commits/{hash}#src/main.rs"),
        ),
        (
            links.change(&object('a'), "a b/#1/50%/竹?\n\"<x>"),
            format!(
                "/projects/GROVE/repos/grove-tools/commits/{hash}#a%20b/%231/50%25/%E7%AB%B9?%0A%22%3Cx%3E"
            ),
        ),
        (
            links.absolute(&links.commit(&object('a'))),
            format!("https://forge.grove.example/projects/GROVE/repos/grove-tools/commits/{hash}"),
        ),
        (
            links.clone_http(),
            "https://forge.grove.example/scm/grove/grove-tools.git".to_owned(),
        ),
        (
            links.clone_ssh().unwrap(),
            "ssh://git@forge.grove.example:7999/grove/grove-tools.git".to_owned(),
        ),
        (
            links.cloud_commit(&object('a')),
            format!("/GROVE/grove-tools/commits/{hash}"),
        ),
        (
            links.cloud_ref(&branch),
            "/GROVE/grove-tools/branch/feature/x".to_owned(),
        ),
        (
            links.cloud_ref(&tag),
            "/GROVE/grove-tools/commits/tag/v1%20%232%3F".to_owned(),
        ),
        (
            links.cloud_api_ref(&branch),
            "/api/2.0/repositories/GROVE/grove-tools/refs/branches/feature/x".to_owned(),
        ),
        (
            links.github_compare(&branch),
            "/GROVE/grove-tools/compare/bbbbbbbbbbbb...aaaaaaaaaaaa".to_owned(),
        ),
        (
            links.github_compare(&moved(RefKind::Branch, "gone", Some('b'), None)),
            "/GROVE/grove-tools/compare/bbbbbbbbbbbb...000000000000".to_owned(),
        ),
    ];
    for (link, expected) in table {
        assert_eq!(link, expected);
    }
}

#[test]
fn a_project_of_a_person_lies_below_users_and_mercurial_has_its_own_clone_address() {
    let push = mercurial_push();
    let links = Links::new(&push.server, &push.repository);
    assert_eq!(links.browse(), "/users/hana/repos/grove-tools/browse");
    assert_eq!(
        links.clone_http(),
        "https://forge.grove.example/hg/~hana/grove-tools"
    );
    assert_eq!(links.cloud_repository(), "/~Hana/grove-tools");
}

#[test]
fn a_server_below_a_path_keeps_it_in_absolute_links_alone() {
    let mut push = git_push();
    push.server.base_url = "https://forge.example/madake///".to_owned();
    let links = Links::new(&push.server, &push.repository);
    assert_eq!(links.base(), "https://forge.example/madake");
    assert_eq!(
        links.absolute(&links.project()),
        "https://forge.example/madake/projects/GROVE"
    );
    assert!(links.browse().starts_with("/projects/"));
}

//! What is not served: shells, other programs, forwarding, environments, paths that climb.

use madake_ssh::Service;
use tokio::process::Command;

use crate::fixture::{House, heard, output};

#[tokio::test(flavor = "multi_thread")]
async fn shell_says_hello_and_ends() {
    let house = House::new().await;
    let output = house.ssh(&[], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let (_, text) = heard(&output);
    assert!(
        text.contains("Hi ann, you are authenticated, but there is no shell here"),
        "{text}"
    );
    // A client that insists on a terminal gives up by itself.
    let (success, text) = heard(&house.ssh(&["-tt"], &[]).await);
    assert!(
        !success && text.contains("PTY allocation request failed"),
        "{text}"
    );
    assert_eq!(house.gate.refused()[..2], ["a shell", "a terminal"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_commands_are_refused_with_a_sentence() {
    let house = House::new().await;
    for (command, sentence) in [
        ("id", "only git and hg are served"),
        ("git-upload-pack --help", "cannot start with a dash"),
        ("git-upload-pack '--upload-pack=id'", "cannot start with a dash"),
        (
            "git-upload-pack 'hosted.git'; id",
            "not quoted as git and hg quote",
        ),
        ("git-upload-pack $(id)", "not quoted as git and hg quote"),
        ("git-upload-pack 'a\nb'", "control characters"),
        (
            "hg -R x --config alias.serve=x serve --stdio",
            "only git and hg are served",
        ),
    ] {
        let output = house.ssh(&[], &[command]).await;
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert_eq!(output.stdout, b"", "{command}");
        let (_, text) = heard(&output);
        assert!(text.contains(sentence), "{command}: {text}");
    }
    assert_eq!(house.gate.opened(), []);
    assert_eq!(house.gate.refused().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn path_that_climbs_is_only_text_for_the_gate() {
    let house = House::new().await;
    let output = house.ssh(&[], &["git-receive-pack '../../x'"]).await;
    assert_eq!(output.status.code(), Some(1));
    let (_, text) = heard(&output);
    assert!(text.contains("there is no repository ../../x"), "{text}");
    let opened = house.gate.opened();
    assert_eq!(
        (opened[0].service, opened[0].path.as_str()),
        (Service::GitReceivePack, "../../x")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_not_copied() {
    let house = House::new().await;
    std::fs::write(house.path("file"), "content").unwrap();
    for old_protocol in [true, false] {
        let mut command = Command::new("scp");
        command.args(&house.ssh_words("ann")[1..]);
        if old_protocol {
            command.arg("-O");
        }
        command
            .args(["-P", &house.address.port().to_string()])
            .arg(house.path("file"))
            .arg("git@127.0.0.1:/tmp/madake-was-here");
        let (success, _) = heard(&output(command).await);
        assert!(!success);
    }
    assert!(!std::path::Path::new("/tmp/madake-was-here").exists());
    assert_eq!(house.gate.opened(), []);
    let refused = house.gate.refused();
    assert!(refused[0].contains("only git and hg"), "{refused:?}");
    assert_eq!(refused[1], "a subsystem");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_forwarded() {
    let house = House::new().await;
    let own_port = format!("127.0.0.1:{}", house.address.port());
    let (success, text) = heard(&house.ssh(&["-W", &own_port], &[]).await);
    assert!(!success && text.contains("prohibited"), "{text}");
    let remote = format!("0:{own_port}");
    let (success, text) = heard(
        &house
            .ssh(&["-N", "-o", "ExitOnForwardFailure=yes", "-R", &remote], &[])
            .await,
    );
    assert!(
        !success && text.contains("remote port forwarding failed"),
        "{text}"
    );
    assert_eq!(
        house.gate.refused(),
        ["port forwarding", "remote port forwarding"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_plain_git_protocol_comes_through_of_the_environment() {
    let house = House::new().await;
    for (environment, expected) in [
        ("SetEnv=GIT_PROTOCOL=version=2", Some("version=2")),
        ("SetEnv=GIT_PROTOCOL=version=2:x.y-z_", Some("version=2:x.y-z_")),
        ("SetEnv=GIT_PROTOCOL=version=2;id", None),
        ("SetEnv=LD_PRELOAD=/tmp/x", None),
        ("SetEnv=GIT_DIR=/tmp/x", None),
    ] {
        house
            .ssh(&["-o", environment], &["git-upload-pack 'nothing'"])
            .await;
        let opened = house.gate.opened();
        assert_eq!(
            opened.last().unwrap().git_protocol.as_deref(),
            expected,
            "{environment}"
        );
    }
    assert_eq!(house.gate.opened().len(), 5);
}

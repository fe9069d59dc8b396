//! The key of the server, and keys of users.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use madake_ssh::{HostKeyError, HostKeys, Limits, OfferedKey};

use crate::fixture::{Behaviour, House, heard, make_key, output};

fn set_mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn host_key_is_made_once_and_is_the_one_that_ssh_keygen_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/host_key");
    let made = HostKeys::load_or_create(&path).unwrap();
    assert!(made.was_created());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1);
    let again = HostKeys::load_or_create(&path).unwrap();
    assert!(!again.was_created());
    assert_eq!(again.public_key(), made.public_key());
    let mut command = tokio::process::Command::new("ssh-keygen");
    command.arg("-lf").arg(&path);
    let listed = String::from_utf8(output(command).await.stdout).unwrap();
    assert!(listed.contains(&made.fingerprint()), "{listed}");
    assert!(listed.contains("ED25519"), "{listed}");
}

#[tokio::test]
async fn exposed_damaged_and_protected_host_keys_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host_key");
    HostKeys::load_or_create(&path).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660] {
        set_mode(&path, mode);
        let error = HostKeys::load_or_create(&path).unwrap_err();
        assert!(matches!(error, HostKeyError::Exposed { .. }), "{mode:o}: {error}");
        assert!(error.to_string().contains("chmod 600"));
    }
    set_mode(&path, 0o600);
    let whole = std::fs::read_to_string(&path).unwrap();
    let cut = whole[..whole.len() / 2].to_owned();
    for content in [
        cut,
        whole.replace("b3Bl", "AAAA"),
        String::new(),
        "\n".into(),
        "hello".into(),
    ] {
        std::fs::write(&path, &content).unwrap();
        let error = HostKeys::load_or_create(&path).unwrap_err();
        assert!(matches!(error, HostKeyError::Damaged { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    let error = HostKeys::load_or_create(folder.path()).unwrap_err();
    assert!(matches!(error, HostKeyError::NotAFile { .. }), "{error}");
    let protected = folder.path().join("protected");
    let mut command = tokio::process::Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "secret", "-f"])
        .arg(&protected);
    assert!(output(command).await.status.success());
    let error = HostKeys::load_or_create(&protected).unwrap_err();
    assert!(matches!(error, HostKeyError::Encrypted { .. }), "{error}");
}

#[tokio::test]
async fn keys_made_by_ssh_keygen_have_the_fingerprint_that_it_says() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let path = folder.path().join(kind);
        make_key(&path, &["-t", kind]).await;
        let text = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        let key = OfferedKey::parse(&text).unwrap();
        let mut command = tokio::process::Command::new("ssh-keygen");
        command.arg("-lf").arg(&path);
        let listed = String::from_utf8(output(command).await.stdout).unwrap();
        assert!(listed.contains(&key.fingerprint), "{listed}");
        assert_eq!(text.trim_end(), format!("{} a comment", key.openssh));
        let private = std::fs::read_to_string(&path).unwrap();
        assert!(OfferedKey::parse(&private).unwrap_err().contains("private"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ecdsa_keys_of_each_size_come_in() {
    for bits in ["256", "384", "521"] {
        let house = House::with_key(&["-t", "ecdsa", "-b", bits]).await;
        let (_, text) = heard(&house.ssh(&[], &[]).await);
        assert!(text.contains("Hi ann"), "{bits}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_learns_nothing_about_users_and_keys() {
    let rejection_time = Duration::from_millis(700);
    let limits = Limits {
        rejection_time,
        ..Limits::default()
    };
    let house = House::with(Behaviour::default(), limits).await;
    make_key(&house.path("mallory"), &["-t", "ed25519"]).await;
    let mut heards = Vec::new();
    for (key, user) in [
        ("mallory", "git"),
        ("ann", "nobody"),
        ("mallory", "nobody"),
        ("ann", "root"),
    ] {
        let command = house.ssh_command(key, user, &[], &["git-upload-pack 'x'"]);
        let started = Instant::now();
        let (success, text) = heard(&output(command).await);
        assert!(!success && started.elapsed() >= rejection_time, "{text}");
        heards.push(text.replace(user, "USER"));
    }
    assert!(
        heards[0].contains("Permission denied (publickey)"),
        "{}",
        heards[0]
    );
    assert!(heards.iter().all(|text| *text == heards[0]), "{heards:?}");
    let attempts = house.gate.attempts();
    assert!(attempts.iter().all(|attempt| !attempt.proved), "{attempts:?}");
    assert_eq!(house.gate.opened(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_is_asked_about_again_once_it_is_proved() {
    let house = House::new().await;
    house.ssh(&[], &[]).await;
    let attempts = house.gate.attempts();
    let proved: Vec<bool> = attempts.iter().map(|attempt| attempt.proved).collect();
    assert_eq!(proved, [false, true]);
    assert!(attempts.iter().all(|attempt| attempt.user_name == "git"));
    assert!(attempts[0].peer.ip().is_loopback());
}

#[tokio::test(flavor = "multi_thread")]
async fn rsa_keys_come_in_with_newer_signatures_only() {
    let house = House::with_key(&["-t", "rsa", "-b", "3072"]).await;
    for (algorithms, comes_in) in [("rsa-sha2-512", true), ("rsa-sha2-256", true), ("ssh-rsa", false)] {
        let option = format!("PubkeyAcceptedAlgorithms={algorithms}");
        let (_, text) = heard(&house.ssh(&["-o", &option], &[]).await);
        assert_eq!(text.contains("Hi ann"), comes_in, "{algorithms}: {text}");
    }
}

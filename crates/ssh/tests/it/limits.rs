//! Bounds: of strangers, of addresses, of idle clients, and of the server's own end.

use std::time::Duration;

use madake_ssh::Limits;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::fixture::{Behaviour, House, Stop, heard, make_key, output};

const SHORT: Duration = Duration::from_millis(300);

async fn house(limits: Limits) -> House {
    House::with(Behaviour::default(), limits).await
}

/// Reads until the server ends the connection.
async fn until_cut(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset ends it as well as an end.
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes))
        .await
        .expect("the server should end the connection");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_does_not_log_in_is_cut_off() {
    let house = house(Limits {
        login_time: SHORT,
        ..Limits::default()
    })
    .await;
    for said in ["", "SSH-2.0-slow\r\n", "SSH-2.0-odd\r\n\0\0\0\x0c\x0a\x14garbage"] {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let heard = until_cut(&mut stream).await;
        assert!(heard.starts_with(b"SSH-2.0-Madake\r\n"), "{said}");
    }
    assert_eq!(house.gate.attempts(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_gets_so_many_connections_and_no_more() {
    let house = house(Limits {
        max_connections_per_address: 2,
        ..Limits::default()
    })
    .await;
    let mut line = String::new();
    let mut taken = Vec::new();
    for _ in 0..2 {
        let mut stream = BufReader::new(TcpStream::connect(house.address).await.unwrap());
        stream.read_line(&mut line).await.unwrap();
        taken.push(stream);
    }
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let heard = String::from_utf8(until_cut(&mut stream).await).unwrap();
    assert!(
        heard.starts_with("too many connections from your address"),
        "{heard}"
    );
    // A place that was given back is free again, as soon as the server has noticed.
    taken.pop();
    loop {
        let mut stream = BufReader::new(TcpStream::connect(house.address).await.unwrap());
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        if line.starts_with("SSH-2.0") {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_may_try_so_many_keys_and_no_more() {
    let house = house(Limits {
        max_key_tries: 2,
        ..Limits::default()
    })
    .await;
    let mut wrong = Vec::new();
    for name in ["one", "two"] {
        make_key(&house.path(name), &["-t", "ed25519"]).await;
        wrong.extend(["-i".to_owned(), house.path(name).display().to_string()]);
    }
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    let ann = house.path("ann").display().to_string();
    let with_ann = [&wrong[2..], &["-i", &ann]].concat();
    // The second key is the right one; then the third would be.
    let (_, text) = heard(&output(house.ssh_command("one", "git", &["-i", &ann], &[])).await);
    assert!(text.contains("Hi ann"), "{text}");
    let (_, text) = heard(&output(house.ssh_command("one", "git", &with_ann, &[])).await);
    assert!(text.contains("Too many authentication"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_on_which_nothing_runs_is_ended() {
    let house = house(Limits {
        idle_connection: SHORT,
        ..Limits::default()
    })
    .await;
    let (success, text) = heard(&house.ssh(&["-N"], &[]).await);
    assert!(!success && text.contains("nothing runs here"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn command_that_moves_nothing_is_ended() {
    let house = house(Limits {
        idle_session: SHORT,
        ..Limits::default()
    })
    .await;
    house.hosted("hosted.git").await;
    let mut command = house.ssh_command("ann", "git", &[], &["git-receive-pack 'hosted.git'"]);
    command.stdin(std::process::Stdio::piped());
    let mut client = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The client keeps its side open and says nothing.
    let _stdin = client.stdin.take().unwrap();
    let (success, text) = heard(&client.wait_with_output().await.unwrap());
    assert!(
        !success && text.contains("nothing was sent or received"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_client_keeps_its_connection_as_long_as_it_answers() {
    let house = House::with(
        Behaviour {
            before_answer: Stop::new(true),
            ..Behaviour::default()
        },
        Limits {
            keep_alive: Duration::from_millis(20),
            ..Limits::default()
        },
    )
    .await;
    house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let client = house.start_git(&work, &["push", &house.url("hosted.git"), "master"]);
    house.gate.behaviour.before_answer.is_reached().await;
    // Many times the questions after which a silent client would be gone.
    tokio::time::sleep(Duration::from_secs(1)).await;
    house.gate.behaviour.before_answer.let_go();
    let (success, text) = heard(&client.wait_with_output().await.unwrap());
    assert!(success, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_lets_commands_finish_and_takes_no_new_clients() {
    let house = House::with(
        Behaviour {
            before_answer: Stop::new(true),
            ..Behaviour::default()
        },
        Limits::default(),
    )
    .await;
    house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let client = house.start_git(&work, &["push", &house.url("hosted.git"), "master"]);
    house.gate.behaviour.before_answer.is_reached().await;
    let mut stranger = TcpStream::connect(house.address).await.unwrap();
    let mut greeting = [0; 16];
    stranger.read_exact(&mut greeting).await.unwrap();
    house.stop.cancel();
    // Who does nothing is ended at once, and then nobody is let in.
    until_cut(&mut stranger).await;
    assert!(TcpStream::connect(house.address).await.is_err());
    house.gate.behaviour.before_answer.let_go();
    let (success, text) = heard(&client.wait_with_output().await.unwrap());
    assert!(success, "{text}");
    house.running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_does_not_wait_for_ever() {
    let house = House::with(
        Behaviour {
            before_pack: Stop::new(true),
            ..Behaviour::default()
        },
        Limits {
            stop_time: SHORT,
            ..Limits::default()
        },
    )
    .await;
    house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let client = house.start_git(&work, &["push", &house.url("hosted.git"), "master"]);
    house.gate.behaviour.before_pack.is_reached().await;
    house.stop.cancel();
    let (success, text) = heard(&client.wait_with_output().await.unwrap());
    assert!(!success && text.contains("the server stops"), "{text}");
    house.running.await.unwrap();
}

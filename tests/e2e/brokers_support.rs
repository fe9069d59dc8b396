//! Receivers for tests of brokers: a product with scripted answers, and a mail server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use madake_testkit::wait_for;

/// A request that a product got.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The status, the headers as they are written, and the body.
pub(crate) type Reply = (u16, &'static str, &'static str);

/// A product that answers by script and writes down what it was asked.
#[derive(Clone)]
pub(crate) struct Product {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Product {
    pub(crate) fn start(script: fn(&str) -> Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let made = Self {
            port: listener.local_addr().expect("an address").port(),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&made.asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                std::thread::spawn(move || answer(stream, script, &asked));
            }
        });
        made
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address with a name and a password before the host.
    pub(crate) fn url_as(&self, user: &str) -> String {
        format!("http://{user}@127.0.0.1:{}", self.port)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }

    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Asked> {
        wait_for("the product to be asked", || async {
            let asked = self.asked();
            (asked.len() >= count).then_some(asked)
        })
        .await
    }
}

fn answer(stream: TcpStream, script: fn(&str) -> Reply, asked: &Mutex<Vec<Asked>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let mut headers = Vec::new();
        loop {
            let mut text = String::new();
            reader.read_line(&mut text).ok()?;
            let Some((name, value)) = text.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut one = Asked {
            line,
            headers,
            body: String::new(),
        };
        let length = one.header("content-length").and_then(|text| text.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        one.body = String::from_utf8_lossy(&body).into_owned();
        let (status, headers, body) = script(&one.line);
        asked.lock().expect("not poisoned").push(one);
        let length = body.len();
        let text = format!("HTTP/1.1 {status} Answer\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        reader.get_mut().write_all(text.as_bytes()).ok()?;
    }
}

/// A mail server that takes everything.
pub(crate) struct MailServer {
    pub(crate) port: u16,
    letters: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let letters: Arc<Mutex<Vec<String>>> = Arc::default();
        let made = Self {
            port: listener.local_addr().expect("an address").port(),
            letters: Arc::clone(&letters),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let letters = Arc::clone(&letters);
                std::thread::spawn(move || converse(stream, &letters));
            }
        });
        made
    }

    /// The letters that came so far, as they were sent, recipients in the first line.
    pub(crate) fn letters(&self) -> Vec<String> {
        self.letters.lock().expect("not poisoned").clone()
    }

    /// The letters as they were sent, recipients in the first line.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<String> {
        wait_for("a letter", || async {
            let letters = self.letters.lock().expect("not poisoned").clone();
            (letters.len() >= count).then_some(letters)
        })
        .await
    }
}

fn converse(stream: TcpStream, letters: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let say = |reader: &mut BufReader<TcpStream>, text: &str| {
        reader.get_mut().write_all(format!("{text}\r\n").as_bytes()).ok()
    };
    say(&mut reader, "220 mail.example ready")?;
    let mut recipients = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let word = line
            .split(' ')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_uppercase();
        match word.as_str() {
            "DATA" => {
                say(&mut reader, "354 go on")?;
                let mut letter = format!("{}\r\n", recipients.join(" "));
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).ok()?;
                    if line == ".\r\n" {
                        break;
                    }
                    letter.push_str(&line);
                }
                letters.lock().expect("not poisoned").push(letter);
                say(&mut reader, "250 taken")?;
            }
            "RCPT" => {
                recipients.push(line.trim_end().to_owned());
                say(&mut reader, "250 known")?;
            }
            "QUIT" => {
                say(&mut reader, "221 bye")?;
                return None;
            }
            _ => say(&mut reader, "250 mail.example")?,
        }
    }
}

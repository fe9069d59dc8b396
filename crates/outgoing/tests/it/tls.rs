//! TLS with certificates made by the `openssl` program.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use madake_domain::delivery::ErrorKind;
use madake_outgoing::Secret;
use madake_outgoing::client::{Client, Failure, OptionsError, Outcome, TlsOptions};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use tempfile::TempDir;

use crate::receiver::{client, ok, patient, post};

/// An authority, and what it has signed.
pub(crate) struct Authority {
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        openssl(
            authority.folder.path(),
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 \
             -subj /CN=authority",
        );
        authority
    }

    /// Makes `NAME.key` and `NAME.pem`, valid for these alternative names.
    pub(crate) fn sign(&self, name: &str, alternatives: &str) {
        let folder = self.folder.path();
        openssl(
            folder,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr \
                 -subj /CN={name}"
            ),
        );
        std::fs::write(
            folder.join("extensions"),
            format!("subjectAltName={alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n"),
        )
        .unwrap();
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out {name}.pem \
                 -extfile extensions"
            ),
        );
    }

    pub(crate) fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    /// What a server with this certificate speaks TLS by; with `wants_client`, only with clients of this authority.
    pub(crate) fn server_config(&self, name: &str, wants_client: bool) -> Arc<ServerConfig> {
        let folder = self.folder.path();
        let certificate = CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
    }

    /// Starts a server that answers each connection once.
    fn serve(&self, name: &str, wants_client: bool) -> SocketAddr {
        serve(self.server_config(name, wants_client), |_| ok("over TLS"))
    }
}

/// Starts a server that answers each connection once, by what came first.
pub(crate) fn serve(
    config: Arc<ServerConfig>,
    answer: impl Fn(&str) -> String + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            let mut buffer = [0u8; 4096];
            if let Ok(count) = tls.read(&mut buffer)
                && count > 0
            {
                let _ = tls.write_all(answer(&String::from_utf8_lossy(&buffer[..count])).as_bytes());
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    address
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("the certificates of this test are made by the openssl program");
    assert!(
        output.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn send(client: &Client, address: SocketAddr, tls: TlsOptions) -> Result<Outcome, Failure> {
    let mut request = post(&format!("https://{address}/hook"));
    request.options.tls = tls;
    client.send(request).await
}

#[tokio::test]
async fn unknown_authority_is_refused_named_or_overlooked() {
    let authority = Authority::new();
    authority.sign("server", "IP:127.0.0.1");
    let address = authority.serve("server", false);
    let client = client(patient());

    let failure = send(&client, address, TlsOptions::default()).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Tls, "{failure}");
    assert_eq!(
        failure.sentence,
        format!(
            "the certificate of https://{address} is signed by an unknown authority; give the receiver the \
             certificate of that authority"
        )
    );

    let trusting = TlsOptions {
        extra_ca_pem: Some(authority.text("ca.pem")),
        ..TlsOptions::default()
    };
    let outcome = send(&client, address, trusting).await.unwrap();
    assert_eq!(
        (outcome.status, outcome.body_start.as_slice()),
        (200, &b"over TLS"[..])
    );

    let careless = TlsOptions {
        verify: false,
        ..TlsOptions::default()
    };
    assert!(send(&client, address, careless).await.is_ok());
    // The careless client of one receiver is not used for another.
    assert!(send(&client, address, TlsOptions::default()).await.is_err());
}

#[tokio::test]
async fn certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    authority.sign("other", "DNS:other.example");
    let address = authority.serve("other", false);
    let trusting = TlsOptions {
        extra_ca_pem: Some(authority.text("ca.pem")),
        ..TlsOptions::default()
    };
    let failure = send(&client(patient()), address, trusting).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Tls);
    assert!(failure.sentence.ends_with("is for another name"), "{failure}");
}

#[tokio::test]
async fn client_certificate_opens_a_receiver_that_wants_one() {
    let authority = Authority::new();
    authority.sign("server", "IP:127.0.0.1");
    authority.sign("sender", "DNS:sender.example");
    let address = authority.serve("server", true);
    let client = client(patient());
    let anonymous = TlsOptions {
        extra_ca_pem: Some(authority.text("ca.pem")),
        ..TlsOptions::default()
    };
    let failure = send(&client, address, anonymous.clone()).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Tls, "{failure}");

    let pem = format!("{}{}", authority.text("sender.pem"), authority.text("sender.key"));
    let known = TlsOptions {
        identity_pem: Some(Secret::new(pem)),
        ..anonymous
    };
    assert!(!format!("{known:?}").contains("PRIVATE"));
    assert_eq!(
        send(&client, address, known).await.unwrap().body_start,
        b"over TLS"
    );
}

#[tokio::test]
async fn plain_answer_to_a_handshake_is_a_tls_failure() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        std::future::pending::<()>().await;
    });
    let careless = TlsOptions {
        verify: false,
        ..TlsOptions::default()
    };
    let failure = send(&client(patient()), address, careless).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Tls, "{failure}");
}

#[tokio::test]
async fn unreadable_certificates_are_refused_when_saved_and_when_sent() {
    let authority = Authority::new();
    for (options, expected) in [
        (
            TlsOptions {
                extra_ca_pem: Some("nothing".to_owned()),
                ..TlsOptions::default()
            },
            OptionsError::ExtraCa,
        ),
        (
            TlsOptions {
                identity_pem: Some(Secret::new(authority.text("ca.pem"))),
                ..TlsOptions::default()
            },
            OptionsError::Identity,
        ),
    ] {
        assert_eq!(options.check(), Err(expected.clone()));
        let address = SocketAddr::from(([127, 0, 0, 1], 9999));
        let failure = send(&client(patient()), address, options).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.sentence),
            (ErrorKind::Request, expected.to_string())
        );
    }
}

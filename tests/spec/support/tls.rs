//! A client over TLS: the handshake, and HTTP/2 connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, crypto::ring::default_provider,
};

/// A client that accepts any certificate, because the test knows the server.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the server speaks TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Does the TLS handshake over `io`, with `protocol` for ALPN.
pub async fn handshake_over(io: TcpStream, protocol: &str) -> TlsStream<TcpStream> {
    try_handshake(io, protocol).await.expect("a handshake")
}

pub async fn try_handshake(io: TcpStream, protocol: &str) -> io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.into()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, io).await
}

pub async fn handshake(address: SocketAddr, protocol: &str) -> TlsStream<TcpStream> {
    let io = TcpStream::connect(address).await.expect("it listens");
    io.set_nodelay(true).unwrap();
    handshake_over(io, protocol).await
}

/// An HTTP/2 connection in a task of its own, until the last handle is dropped.
pub async fn http2(address: SocketAddr) -> SendRequest<Bytes> {
    http2_over(handshake(address, "h2").await).await
}

pub async fn http2_over(io: TlsStream<TcpStream>) -> SendRequest<Bytes> {
    let (requests, connection) = client::handshake(io).await.expect("HTTP/2");
    tokio::spawn(connection);
    requests
}

/// A GET of `path` without content.
pub fn get(path: &str) -> http::Request<()> {
    http::Request::get(format!("https://clock{path}"))
        .body(())
        .unwrap()
}

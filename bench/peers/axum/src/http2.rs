//! The same stream on axum, over HTTP/2 with rustls and hyper-util, as axum's own example does it.

mod clock;
mod listen;

use std::{env, error::Error, sync::Arc};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let certificate = CertificateDer::from_pem_file(env::var("CERT")?)?;
    let key = PrivateKeyDer::from_pem_file(env::var("KEY")?)?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec!["h2".into()];

    let acceptor = TlsAcceptor::from(Arc::new(config));
    let service = TowerToHyperService::new(clock::router());
    let listener = listen::listener().await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (acceptor, service) = (acceptor.clone(), service.clone());
        tokio::spawn(async move {
            let Ok(socket) = acceptor.accept(socket).await else {
                return;
            };
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

//! Whom to trust and who we are, in the words of both transports.

use super::Tls;
use std::error::Error;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// For HTTP.
pub(super) fn for_http(tls: &Tls) -> Result<TlsConfig> {
    let mut config = TlsConfig::builder();
    if let Some(authorities) = &tls.authorities {
        config = config.root_certs(RootCerts::new_with_certs(&certificates(authorities)?));
    }
    if let Some((chain, key)) = &tls.identity {
        let identity = ClientCert::new_with_certs(&certificates(chain)?, PrivateKey::from_pem(key)?);
        config = config.client_cert(Some(identity));
    }
    Ok(config.build())
}

/// Every certificate of a PEM file.
fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err("there is no certificate in the PEM file".into());
    }
    Ok(certificates)
}

/// For gRPC.
#[cfg(feature = "otlp-grpc")]
pub(super) fn for_grpc(tls: &Tls) -> tonic::transport::ClientTlsConfig {
    use tonic::transport::{Certificate, ClientTlsConfig, Identity};
    let config = match &tls.authorities {
        Some(authorities) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities)),
        None => ClientTlsConfig::new().with_enabled_roots(),
    };
    match &tls.identity {
        Some((chain, key)) => config.identity(Identity::from_pem(chain, key)),
        None => config,
    }
}

//! A certificate authority of the sandbox's own, made at start and never written anywhere but into the kubeconfig,
//! and the server's certificate under it. Loopback alone is in it.

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// What the server serves with, and what its clients trust.
pub struct Identity {
    /// Makes a TLS stream of a connection.
    pub acceptor: TlsAcceptor,
    /// The authority's certificate in PEM.
    pub authority: String,
}

/// Makes an authority and a certificate for `localhost`, `127.0.0.1` and `::1`.
pub fn identity() -> anyhow::Result<Identity> {
    let authority_key = KeyPair::generate().context("making a key for the sandbox's certificate authority")?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "canary-tui sandbox authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = authority.self_signed(&authority_key).context("signing the sandbox's certificate authority")?;
    let authority_pem = certificate.pem();
    let issuer = Issuer::new(authority, authority_key);

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = CertificateParams::new(names).context("naming the sandbox's server certificate")?;
    server.distinguished_name.push(DnType::CommonName, "canary-tui sandbox");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = KeyPair::generate().context("making a key for the sandbox's server")?;
    let server = server.signed_by(&server_key, &issuer).context("signing the sandbox's server certificate")?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choosing TLS versions for the sandbox")?
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], key)
        .context("serving the sandbox's certificate")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)), authority: authority_pem })
}

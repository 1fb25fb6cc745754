//! TLS for outgoing connections: one crypto provider, named and not found; the system's roots.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::egress::{
    error::{Cause, Failure},
    pem::Identity,
};

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

/// Read once: a bundle is 300 KB, and every destination needs it.
static ROOTS: LazyLock<RootCertStore> = LazyLock::new(load_roots);

/// Makes aws-lc-rs the process's provider, for crates that look for one (the Postgres client). Calling it again does
/// nothing.
pub fn install_crypto() {
    // An error says that a provider is installed already.
    let _ = (**PROVIDER).clone().install_default();
}

/// The system's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` are obeyed); Mozilla's, compiled in, where there are none.
fn load_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (n_added, _) = roots.add_parsable_certificates(native.certs);
    if n_added == 0 {
        let reasons: Vec<_> = native.errors.iter().map(ToString::to_string).collect();
        tracing::warn!(
            reasons = reasons.join("; "),
            "no certificate authorities found on this system, so the compiled-in ones of Mozilla are trusted"
        );
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// The system's roots, and these (DER) besides.
fn roots_with(extra_roots: &[Vec<u8>]) -> Result<RootCertStore, Failure> {
    let mut roots = ROOTS.clone();
    for der in extra_roots {
        roots
            .add(CertificateDer::from(der.clone()))
            .map_err(|e| Failure::new(Cause::Tls, format!("a trusted certificate cannot be read: {e}")))?;
    }
    Ok(roots)
}

/// A config that trusts the system's roots, and these (DER) besides, and shows the identity where it is asked.
pub(crate) fn client_config(
    extra_roots: &[Vec<u8>],
    identity: Option<&Identity>,
) -> Result<ClientConfig, Failure> {
    let builder = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::new(Cause::Tls, format!("TLS cannot be set up: {e}")))?
        .with_root_certificates(roots_with(extra_roots)?);
    let Some(identity) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let (chain, key) = identity.parts();
    builder.with_client_auth_cert(chain, key).map_err(|e| {
        let text = format!("the client's certificate and its key cannot be used: {e}");
        Failure::new(Cause::Tls, text)
    })
}

/// Whether a client can be made of these.
pub fn check_config(extra_roots: &[Vec<u8>], identity: Option<&Identity>) -> Result<(), Failure> {
    client_config(extra_roots, identity).map(drop)
}

/// Whether a chain of certificates (DER, the signer's first) leads to a root that is trusted, is in force at `unix_seconds`, and was
/// issued to this name.
pub(crate) fn check_chain(
    chain: &[Vec<u8>],
    name: &str,
    unix_seconds: u64,
    extra_roots: &[Vec<u8>],
) -> Result<(), Failure> {
    let bad = |problem: String| Failure::new(Cause::Tls, problem);
    let chain: Vec<_> = chain
        .iter()
        .map(|it| CertificateDer::from(it.as_slice()))
        .collect();
    let (first, others) = chain
        .split_first()
        .ok_or_else(|| bad("there is no certificate".to_owned()))?;
    let name = ServerName::try_from(name).map_err(|e| bad(format!("its name is no host's: {e}")))?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots_with(extra_roots)?.into(), PROVIDER.clone())
            .build()
            .map_err(|e| bad(format!("certificates cannot be verified: {e}")))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(unix_seconds));
    match verifier.verify_server_cert(first, others, &name, &[], at) {
        Ok(_) => Ok(()),
        Err(e) => Err(bad(format!(
            "its certificate does not lead to a trusted root: {e}"
        ))),
    }
}

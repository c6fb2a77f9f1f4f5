//! One TLS stack for broker and backend: rustls with ring. Its check of certificate dates survives a clock that is
//! reset to 1970, and one that was ahead.

mod judge;

use crate::certificate;
use crate::clock::RELEASED;
use crate::interrupt::Input;
pub use judge::LastTrusted;
use judge::{By, Judge, Server};
use qris_core::order::time::Wall;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::error::Error;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// Where the system's certificate authorities are, unless `SSL_CERT_FILE` names another bundle.
pub const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {why}", path = path.display())]
    Read {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    /// A certificate or key file holds no PEM.
    #[error("{path}: {why}", path = path.display())]
    File { path: PathBuf, why: pem::Error },
    #[error("{path}: no usable certificate in it", path = path.display())]
    NoCertificate { path: PathBuf },
    /// rustls refuses the certificate, the key, or the two together.
    #[error("client certificate {path}: {why}", path = path.display())]
    Client { path: PathBuf, why: rustls::Error },
    /// The roots cannot be used to verify a server.
    #[error("certificate authorities of {path}: {why}", path = path.display())]
    Roots { path: PathBuf, why: rustls::client::VerifierBuilderError },
    /// The cryptography and this build have no protocol version in common: a fault of the build.
    #[error("TLS: {0}")]
    Provider(rustls::Error),
}

/// Makes ring the process's cryptography. Call it once at start, before any connection. A second call does no harm.
pub fn install_provider() {
    // An error says that a provider is installed already. That is the wanted state.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// A client's configuration: the authorities that it trusts, and its own identity.
///
/// With `ca_file` only that authority is trusted, else the system's ([`SYSTEM_ROOTS`]). `client` is our certificate
/// chain and its key (PEM), for mutual TLS.
pub fn client_config(ca_file: Option<&Path>, client: Option<(&Path, &Path)>, trusted: &LastTrusted) -> Result<Arc<ClientConfig>, TlsError> {
    config_by(&server(ca_file, trusted)?, client, By::Trusted(trusted.clone()))
}

/// The same twice, for one server without a certificate of ours. The second judges dates by the clock alone. It is for the question
/// what time it is there, and carries no secret.
pub fn client_configs(ca_file: Option<&Path>, trusted: &LastTrusted) -> Result<[Arc<ClientConfig>; 2], TlsError> {
    let server = server(ca_file, trusted)?;
    Ok([config_by(&server, None, By::Trusted(trusted.clone()))?, config_by(&server, None, By::Clock)?])
}

fn server(ca_file: Option<&Path>, trusted: &LastTrusted) -> Result<Arc<Server>, TlsError> {
    let bundle = match ca_file {
        Some(path) => path.to_path_buf(),
        None => system_roots(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(&bundle)?), provider)
        .build()
        .map_err(|why| TlsError::Roots { path: bundle, why })?;
    let server = Arc::new(Server::new(verifier));
    trusted.servers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&server));
    Ok(server)
}

fn config_by(server: &Arc<Server>, client: Option<(&Path, &Path)>, by: By) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Judge::new(Arc::clone(server), by)));
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?.collect::<Result<Vec<_>, _>>().map_err(|why| file_error(certificate, why))?;
            let key = PrivateKeyDer::from_pem_reader(opened(key)?).map_err(|why| file_error(key, why))?;
            builder.with_client_auth_cert(chain, key).map_err(|why| TlsError::Client { path: certificate.to_path_buf(), why })?
        }
    };
    Ok(Arc::new(config))
}

/// The day on which the first certificate of a file ends. `None`: the file has none that can be read.
#[must_use]
pub fn first_end(path: &Path) -> Option<Wall> {
    certificates(path).ok()?.filter_map(|found| certificate::end(&found.ok()?)).min()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRefusal {
    /// It is not valid yet, or no longer: the machine's clock may be wrong (fault `clock`).
    Dates,
    /// Another thing, such as its authority or its name; or it ended before this program was made, and no clock can be the cause.
    Other,
}

/// Whether a connection failed because the server's certificate was refused. It looks through the whole chain of causes.
#[must_use]
pub fn certificate_refusal(error: &(dyn Error + 'static)) -> Option<CertificateRefusal> {
    refused(error).map(|refused| match refused {
        CertificateError::ExpiredContext { not_after, .. } if wall(*not_after) < RELEASED => CertificateRefusal::Other,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => CertificateRefusal::Dates,
        _ => CertificateRefusal::Other,
    })
}

/// Why a certificate was refused for its dates, for people. `None`: the connection failed for another reason.
#[must_use]
pub fn refused_dates(error: &(dyn Error + 'static)) -> Option<String> {
    match refused(error)? {
        CertificateError::ExpiredContext { time, not_after } => {
            Some(format!("its certificate ended at {}, and the time here is {}", shown(*not_after), shown(*time)))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            Some(format!("its certificate begins at {}, and the time here is {}", shown(*not_before), shown(*time)))
        }
        _ => None,
    }
}

fn refused<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CertificateError> {
    if let Some(rustls::Error::InvalidCertificate(refused)) = error.downcast_ref::<rustls::Error>() {
        return Some(refused);
    }
    // `source()` of an I/O error skips the wrapped error, and TLS errors travel wrapped in an I/O error.
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return refused(inner);
    }
    error.source().and_then(self::refused)
}

fn wall(at: UnixTime) -> Wall {
    Wall(i64::try_from(at.as_secs()).unwrap_or(i64::MAX / 1000).saturating_mul(1000))
}

fn shown(at: UnixTime) -> String {
    wall(at).to_rfc3339()
}

fn system_roots() -> PathBuf {
    std::env::var_os("SSL_CERT_FILE").map_or_else(|| PathBuf::from(SYSTEM_ROOTS), PathBuf::from)
}

/// The authorities of a bundle. Those that webpki cannot use are passed over: a system's bundle may hold odd ones.
fn roots(bundle: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(bundle)? {
        roots.add_parsable_certificates([certificate.map_err(|why| file_error(bundle, why))?]);
    }
    if roots.is_empty() {
        return Err(TlsError::NoCertificate { path: bundle.to_path_buf() });
    }
    Ok(roots)
}

type PemCertificates = Box<dyn Iterator<Item = Result<CertificateDer<'static>, pem::Error>>>;

fn certificates(path: &Path) -> Result<PemCertificates, TlsError> {
    Ok(Box::new(CertificateDer::pem_reader_iter(opened(path)?)))
}

fn opened(path: &Path) -> Result<BufReader<Input>, TlsError> {
    Input::of(path).map(BufReader::new).map_err(|why| file_error(path, pem::Error::Io(why)))
}

fn file_error(path: &Path, why: pem::Error) -> TlsError {
    let path = path.to_path_buf();
    match why {
        pem::Error::Io(why) => TlsError::Read { path, why },
        why => TlsError::File { path, why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clones_judge_by_what_was_set_last_also_if_it_is_earlier() {
        let trusted = LastTrusted::new(Wall(5));
        let other = trusted.clone();
        for set in [Wall(9), Wall(2)] {
            trusted.set(set);
            assert_eq!(other.get(), set);
        }
    }

    #[test]
    fn a_refused_certificate_is_found_inside_other_errors() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let wrapped = |refused| Outer(io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(refused)));
        for (refused, wanted) in [
            (CertificateError::Expired, CertificateRefusal::Dates),
            (CertificateError::NotValidYet, CertificateRefusal::Dates),
            (CertificateError::UnknownIssuer, CertificateRefusal::Other),
            (CertificateError::NotValidForName, CertificateRefusal::Other),
        ] {
            assert_eq!(certificate_refusal(&wrapped(refused.clone())), Some(wanted), "{refused:?}");
        }
        assert_eq!(certificate_refusal(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
    }

    /// Seconds since 1970: of the certificate's end, and of our time.
    #[test]
    fn a_certificate_that_ended_before_the_release_is_not_the_clocks_fault() {
        let at = |secs: i64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs.unsigned_abs()));
        let released = RELEASED.0 / 1000;
        for (ended, wanted) in [
            (1_577_836_800, CertificateRefusal::Other),
            (released - 1, CertificateRefusal::Other),
            (released, CertificateRefusal::Dates),
            (released + 86_400, CertificateRefusal::Dates),
        ] {
            let refused = CertificateError::ExpiredContext { time: at(released + 90_000), not_after: at(ended) };
            let error = rustls::Error::InvalidCertificate(refused);
            assert_eq!(certificate_refusal(&error), Some(wanted), "{ended}");
            let told = refused_dates(&error).expect("its dates");
            assert_eq!(told, format!("its certificate ended at {}, and the time here is 2026-11-21T01:00:00Z", shown(at(ended))));
        }
        assert_eq!(refused_dates(&rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)), None);
    }

    #[test]
    fn a_missing_or_empty_bundle_is_named() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let missing = folder.path().join("none.pem");
        let refused = client_config(Some(&missing), None, &LastTrusted::default()).expect_err("there is no such file");
        assert!(refused.to_string().contains("none.pem"), "{refused}");
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "nothing\n").expect("the directory is writable");
        let refused = client_config(Some(&empty), None, &LastTrusted::default()).expect_err("there is no certificate in it");
        assert!(matches!(refused, TlsError::NoCertificate { .. }), "{refused}");
    }
}

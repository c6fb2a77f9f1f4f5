//! Judges a server's certificate, and keeps what it has shown.
//!
//! A chain that is refused for its dates alone, by a floor that is ahead of the clock, may be good by the clock. The handshake goes on
//! then until the server has proven that it has the key, and is refused there. Nothing was said to it. So it is known whose certificate
//! is good now, and nobody can show that of another.

use crate::clock;
use crate::trust::judge;
use qris_core::order::time::Wall;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So many different certificates of handshakes that are under way are kept.
const UNDER_WAY_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Server {
    verifier: Arc<WebPkiServerVerifier>,
    /// The last chain that it showed and had the key of. Its dates may be over.
    shown: Mutex<Option<Chain>>,
}

#[derive(Debug, Clone)]
struct Chain {
    end: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
}

impl Server {
    pub(super) fn new(verifier: Arc<WebPkiServerVerifier>) -> Self {
        Self { verifier, shown: Mutex::default() }
    }

    /// Whether what it showed last is good at this time.
    pub(super) fn is_good_at(&self, clock: Wall) -> bool {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.as_ref().is_some_and(|chain| self.check(&chain.end, &chain.others, &chain.name, &[], clock).is_ok())
    }

    fn check(
        &self,
        end: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        at: Wall,
    ) -> Result<(), Error> {
        let at = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at.0).unwrap_or(0)));
        self.verifier.verify_server_cert(end, others, name, ocsp, at).map(drop)
    }
}

/// The last time that was trusted and stored, and the servers whose certificates are judged by it. Clones share both: the owner sets the
/// time, and certificate checks read it. [`trust`](crate::trust) says when it becomes another one.
#[derive(Debug, Clone, Default)]
pub struct LastTrusted {
    floor: Arc<AtomicI64>,
    pub(super) servers: Arc<Mutex<Vec<Arc<Server>>>>,
}

impl LastTrusted {
    /// Starts from the time in the database; `Wall(0)` if there is none.
    #[must_use]
    pub fn new(stored: Wall) -> Self {
        Self { floor: Arc::new(AtomicI64::new(stored.0)), servers: Arc::default() }
    }

    #[must_use]
    pub fn get(&self) -> Wall {
        Wall(self.floor.load(Ordering::Relaxed))
    }

    /// Takes another time, which may be an earlier one. It was stored before.
    pub fn set(&self, trusted: Wall) {
        self.floor.store(trusted.0, Ordering::Relaxed);
    }

    /// Whether the certificate of each server is good by this clock, among those that a [`client_config`](super::client_config)
    /// was made for. A server that has not shown one, and that it has the key, is not good.
    #[must_use]
    pub fn all_are_good_at(&self, clock: Wall) -> bool {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).iter().all(|server| server.is_good_at(clock))
    }
}

#[derive(Debug)]
pub(super) enum By {
    /// The clock, or the last trusted time if that is later.
    Trusted(LastTrusted),
    Clock,
}

#[derive(Debug)]
pub(super) struct Judge {
    server: Arc<Server>,
    by: By,
    /// The chains of the last handshakes, and why they are refused if the server has the key. Several may be under way at a time, and
    /// one server may have several certificates.
    under_way: Mutex<VecDeque<(Chain, Option<Error>)>>,
}

impl Judge {
    pub(super) fn new(server: Arc<Server>, by: By) -> Self {
        Self { server, by, under_way: Mutex::default() }
    }

    /// The server has the key of the certificate.
    fn has_key(&self, end: &CertificateDer<'_>) -> Result<(), Error> {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        // Too many others came between. It is tried again.
        let found = under_way.iter().find(|(chain, _)| chain.end == *end);
        let (chain, refused) = found.ok_or(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))?;
        *self.server.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain.clone());
        refused.clone().map_or(Ok(()), Err)
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let floor = match &self.by {
            By::Trusted(trusted) => trusted.get(),
            By::Clock => Wall(0),
        };
        let refused = judge(clock::now().wall, floor, |at| self.server.check(end, others, name, ocsp, at))?;
        let others = others.iter().map(|other| other.clone().into_owned()).collect();
        let chain = Chain { end: end.clone().into_owned(), others, name: name.to_owned() };
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|(known, _)| known.end != chain.end);
        under_way.push_front((chain, refused));
        under_way.truncate(UNDER_WAY_MAX);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = self.server.verifier.verify_tls12_signature(message, end, signature)?;
        self.has_key(end).map(|()| valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = self.server.verifier.verify_tls13_signature(message, end, signature)?;
        self.has_key(end).map(|()| valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.server.verifier.supported_verify_schemes()
    }
}

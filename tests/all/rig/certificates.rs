//! A private CA, a certificate for the loopback server and one for a client, made by the openssl command; and another
//! CA, which nobody trusts, with a client's certificate of its own (`stranger`).

use super::{command, succeed, tool};
use qris::demo::shop::Tls;
use std::path::PathBuf;
use tempfile::TempDir;

/// The server's names. The last is an address of no computer (RFC 5737), which a test may give to its own.
const SERVER: &str = "subjectAltName=IP:127.0.0.1,IP:198.51.100.1,DNS:localhost\nextendedKeyUsage=serverAuth\n";

pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub fn make() -> Self {
        let made = Self { folder: tempfile::tempdir().expect("a temporary directory") };
        made.authority("ca");
        made.authority("other-ca");
        made.issue("ca", "server", 3650, SERVER);
        made.issue("ca", "client", 3650, "extendedKeyUsage=clientAuth\n");
        made.issue("other-ca", "stranger", 3650, "extendedKeyUsage=clientAuth\n");
        made
    }

    /// One more certificate for the server, good for so many days from now.
    pub fn short(&self, name: &str, days: u32) {
        self.issue("ca", name, days, SERVER);
    }

    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.crt"))
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.key"))
    }

    /// What mutual TLS needs, with the certificate of this name.
    pub fn of(&self, name: &str) -> Tls {
        Tls { ca: self.certificate("ca"), certificate: self.certificate(name), key: self.key(name) }
    }

    fn authority(&self, name: &str) {
        self.key_pair(name);
        let (key, certificate) = (self.key(name), self.certificate(name));
        openssl(&format!("req -x509 -days 3650 -subj /CN={name} -key {} -out {}", key.display(), certificate.display()));
    }

    fn issue(&self, authority: &str, name: &str, days: u32, extensions: &str) {
        self.key_pair(name);
        let file = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        let (request, extension_file) = (file("csr"), file("ext"));
        std::fs::write(&extension_file, extensions).expect("the directory is writable");
        openssl(&format!("req -new -subj /CN={name} -key {} -out {}", self.key(name).display(), request.display()));
        openssl(&format!(
            "x509 -req -days {days} -in {} -CA {} -CAkey {} -CAcreateserial -extfile {} -out {}",
            request.display(),
            self.certificate(authority).display(),
            self.key(authority).display(),
            extension_file.display(),
            self.certificate(name).display()
        ));
    }

    fn key_pair(&self, name: &str) {
        openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {}", self.key(name).display()));
    }
}

/// Runs it with these words, of which none has a blank.
fn openssl(words: &str) {
    succeed(command(tool("openssl")).args(words.split(' ')));
}

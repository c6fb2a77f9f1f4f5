//! A private CA, a certificate for the loopback server and one for a client, made by the openssl command; and another
//! CA, which nobody trusts, with a client's certificate of its own (`stranger`).

use super::{command, succeed, tool};
use std::path::PathBuf;
use tempfile::TempDir;

pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub fn make() -> Self {
        let made = Self { folder: tempfile::tempdir().expect("a temporary directory") };
        made.authority("ca");
        made.authority("other-ca");
        made.issue("ca", "server", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n");
        made.issue("ca", "client", "extendedKeyUsage=clientAuth\n");
        made.issue("other-ca", "stranger", "extendedKeyUsage=clientAuth\n");
        made
    }

    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.crt"))
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.key"))
    }

    fn authority(&self, name: &str) {
        self.key_pair(name);
        let (key, certificate) = (self.key(name), self.certificate(name));
        openssl(&format!("req -x509 -days 3650 -subj /CN={name} -key {} -out {}", key.display(), certificate.display()));
    }

    fn issue(&self, authority: &str, name: &str, extensions: &str) {
        self.key_pair(name);
        let file = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        let (request, extension_file) = (file("csr"), file("ext"));
        std::fs::write(&extension_file, extensions).expect("the directory is writable");
        openssl(&format!("req -new -subj /CN={name} -key {} -out {}", self.key(name).display(), request.display()));
        openssl(&format!(
            "x509 -req -days 3650 -in {} -CA {} -CAkey {} -CAcreateserial -extfile {} -out {}",
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

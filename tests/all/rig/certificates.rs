//! A private CA, a certificate for the loopback server and one for a client, made by the openssl command; and another
//! CA, which nobody trusts, with a client's certificate of its own (`stranger`).

use std::path::{Path, PathBuf};
use std::process::Command;
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
        let subject = format!("/CN={name}");
        let (key, certificate) = (self.key(name), self.certificate(name));
        openssl(&["req", "-x509", "-days", "3650", "-subj", &subject, "-key", text(&key), "-out", text(&certificate)]);
    }

    fn issue(&self, authority: &str, name: &str, extensions: &str) {
        self.key_pair(name);
        let file = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        let (request, extension_file) = (file("csr"), file("ext"));
        std::fs::write(&extension_file, extensions).expect("the directory is writable");
        let subject = format!("/CN={name}");
        openssl(&["req", "-new", "-subj", &subject, "-key", text(&self.key(name)), "-out", text(&request)]);
        openssl(&[
            "x509",
            "-req",
            "-days",
            "3650",
            "-in",
            text(&request),
            "-CA",
            text(&self.certificate(authority)),
            "-CAkey",
            text(&self.key(authority)),
            "-CAcreateserial",
            "-extfile",
            text(&extension_file),
            "-out",
            text(&self.certificate(name)),
        ]);
    }

    fn key_pair(&self, name: &str) {
        openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", text(&self.key(name))]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

fn openssl(arguments: &[&str]) {
    let done = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

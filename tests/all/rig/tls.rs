//! Certificates of a private CA, made by OpenSSL's command line.

use super::{command, succeed, tool};
use std::path::{Path, PathBuf};

/// A certificate and its key, PEM.
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A CA with a server's and a client's certificate, and another CA that nobody trusts.
pub struct Tls {
    pub ca: PathBuf,
    /// For 127.0.0.1 and localhost.
    pub server: Pair,
    pub client: Pair,
    /// A client's certificate of the other CA.
    pub stranger: Pair,
    /// The other CA.
    pub other_ca: PathBuf,
}

impl Tls {
    pub fn make(directory: &Path) -> Self {
        let directory = directory.join("tls");
        std::fs::create_dir(&directory).expect("a new directory");
        authority(&directory, "ca");
        authority(&directory, "other-ca");
        Self {
            server: issue(&directory, "ca", "server", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n"),
            client: issue(&directory, "ca", "client", "extendedKeyUsage=clientAuth\n"),
            stranger: issue(&directory, "other-ca", "stranger", "extendedKeyUsage=clientAuth\n"),
            ca: directory.join("ca.pem"),
            other_ca: directory.join("other-ca.pem"),
        }
    }
}

const NEW_KEY: [&str; 6] = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

fn authority(directory: &Path, name: &str) {
    succeed(
        command(tool("openssl"))
            .args(NEW_KEY)
            .args(["-x509", "-days", "3650", "-subj", &format!("/CN=qrisd test {name}")])
            .arg("-keyout")
            .arg(directory.join(format!("{name}.key")))
            .arg("-out")
            .arg(directory.join(format!("{name}.pem"))),
    );
}

fn issue(directory: &Path, authority: &str, name: &str, extensions: &str) -> Pair {
    let file = |ending: &str| directory.join(format!("{name}.{ending}"));
    std::fs::write(file("ext"), extensions).expect("written");
    succeed(
        command(tool("openssl"))
            .args(NEW_KEY)
            .args(["-subj", &format!("/CN={name}")])
            .arg("-keyout")
            .arg(file("key"))
            .arg("-out")
            .arg(file("csr")),
    );
    succeed(
        command(tool("openssl"))
            .args(["x509", "-req", "-days", "3650", "-CAcreateserial", "-in"])
            .arg(file("csr"))
            .arg("-CA")
            .arg(directory.join(format!("{authority}.pem")))
            .arg("-CAkey")
            .arg(directory.join(format!("{authority}.key")))
            .arg("-extfile")
            .arg(file("ext"))
            .arg("-out")
            .arg(file("pem")),
    );
    Pair { certificate: file("pem"), key: file("key") }
}

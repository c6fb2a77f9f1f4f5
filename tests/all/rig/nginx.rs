//! nginx, as a merchant's server has it, in front of the desk.

use super::certificates::Certificates;
use super::process::Process;
use super::{command, free_port, tool, wait_for};
use std::path::Path;

/// The web server; it ends with the test.
pub struct Nginx {
    pub url: String,
    _certificates: Certificates,
    _process: Process,
}

impl Nginx {
    /// TLS in front of what listens at `port`.
    pub fn before(port: u16, directory: &Path) -> Self {
        let (certificates, front) = (Certificates::make(), free_port());
        let place = directory.join("nginx");
        std::fs::create_dir(&place).expect("a directory");
        let folder = place.display();
        let (certificate, key) = (certificates.certificate("server"), certificates.key("server"));
        let text = format!(
            "daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{ worker_connections 64; }}\nhttp {{\naccess_log off;\n\
             client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/a;\nuwsgi_temp_path {folder}/b;\n\
             scgi_temp_path {folder}/c;\nserver {{\nlisten 127.0.0.1:{front} ssl;\nssl_certificate {};\nssl_certificate_key {};\n\
             client_max_body_size 16k;\nproxy_set_header Host $http_host;\nproxy_set_header X-Forwarded-For $remote_addr;\n\
             proxy_http_version 1.1;\nlocation / {{ proxy_pass http://127.0.0.1:{port}; }}\n}}\n}}\n",
            certificate.display(),
            key.display()
        );
        let file = place.join("nginx.conf");
        std::fs::write(&file, text).expect("written");
        let process = Process::start("nginx", command(tool("nginx")).arg("-e").arg("stderr").arg("-c").arg(&file));
        wait_for("nginx to listen", || std::net::TcpStream::connect(("127.0.0.1", front)).ok());
        Self { url: format!("https://127.0.0.1:{front}"), _certificates: certificates, _process: process }
    }
}

//! Web servers, as ordinary guides write them, in front of the desk.

use super::process::Process;
use super::{command, free_port, tool, wait_for};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

#[derive(Debug, Clone, Copy)]
pub enum Server {
    Nginx,
    Caddy,
    Apache,
}

/// One that runs; it ends with the test. It speaks plain HTTP: TLS changes no header.
pub struct Front {
    pub url: String,
    pub process: Process,
}

impl Front {
    /// A port for one that is started later: `desk.url` names it.
    pub fn address() -> (u16, String) {
        let port = free_port();
        (port, format!("http://127.0.0.1:{port}"))
    }

    /// In front of what listens at `behind`, with these lines for the place of the desk.
    pub fn start(server: Server, port: u16, behind: u16, lines: &str, directory: &Path) -> Self {
        let place = directory.join(format!("front-{port}"));
        std::fs::create_dir_all(&place).expect("a directory");
        let folder = place.display();
        let (text, start): (String, Command) = match server {
            Server::Nginx => {
                let mut start = command(tool("nginx"));
                start.arg("-e").arg("stderr").arg("-c").arg(place.join("conf"));
                let text = format!(
                    "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\nevents {{ worker_connections 64; }}\nhttp {{\naccess_log off;\n\
                     client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/a;\n\
                     uwsgi_temp_path {folder}/b;\nscgi_temp_path {folder}/c;\nserver {{\nlisten 127.0.0.1:{port};\n\
                     location / {{\nproxy_pass http://127.0.0.1:{behind};\n{lines}\n}}\n}}\n}}\n"
                );
                (text, start)
            }
            Server::Caddy => {
                let proxy = if lines.contains("reverse_proxy") { String::new() } else { format!("reverse_proxy 127.0.0.1:{behind}\n") };
                let lines = lines.replace("BEHIND", &behind.to_string());
                return Self::caddy(port, &format!("{{\nadmin off\n}}\nhttp://127.0.0.1:{port} {{\n{proxy}{lines}\n}}\n"), directory);
            }
            Server::Apache => {
                let mut start = command(tool("apache2"));
                start.arg("-X").arg("-f").arg(place.join("conf"));
                let modules = ["mpm_event", "authz_core", "proxy", "proxy_http", "headers"]
                    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
                    .concat();
                let text = format!(
                    "ServerRoot {folder}\nPidFile {folder}/pid\nDefaultRuntimeDir {folder}\nServerName 127.0.0.1\nListen 127.0.0.1:{port}\n\
                     ErrorLog /dev/stderr\nUser www-data\nGroup www-data\n{modules}ProxyPass / http://127.0.0.1:{behind}/\n{lines}\n"
                );
                (text, start)
            }
        };
        std::fs::write(place.join("conf"), text).expect("written");
        Self::listening(port, &format!("{server:?}"), start)
    }

    /// Caddy, by a whole file of its own.
    pub fn caddy(port: u16, text: &str, directory: &Path) -> Self {
        let file = directory.join("Caddyfile");
        std::fs::write(&file, text).expect("written");
        let mut start = command(tool("caddy"));
        start.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
        start.env("XDG_DATA_HOME", directory).env("XDG_CONFIG_HOME", directory).env("HOME", directory);
        Self::listening(port, "caddy", start)
    }

    fn listening(port: u16, name: &str, mut start: Command) -> Self {
        let process = Process::start(name, &mut start);
        wait_for("the web server to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { url: format!("http://127.0.0.1:{port}"), process }
    }
}

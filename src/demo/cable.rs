//! A network that can be cut: a TCP relay between two programs, with a switch. A cut closes the present connections and
//! refuses new ones, like a router that has lost its line.

use super::tap::{Direction, Tap, TappedMessage};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections through one cable at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// Bytes that are carried at once.
const BUFFER: usize = 16 * 1024;
/// A listener that the system refuses is tried again after this time.
const RETRY: Duration = Duration::from_millis(200);

/// One end of a cable: the port that programs are told. It is held as long as this lives, also while the cable is cut.
#[derive(Debug)]
pub struct Socket {
    /// It never listens. It keeps the port from others, and a connection to it is refused.
    _held: TcpSocket,
    address: SocketAddr,
}

impl Socket {
    /// A free loopback port.
    pub fn hold() -> io::Result<Self> {
        let held = shared_socket()?;
        held.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { address: held.local_addr()?, _held: held })
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Carries connections to `far`, for ever. `plugged` is the switch. `heard` is told the messages that pass, if they
    /// are HTTP. `count` is told how many connections there are.
    pub async fn carry(
        self,
        far: SocketAddr,
        mut plugged: watch::Receiver<bool>,
        heard: impl Fn(TappedMessage) + Clone + Send + Sync + 'static,
        count: impl Fn(usize),
    ) {
        // An error says that the switch is gone, and so is the demo.
        while plugged.wait_for(|on| *on).await.is_ok() {
            let mut switch = plugged.clone();
            tokio::select! {
                () = self.work(far, heard.clone(), &count) => {}
                _ = switch.wait_for(|on| !*on) => {}
            }
            count(0);
        }
    }

    /// Listens until it is dropped. Then every connection ends with it.
    async fn work(&self, far: SocketAddr, heard: impl Fn(TappedMessage) + Clone + Send + Sync + 'static, count: impl Fn(usize)) {
        let listener = loop {
            let listener =
                shared_socket().and_then(|socket| socket.bind(self.address).and_then(|()| socket.listen(CONNECTIONS_MAX as u32)));
            match listener {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((near, _)) => {
                        connections.spawn(pass(near, far, heard.clone()));
                    }
                    Err(_) => tokio::time::sleep(RETRY).await,
                },
                Some(_) = connections.join_next() => {}
            }
            count(connections.len());
        }
    }
}

/// The socket that holds the port and the one that listens at it share the port.
fn shared_socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    Ok(socket)
}

async fn pass(near: TcpStream, far: SocketAddr, heard: impl Fn(TappedMessage)) {
    let Ok(far) = TcpStream::connect(far).await else { return };
    // The failure only costs a delay.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let tap = Arc::new(Mutex::new(Tap::new()));
    let listen = |direction: Direction, bytes: &[u8]| {
        let news = tap.lock().unwrap_or_else(PoisonError::into_inner).hear(direction, bytes);
        news.into_iter().for_each(&heard);
    };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    // Either end may break off. Then the other is closed too.
    let _ = tokio::join!(
        one_way(near_read, far_write, |bytes| listen(Direction::There, bytes)),
        one_way(far_read, near_write, |bytes| listen(Direction::Back, bytes)),
    );
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, listen: impl Fn(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        listen(&buffer[..length]);
        to.write_all(&buffer[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_cut_cable_closes_and_refuses_and_a_healed_one_carries_again() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback");
        let far = server.local_addr().expect("it is bound");
        let socket = Socket::hold().expect("a port");
        let address = socket.address;
        let switch = watch::Sender::new(true);
        tokio::spawn(socket.carry(far, switch.subscribe(), |_| {}, |_| {}));

        for _ in 0..2 {
            let mut here = reach(address, true).await.expect("it is plugged");
            let (mut there, _) = server.accept().await.expect("it was carried");
            here.write_all(b"ping").await.expect("sent");
            let mut word = [0; 4];
            there.read_exact(&mut word).await.expect("carried");
            there.write_all(b"pong").await.expect("answered");
            here.read_exact(&mut word).await.expect("carried back");
            assert_eq!(&word, b"pong");

            switch.send_replace(false);
            assert_eq!(here.read(&mut word).await.unwrap_or(0), 0, "closed here");
            assert_eq!(there.read(&mut word).await.unwrap_or(0), 0, "closed there");
            assert!(reach(address, false).await.is_none(), "refused");
            switch.send_replace(true);
        }
    }

    /// A connection, as soon as it is as `wanted`.
    async fn reach(address: SocketAddr, wanted: bool) -> Option<TcpStream> {
        for _ in 0..500 {
            let stream = TcpStream::connect(address).await.ok();
            if stream.is_some() == wanted {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("wanted a connection: {wanted}");
    }
}

//! The floor beside each figure: what disk, database, broker, bus and HTTP alone take on this machine at this moment.

use crate::figures::Times;
use crate::shop::Shop;
use qris::wire::dbus::{RELAY_NAME, RELAY_PATH};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

/// 4 KiB appended to a file, and `fdatasync`.
pub fn sync(directory: &Path, count: usize) -> Times {
    let path = directory.join("floor");
    let mut file = File::create(&path).expect("a new file");
    let times = Times::of(count, || {
        file.write_all(&[7; 4096]).expect("written");
        file.sync_data().expect("synced");
    });
    drop(std::fs::remove_file(path));
    times
}

/// A row of 500 bytes into SQLite, with the settings of the programs' databases.
pub fn commit(directory: &Path, count: usize) -> Times {
    let schema = qris::host::sqlite::Schema { application_id: 1, steps: &["CREATE TABLE t (a TEXT) STRICT;"], adding: &[] };
    let path = directory.join("floor.db");
    let database = qris::host::sqlite::open(&path, &schema).expect("a new database").connection;
    let row = "x".repeat(500);
    let times = Times::of(count, || {
        database.prepare_cached("INSERT INTO t VALUES (?1)").and_then(|mut insert| insert.execute([&row])).expect("committed");
    });
    drop(database);
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(directory.join(format!("floor.db{suffix}"))));
    }
    times
}

/// A publish at QoS 1 and its acknowledgement, 300 bytes, to nobody.
pub fn mqtt(shop: &mut Shop, count: usize) -> Times {
    Times::of(count, || {
        shop.controller.publish("qrisctl/marker", &[b'x'; 300]);
    })
}

/// A call to the relay service that does nothing, over the bus.
pub fn dbus(shop: &Shop, count: usize) -> Times {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let bus = zbus::connection::Builder::address(shop.bus.address.as_str()).build().await.expect("the bus");
        let mut times = Times::default();
        for _ in 0..count {
            let start = std::time::Instant::now();
            let ping = bus.call_method(Some(RELAY_NAME), RELAY_PATH, Some("org.freedesktop.DBus.Peer"), "Ping", &());
            ping.await.expect("the relay service is there");
            times.push(start.elapsed());
        }
        times
    })
}

/// A request to the backend that answers at once, on a connection that stays.
pub fn http(shop: &Shop, count: usize) -> Times {
    let stream = TcpStream::connect(("127.0.0.1", shop.backend.port)).expect("it listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut reader = BufReader::new(stream);
    Times::of(count, || {
        reader.get_mut().write_all(b"GET /v1/orders/none HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("an answer");
            match line.trim_end().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().expect("a number"),
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        reader.read_exact(&mut vec![0; length]).expect("a body");
    })
}

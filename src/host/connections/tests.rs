use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;

const HOUR: Duration = Duration::from_secs(3600);

fn limits(connections: usize) -> Limits {
    Limits {
        connections,
        per_address: 64,
        proxies: [Ipv4Addr::LOCALHOST.into()].into(),
        head_bytes: 8 << 10,
        slow: HOUR,
        take: HOUR,
        answer: HOUR,
        idle: HOUR,
        stay: Duration::ZERO,
        age: Duration::MAX,
    }
}

/// The numbers of the strangers, and of the machines' connections.
fn all(list: &List) -> (Vec<u64>, Vec<u64>) {
    let (known, strangers): (Vec<_>, Vec<_>) = list.all.iter().partition(|(_, place)| place.machine.is_some());
    [strangers, known].map(|part| part.into_iter().map(|(number, _)| *number).collect()).into()
}

#[test]
fn a_web_server_in_front_says_whom_it_speaks_for_and_nobody_else_does() {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let proxies = [address("127.0.0.1"), address("172.30.84.2")];
    let told = |from: &str, lists: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(FORWARDED, hyper::header::HeaderValue::from_static(list));
        }
        spoken_for(address(from), &proxies, &headers).map_or_else(|()| "?".into(), |address| address.to_string())
    };
    assert_eq!(told("127.0.0.1", &["10.9.9.9, 192.0.2.7"]), "192.0.2.7", "what it was told itself stands before it");
    assert_eq!(told("172.30.84.2", &["10.9.9.9", "2001:db8::1"]), "2001:db8::1");
    assert_eq!((told("127.0.0.1", &[]), told("127.0.0.1", &["10.9.9.9, unknown"])), ("127.0.0.1".into(), "?".into()));
    for (list, wanted) in [
        ("192.0.2.7:51000", "192.0.2.7"),
        ("10.9.9.9:1, 192.0.2.7:2", "192.0.2.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("192.0.2.7:", "?"),
        ("", "?"),
    ] {
        assert_eq!(told("127.0.0.1", &[list]), wanted, "{list}");
    }
    assert_eq!(told("192.0.2.7", &["10.9.9.9"]), "192.0.2.7");
}

#[test]
fn the_oldest_stranger_makes_room_and_no_machine() {
    let machine = |n: u8| DeviceId::new(&format!("vm-{n}")).expect("an id");
    let mut list = List::default();
    (1..=6).for_each(|_| drop(list.add(None, &limits(4))));
    list.know(1, &machine(1), &limits(4));
    list.know(2, &machine(2), &limits(4));
    list.close_oldest(0, |place| place.machine.is_none());
    assert_eq!(all(&list), (vec![4, 5, 6], vec![1, 2]));
    // A closed connection belongs to nobody any more.
    list.know(3, &machine(3), &limits(4));
    assert_eq!(all(&list), (vec![4, 5, 6], vec![1, 2]));
    // When machines have all the connections that they may have, the oldest becomes a stranger's, and is the first to go.
    list.know(5, &machine(3), &limits(2));
    assert_eq!(all(&list), (vec![1, 4, 6], vec![2, 5]));
    list.close_oldest(0, |place| place.machine.is_none());
    assert_eq!(all(&list), (vec![4, 6], vec![2, 5]));
    (1..=3).for_each(|_| list.close_oldest(0, |place| place.machine.is_none()));
    assert_eq!(all(&list), (vec![], vec![2, 5]));
}

#[test]
fn a_machine_and_an_address_have_a_part_of_all() {
    let (machine, limits) = (DeviceId::new("vm-001").expect("an id"), limits(1000));
    let address = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
    let mut list = List::default();
    (0..KNOWN_PER_MACHINE + 2).for_each(|_| drop(list.add(address(1), &limits)));
    (1..=10).for_each(|number| list.know(number, &machine, &limits));
    assert_eq!(all(&list), (vec![1, 2], (3..=10).collect()));
    // The connections of machines do not count, and neither do other addresses.
    (0..limits.per_address).for_each(|_| drop(list.add(address(1), &limits)));
    drop(list.add(address(2), &limits));
    let (strangers, known) = all(&list);
    assert_eq!((strangers.len(), strangers[0], known.len()), (limits.per_address + 1, 11, KNOWN_PER_MACHINE));
}

#[test]
fn an_address_of_ipv6_is_its_network() {
    let same = |a: &str, b: &str| network(a.parse().expect("an address")) == network(b.parse().expect("an address"));
    assert!(same("2001:db8::1", "2001:db8::ffff:1:2:3") && !same("2001:db8::1", "2001:db8:0:1::1"));
    assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
}

struct Visitors(tokio::sync::Mutex<mpsc::UnboundedReceiver<DuplexStream>>);

impl Door for Visitors {
    type Stream = DuplexStream;
    async fn next(&self) -> io::Result<(Self::Stream, IpAddr)> {
        match self.0.lock().await.recv().await {
            Some(stream) => Ok((stream, Ipv4Addr::LOCALHOST.into())),
            None => pending().await,
        }
    }
}

/// A server that answers each request with nothing.
struct Served {
    door: mpsc::UnboundedSender<DuplexStream>,
    stop: watch::Sender<bool>,
}

impl Served {
    fn new(limits: Limits) -> Self {
        let ((door, visitors), (stop, stopped)) = (mpsc::unbounded_channel(), watch::channel(false));
        let nothing = service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
        tokio::spawn(serve(Visitors(tokio::sync::Mutex::new(visitors)), nothing, limits, || {}, stopped));
        Self { door, stop }
    }

    fn visit(&self) -> DuplexStream {
        let (here, there) = duplex(4096);
        self.door.send(there).expect("it serves");
        here
    }
}

/// Asks, and tells how the answer begins; nothing if the connection is closed.
async fn ask(stream: &mut DuplexStream) -> String {
    let (mut answer, _) = ([0; 1024], stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await);
    let length = stream.read(&mut answer).await.unwrap_or(0);
    String::from_utf8_lossy(&answer[..length.min(12)]).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_visitor_stays_for_its_time_and_then_makes_room() {
    for (stay, most) in [(Duration::ZERO, 0), (Duration::from_secs(5), 5), (Duration::MAX, 3600)] {
        let served = Served::new(Limits { stay, ..limits(1) });
        let (mut first, mut second) = (served.visit(), served.visit());
        let begun = Instant::now();
        assert_eq!(ask(&mut second).await, "HTTP/1.1 200", "{stay:?}");
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_secs(most) && waited < Duration::from_secs(most + 1), "{stay:?}: {waited:?}");
        assert_eq!(ask(&mut first).await, "", "{stay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_part_of_the_work_has_its_time() {
    let served = Served::new(Limits {
        slow: Duration::from_secs(10),
        take: Duration::from_secs(10),
        idle: Duration::from_secs(20),
        age: Duration::from_secs(60),
        ..limits(9)
    });
    let (begun, mut silent) = (Instant::now(), served.visit());
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0);
    assert_eq!(begun.elapsed().as_secs(), 10, "nothing was said");
    let mut polite = served.visit();
    for _ in 0..3 {
        assert_eq!(ask(&mut polite).await, "HTTP/1.1 200");
        sleep(Duration::from_secs(19)).await;
    }
    // It is old when this is answered.
    assert_eq!(ask(&mut polite).await, "HTTP/1.1 200");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(ask(&mut polite).await, "");
    let mut idle = served.visit();
    assert_eq!(ask(&mut idle).await, "HTTP/1.1 200");
    let begun = Instant::now();
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
    assert_eq!(begun.elapsed().as_secs(), 20, "nothing was asked");
    let mut dripping = served.visit();
    assert_eq!(ask(&mut dripping).await, "HTTP/1.1 200");
    let begun = Instant::now();
    while dripping.write_all(b"G").await.is_ok() {
        sleep(Duration::from_secs(1)).await;
    }
    assert!((10..=11).contains(&begun.elapsed().as_secs()), "a head that never ends: {:?}", begun.elapsed());
    let mut open = served.visit();
    assert_eq!(ask(&mut open).await, "HTTP/1.1 200");
    let begun = Instant::now();
    served.stop.send_replace(true);
    assert_eq!((open.read(&mut [0]).await.unwrap_or(0), begun.elapsed()), (0, Duration::ZERO), "it ends with the program");
}

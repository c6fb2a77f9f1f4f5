//! The socket at which the desk asks: its addresses, and who is let in.

use super::answer::{No, body, from, secret};
use super::guesses::For;
use super::log::{By, What};
use super::people::{Name, Person};
use super::{Desk, log, passwords, people, sessions};
use crate::http::network;
use crate::sale::books::BooksError;
use crate::store::Tx;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use qris_core::order::time::{Span, Wall};
use qris_core::wire::desk::{EndSession, Invited, Join, Knock, LogLine, Login, Opened, Session, Told};
use qris_host::clock;
use qris_host::events::Event as Journal;
use serde::Deserialize;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// The most connections at once. The desk is one program, and each of its connections waits for one answer.
const CONNECTIONS_MAX: usize = 64;
/// The most bytes of a head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// A head comes within this time, or the connection ends; also one without questions.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// An answer is there within this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that open questions have when the program ends.
const STOP_WAIT: Duration = Duration::from_millis(1200);
/// The pause after an error that says that too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Who asks for a password while too many are computed waits so long.
const BUSY: Span = Span::secs(3);

/// Makes the socket. Its directory says who reaches it, and the group of it is the desk's.
///
/// # Errors
/// The system's reason; another process answers there.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match UnixStream::connect(path) {
        Ok(_) => return Err(io::Error::new(ErrorKind::AddrInUse, "another process answers there")),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // Nobody answers at a socket that an earlier process left.
        Err(_) => fs::remove_file(path)?,
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Answers the desk until `stop` says so.
pub async fn serve(desk: Desk, listener: UnixListener, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router(desk));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (service, mut stop) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
            let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = timeout(STOP_WAIT, connection).await;
                }
            }
            drop(place);
        });
    }
    let _ = timeout(STOP_WAIT, room.acquire_many(CONNECTIONS_MAX as u32)).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that nobody is left who could say stop. This means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn router(desk: Desk) -> Router {
    Router::new()
        .route("/v1/invitation", post(knock))
        .route("/v1/join", post(join))
        .route("/v1/login", post(login))
        .route("/v1/logout", post(logout))
        .route("/v1/sessions", get(all_sessions))
        .route("/v1/sessions/end", post(end_session))
        .route("/v1/log", get(log_page))
        .fallback(|| async { No::Unknown })
        .with_state(Arc::new(desk))
        .layer(from_fn(in_time))
}

async fn in_time(request: Request, next: Next) -> Result<Response, No> {
    timeout(ANSWER_TIMEOUT, next.run(request)).await.map_err(|_| No::Away)
}

/// The state of each handler.
type Of = State<Arc<Desk>>;

/// What stands behind the address of a question.
type Asked<T> = Result<Query<T>, QueryRejection>;

fn asked<T>(query: Asked<T>) -> Result<T, No> {
    query.map(|Query(asked)| asked).map_err(|_| No::Malformed("what stands behind the address is not understood"))
}

async fn knock(State(desk): Of, request: Request) -> Result<Json<Invited>, No> {
    let Knock { code } = body(request).await?;
    let now = desk.books.now();
    let person = desk.books.read(move |tx| people::invited(tx, &code, now)).await?.ok_or(No::LinkOver)?;
    Ok(Json(Invited { name: person.name, role: person.role }))
}

async fn join(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<Opened>, No> {
    let from = from(&headers)?;
    let Join { code, password, browser } = body(request).await?;
    let (wanted, now) = (code.clone(), desk.books.now());
    // Without a good link nothing is computed.
    desk.books.read(move |tx| people::invited(tx, &wanted, now)).await?.ok_or(No::LinkOver)?;
    if !passwords::fits(&password) {
        return Err(No::Password);
    }
    let hash = desk.passwords.hash(&password).await.map_err(|_| No::Wait(BUSY))?;
    let [session, device] = [desk.draw(), desk.draw()];
    let opened = opened(&session, &device);
    let write = move |tx: &mut dyn Tx, now: Wall| {
        let Some(person) = people::join(tx, &code, &hash, now)? else { return Ok(None) };
        let_in(tx, &person, &session, &device, from, &browser, now)?;
        log::write(tx, By::Person(&person, &from.to_string()), What::Join, None, now)?;
        Ok(Some(person))
    };
    let person = desk.books.write(move |tx, _, now| write(tx, now)).await?.ok_or(No::LinkOver)?;
    desk.around.emit(&Journal::DeskJoined { person: String::from(person.name).into(), from: from.to_string().into() });
    Ok(Json(opened))
}

async fn login(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<Opened>, No> {
    let from = from(&headers)?;
    let Login { name, password, device, browser } = body(request).await?;
    let name: Option<Name> = name.parse().ok();
    let (wanted, shown) = (name.clone(), device.clone());
    let find = move |tx: &mut dyn Tx| {
        let Some(person) = wanted.map(|name| people::find(tx, &name)).transpose()?.flatten() else { return Ok(None) };
        let Some(hash) = people::password(tx, person.number)? else { return Ok(None) };
        let is_known = shown.map(|device| sessions::is_known(tx, person.number, &device)).transpose()?.unwrap_or(false);
        Ok(Some((person, hash, is_known)))
    };
    let found = desk.books.read(find).await?;
    let typed = name.map(|name| name.known_as()).unwrap_or_default();
    let known_device = device.filter(|_| found.as_ref().is_some_and(|(_, _, is_known)| *is_known));
    let whom = match (&found, &known_device) {
        (Some((person, ..)), Some(device)) => For::Known(person.number, device),
        (Some((person, ..)), None) => For::Person(person.number),
        (None, _) => For::Nobody(&typed),
    };
    let (network, now) = (network(from), clock::now().boot);
    // What was typed may be a password by mistake.
    let who = || found.as_ref().map_or("somebody without a name".into(), |(person, ..)| String::from(&*person.name));
    let refused = |why: &str| {
        desk.around.emit(&Journal::DeskRefused { person: who().into(), from: from.to_string().into(), why: String::from(why).into() });
    };
    desk.guesses.begin(whom, network, now).map_err(|wait| {
        refused("too many guesses");
        No::Wait(wait)
    })?;
    let hash = found.as_ref().map(|(_, hash, _)| &**hash);
    if !desk.passwords.is_right(&password, hash).await.map_err(|_| No::Wait(BUSY))? {
        refused("wrong");
        return Err(No::WrongPassword);
    }
    desk.guesses.right(whom, network, now);
    let Some((person, hash, _)) = found else { return Err(No::WrongPassword) };
    let session = desk.draw();
    let device = known_device.unwrap_or_else(|| desk.draw());
    let opened = opened(&session, &device);
    let write = move |tx: &mut dyn Tx, now: Wall| {
        // Meanwhile the person may have been removed, or may have chosen another password.
        if people::password(tx, person.number)?.as_ref() != Some(&hash) {
            return Ok(None);
        }
        let_in(tx, &person, &session, &device, from, &browser, now)?;
        log::write(tx, By::Person(&person, &from.to_string()), What::Login, None, now)?;
        Ok(Some(person))
    };
    let person = desk.books.write(move |tx, _, now| write(tx, now)).await?.ok_or(No::WrongPassword)?;
    desk.around.emit(&Journal::DeskEntered { person: String::from(person.name).into(), from: from.to_string().into() });
    Ok(Json(opened))
}

fn opened(session: &str, device: &str) -> Opened {
    Opened { session: session.into(), device: device.into(), seconds: sessions::LASTS.as_secs_up().unsigned_abs() }
}

/// A session and a device of a person who was let in.
fn let_in(tx: &mut dyn Tx, person: &Person, session: &str, device: &str, from: IpAddr, browser: &str, now: Wall) -> Result<(), BooksError> {
    sessions::begin(tx, person.number, session, &from.to_string(), browser, now)?;
    sessions::know(tx, person.number, device, now)
}

/// Ends this session. Whoever has none is out already.
async fn logout(State(desk): Of, headers: HeaderMap) -> Result<(), No> {
    let secret = secret(&headers)?;
    let end = move |tx: &mut dyn Tx, now: Wall| {
        let Some(asker) = sessions::asker(tx, &secret, now)? else { return Ok(()) };
        sessions::end(tx, asker.person.number, Some(asker.session)).map(drop)
    };
    Ok(desk.books.write(move |tx, _, now| end(tx, now)).await?)
}

async fn all_sessions(State(desk): Of, headers: HeaderMap) -> Result<Json<Told<Vec<Session>>>, No> {
    let zone = desk.usual.zone;
    let told = desk.tell(&headers, move |tx, asker, now| {
        let list = sessions::list(tx, asker.person.number, now)?;
        let line = |session: sessions::Session| Session {
            number: session.number.unsigned_abs(),
            began_at: session.began_at.to_rfc3339_in(zone).into(),
            used_at: session.used_at.to_rfc3339_in(zone).into(),
            from: session.from,
            browser: session.browser,
            is_this: session.number == asker.session,
        };
        Ok(list.into_iter().map(line).collect())
    });
    Ok(Json(told.await?))
}

async fn end_session(State(desk): Of, headers: HeaderMap, request: Request) -> Result<(), No> {
    let (secret, from) = (secret(&headers)?, from(&headers)?);
    let EndSession { number } = body(request).await?;
    let number = number.map(i64::try_from).transpose().map_err(|_| No::Unknown)?;
    let end = move |tx: &mut dyn Tx, now: Wall| {
        let Some(asker) = sessions::asker(tx, &secret, now)? else { return Ok(Err(No::NotIn)) };
        if !sessions::end(tx, asker.person.number, number)? {
            return Ok(Err(No::Unknown));
        }
        let which = number.map_or_else(|| "all".into(), |number| number.to_string());
        log::write(tx, By::Person(&asker.person, &from.to_string()), What::EndSessions, Some(&which), now)?;
        Ok(Ok(()))
    };
    desk.books.write(move |tx, _, now| end(tx, now)).await?
}

#[derive(Deserialize)]
struct Behind {
    behind: Option<i64>,
}

async fn log_page(State(desk): Of, headers: HeaderMap, query: Asked<Behind>) -> Result<Json<Told<Vec<LogLine>>>, No> {
    let (Behind { behind }, zone) = (asked(query)?, desk.usual.zone);
    let told = desk.tell(&headers, move |tx, asker, _| match super::judge::role(&asker.person) {
        Ok(()) => Ok(Ok(log::page(tx, behind, zone)?)),
        Err(why) => Ok(Err(why)),
    });
    let Told { me, told } = told.await?;
    Ok(Json(Told { me, told: told.map_err(No::Denied)? }))
}

impl Desk {
    /// 256 random bits.
    fn draw(&self) -> Box<str> {
        let mut bits = [0; 32];
        self.around.random(&mut bits);
        BASE64URL.encode(bits).into()
    }
}

//! How people come in, and go: links, passwords, sessions.

use super::answer::{No, Of, body, door, from, shown};
use super::guesses::For;
use super::log::{self, By, What};
use super::passwords::Asks;
use super::people::{self, Name, Person};
use super::sessions::{self as store, Shown};
use super::{Desk, judge, passwords};
use crate::sale::books::BooksError;
use crate::store::Tx;
use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use qris_core::order::time::{Span, Told};
use qris_core::wire::desk::{Door, EndSession, Entry, Envelope, Invited, Join, Knock, Login, Opened, Problem, Prove, Session, Whereabouts};
use qris_host::clock;
use qris_host::connections::network;
use qris_host::events::Event as Journal;
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks for a password while too many are computed waits so long.
const BUSY: Span = Span::secs(3);

fn wait(time: Span) -> Problem {
    Problem::Wait { wait_s: time.as_secs_up().unsigned_abs() }
}

pub fn addresses() -> Router<Arc<Desk>> {
    Router::new()
        .route("/v1/desk", get(whereabouts))
        .route("/v1/invitation", post(knock))
        .route("/v1/join", post(join))
        .route("/v1/login", post(login))
        .route("/v1/prove", post(prove))
        .route("/v1/logout", post(logout))
        .route("/v1/sessions", get(sessions))
        .route("/v1/sessions/end", post(end))
}

/// `GET /v1/desk`
pub async fn whereabouts(State(desk): Of) -> Json<Whereabouts> {
    let (url, merchant) = (desk.place.desk_url.as_deref().map(Into::into), desk.place.merchant.as_deref().map(Into::into));
    // Two shops have no key in common.
    let shop = desk.books.policy().rules.keys.last().map(|key| key.kid().to_string().into()).unwrap_or_default();
    Json(Whereabouts { url, home: desk.home.map(|listen| listen.to_string().into()), shop, merchant })
}

/// `POST /v1/invitation`
pub async fn knock(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<Invited>, No> {
    let door = door(&headers)?;
    let Knock { code } = body(request).await?;
    let now = desk.books.latest();
    let person = desk.books.read(move |tx| people::invited(tx, door, &code, now)).await?.ok_or(Problem::LinkOver)?;
    Ok(Json(Invited { name: person.name, role: person.role }))
}

/// `POST /v1/join`
pub async fn join(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<Opened>, No> {
    let from = from(&headers)?;
    judge::door(door(&headers)?)?;
    let Join { code, password, browser } = body(request).await?;
    let (wanted, now) = (code.clone(), desk.books.latest());
    // Without a good link nothing is computed.
    let invited = desk.books.read(move |tx| people::invited(tx, Door::Public, &wanted, now)).await?.ok_or(Problem::LinkOver)?;
    passwords::fits(&password, &invited.name)?;
    let hash = desk.place(Asks::Known)?.hash(&password).await.map_err(|_| wait(BUSY))?;
    let [session, device] = [desk.draw(), desk.draw()];
    let opened = opened(&session, &device);
    let (boot, latest) = (desk.boot(), desk.books.latest());
    let write = move |tx: &mut dyn Tx, now: Told| {
        let Some(person) = people::join(tx, &code, &hash, latest)? else { return Ok(None) };
        let_in(tx, &person, &session, &device, (from, &browser), boot.as_deref(), now)?;
        log::write(tx, By::Person(&person, &from.to_string()), What::Entry(Entry::Join), None, now.wall)?;
        Ok(Some(person))
    };
    let person = desk.books.write(move |tx, _, now| write(tx, now)).await?.ok_or(Problem::LinkOver)?;
    desk.around.emit(&Journal::DeskJoined { person: String::from(person.name).into(), from: from.to_string().into() });
    Ok(Json(opened))
}

/// `POST /v1/login`
pub async fn login(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<Opened>, No> {
    let from = from(&headers)?;
    // Nobody types a password where everybody can read it.
    judge::door(door(&headers)?)?;
    let Login { name, password, device, browser } = body(request).await?;
    let name: Option<Name> = name.parse().ok();
    let (wanted, shown) = (name.clone(), device.clone());
    let find = move |tx: &mut dyn Tx| {
        let Some(person) = wanted.map(|name| people::find(tx, &name)).transpose()?.flatten() else { return Ok(None) };
        let Some(hash) = people::password(tx, person.number)? else { return Ok(None) };
        let is_known = shown.map(|device| store::is_known(tx, person.number, &device)).transpose()?.unwrap_or(false);
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
    let asks = if known_device.is_some() { Asks::Known } else { Asks::Stranger };
    // Whoever finds no place has not guessed.
    let place = desk.place(asks)?;
    desk.guesses.begin(whom, network, now).map_err(|wait| {
        refused("too many guesses");
        self::wait(wait)
    })?;
    let hash = found.as_ref().map(|(_, hash, _)| &**hash);
    if !place.matches(&password, hash).await.map_err(|_| wait(BUSY))? {
        refused("wrong");
        return Err(No::from(Problem::WrongPassword));
    }
    desk.guesses.right(whom, network, now);
    let Some((person, hash, _)) = found else { return Err(No::from(Problem::WrongPassword)) };
    let session = desk.draw();
    let device = known_device.unwrap_or_else(|| desk.draw());
    let opened = opened(&session, &device);
    let boot = desk.boot();
    let write = move |tx: &mut dyn Tx, now: Told| {
        // Meanwhile the person may have been removed, or may have chosen another password.
        if people::password(tx, person.number)?.as_ref() != Some(&hash) {
            return Ok(None);
        }
        let_in(tx, &person, &session, &device, (from, &browser), boot.as_deref(), now)?;
        log::write(tx, By::Person(&person, &from.to_string()), What::Entry(Entry::Login), None, now.wall)?;
        Ok(Some(person))
    };
    let person = desk.books.write(move |tx, _, now| write(tx, now)).await?.ok_or(Problem::WrongPassword)?;
    desk.around.emit(&Journal::DeskEntered { person: String::from(person.name).into(), from: from.to_string().into() });
    Ok(Json(opened))
}

/// `POST /v1/prove`
pub async fn prove(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<()>, No> {
    judge::door(door(&headers)?)?;
    let Prove { password } = body(request).await?;
    Ok(Json(desk.prove(&headers, &password).await?))
}

fn opened(session: &str, device: &str) -> Opened {
    Opened { session: session.into(), device: Some(device.into()), seconds: store::LASTS.as_secs_up().unsigned_abs() }
}

/// A session and a device of a person who was let in.
fn let_in(
    tx: &mut dyn Tx,
    person: &Person,
    session: &str,
    device: &str,
    (from, browser): (IpAddr, &str),
    boot: Option<&str>,
    now: Told,
) -> Result<(), BooksError> {
    let shown = Shown { secret: session.into(), door: Door::Public };
    store::begin(tx, person.number, &shown, (&from.to_string(), browser), boot, now)?;
    store::know(tx, person.number, device, now.wall)
}

/// `POST /v1/logout`: ends this session. Whoever has none is out already.
pub async fn logout(State(desk): Of, headers: HeaderMap) -> Result<Json<()>, No> {
    let (shown, from) = (shown(&headers)?, from(&headers)?);
    let boot = desk.boot();
    let end = move |tx: &mut dyn Tx, now: Told| {
        let Some(asker) = store::asker(tx, &shown, boot.as_deref(), now)? else { return Ok(()) };
        store::end(tx, asker.person.number, Some(asker.session))?;
        log::write(tx, By::Person(&asker.person, &from.to_string()), What::Entry(Entry::Logout), None, now.wall)
    };
    Ok(Json(desk.books.write(move |tx, _, now| end(tx, now)).await?))
}

/// `GET /v1/sessions`
pub async fn sessions(State(desk): Of, headers: HeaderMap) -> Result<Json<Envelope<Vec<Session>>>, No> {
    let zone = desk.usual.zone;
    let told = desk.tell(&headers, move |tx, asker, now| {
        let list = store::list(tx, asker.person.number, now.wall)?;
        let line = |session: store::Session| Session {
            number: session.number.unsigned_abs(),
            began_at: session.began_at.to_rfc3339_in(zone).into(),
            used_at: session.used_at.to_rfc3339_in(zone).into(),
            from: session.from,
            browser: session.browser,
            is_at_home: session.is_at_home,
            is_this: session.number == asker.session,
        };
        Ok(list.into_iter().map(line).collect())
    });
    Ok(Json(told.await?))
}

/// `POST /v1/sessions/end`
pub async fn end(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<()>, No> {
    let (shown, from) = (shown(&headers)?, from(&headers)?);
    let (number, what) = match body(request).await? {
        EndSession::Number(number) => (Some(i64::try_from(number).map_err(|_| Problem::Unknown)?), What::Entry(Entry::EndSession)),
        EndSession::All => (None, What::Entry(Entry::EndSessions)),
    };
    let boot = desk.boot();
    let end = move |tx: &mut dyn Tx, now: Told| {
        let Some(asker) = store::asker(tx, &shown, boot.as_deref(), now)? else { return Ok(Err(Problem::NotIn)) };
        // Whoever has read a session in the local network ends none but that one.
        if let (Err(why), true) = (judge::door(asker.door), number != Some(asker.session)) {
            return Ok(Err(why.into()));
        }
        if !store::end(tx, asker.person.number, number)? {
            return Ok(Err(Problem::Unknown));
        }
        log::write(tx, By::Person(&asker.person, &from.to_string()), what, None, now.wall)?;
        Ok(Ok(()))
    };
    Ok(Json(desk.books.write(move |tx, _, now| end(tx, now)).await??))
}

impl Desk {
    pub(super) fn place(&self, asks: Asks) -> Result<passwords::Place, Problem> {
        self.passwords.place(asks).map_err(|_| wait(BUSY))
    }

    /// The person of this session types the password once more. A session has a count of its own for that: whoever has stolen it guesses no
    /// faster than a stranger.
    pub(super) async fn prove(&self, headers: &HeaderMap, password: &str) -> Result<(), No> {
        let (shown, from) = (shown(headers)?, from(headers)?);
        judge::door(shown.door)?;
        let (boot, now) = (self.boot(), self.books.now());
        let find = move |tx: &mut dyn Tx| {
            let Some(asker) = store::asker(tx, &shown, boot.as_deref(), now)? else { return Ok(None) };
            let hash = people::password(tx, asker.person.number)?;
            Ok(hash.map(|hash| (asker, hash)))
        };
        let (asker, hash) = self.books.read(find).await?.ok_or(Problem::NotIn)?;
        let of_session = format!("session {}", asker.session);
        let (whom, now) = (For::Known(asker.person.number, &of_session), clock::now().boot);
        let refused = |why: &str| {
            let person = String::from(&*asker.person.name).into();
            self.around.emit(&Journal::DeskRefused { person, from: from.to_string().into(), why: String::from(why).into() });
        };
        let place = self.place(Asks::Known)?;
        self.guesses.begin(whom, network(from), now).map_err(|wait| {
            refused("too many guesses");
            self::wait(wait)
        })?;
        if !place.matches(password, Some(&hash)).await.map_err(|_| wait(BUSY))? {
            refused("wrong");
            return Err(Problem::WrongPassword.into());
        }
        self.guesses.right(whom, network(from), now);
        let session = asker.session;
        Ok(self.books.write(move |tx, _, now| store::proven(tx, session, now)).await?)
    }

    /// 256 random bits.
    pub(super) fn draw(&self) -> Box<str> {
        let mut bits = [0; 32];
        self.around.random(&mut bits);
        BASE64URL.encode(bits).into()
    }
}

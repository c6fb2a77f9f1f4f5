//! `qris-backend desk`: the people of the desk. It writes beside `serve`, and works without it.

use super::opening::books;
use super::print::{Column, Out, heading, left, right, row};
use super::text::{fill, texts};
use crate::config::Config;
use crate::desk::Settings;
use crate::desk::log::{self, By, What};
use crate::desk::people::{self, LIMIT_MAX, Name, NotAdded, PEOPLE_MAX, Person};
use crate::desk::restored::Links;
use crate::sale::books::{BooksError, latest_beside};
use crate::store::{Store, Tx};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use clap::{Args, Subcommand};
use qris_core::order::money::total;
use qris_core::order::time::{Now, Told, Wall};
use qris_core::text::plain;
use qris_core::wire::desk::{Door, Entry, NAME_MAX, Role};
use qris_host::{Failure, clock, local_network, random};
use std::env;
use std::net::{IpAddr, SocketAddr};

/// The people of the desk.
#[derive(Debug, Subcommand)]
pub enum Desk {
    /// Add a person, and print a link for them: it is good once, for an hour. Without desk.url it is one as `home` prints
    Add(Add),
    /// List the people, and what each may do
    List,
    /// Change what a person may do
    Role(Allowed),
    /// Print a new link for a person who has forgotten the password. Their sessions end when it is used
    Link(Named),
    /// Print a link that opens the desk to a person in the local network: it is good once, for ten minutes. Such a session only sees
    Home(Named),
    /// Remove a person. Their sessions end
    Remove(Named),
}

/// What a person may do.
#[derive(Debug, Args)]
pub struct May {
    /// What they may do: owner (sees, settles orders, and keeps the people), settler (sees, and settles orders) or viewer (sees)
    #[arg(long, value_parser = people::role)]
    role: Role,
    /// How much money they may send back or write off in a day, in rupiah; else as before, and for a new person what [desk] says
    #[arg(long, value_name = "RUPIAH", value_parser = clap::value_parser!(u64).range(0..=LIMIT_MAX))]
    limit_per_day: Option<u64>,
}

/// A new person.
#[derive(Debug, Args)]
pub struct Add {
    /// Their name: it stands in the log, and in the history of orders
    name: Name,
    #[command(flatten)]
    may: May,
}

/// What a person may do from now on.
#[derive(Debug, Args)]
pub struct Allowed {
    /// Their name
    name: Name,
    #[command(flatten)]
    may: May,
}

/// A person.
#[derive(Debug, Args)]
pub struct Named {
    /// Their name
    name: Name,
}

pub async fn run(config: &Config, wanted: Desk) -> Result<(), Failure> {
    let Some(desk) = &config.desk else { return Err(Failure::usage(texts().no_desk)) };
    let (store, mut out) = (books(config)?, Out::default());
    let usual = desk.limit_per_day;
    match wanted {
        Desk::Add(Add { name, may: May { role, limit_per_day } }) => {
            let (code, told) = (draw(), name.to_string());
            let door = if desk.url.is_some() { Door::Public } else { Door::Home };
            let invitation = invitation(desk, door, &told, &code)?;
            let (wanted, link) = (name, code);
            let added = write(&store, move |tx, now| match people::add(tx, &wanted, role, limit_per_day, now)? {
                Ok(person) => {
                    people::invite(tx, person.number, door, &link, now)?;
                    let detail = detail(&person.name, role, limit_per_day.unwrap_or(usual));
                    log::write(tx, By::Terminal(&user()), What::Entry(Entry::Add), Some(&detail), now)?;
                    Ok(Ok(()))
                }
                Err(why) => Ok(Err(why)),
            });
            match added.await? {
                Ok(()) => out.text(&invitation),
                Err(NotAdded::Taken) => Err(Failure::failed(fill(texts().desk_taken, &[&told]))),
                Err(NotAdded::Full) => Err(Failure::failed(fill(texts().desk_full, &[&PEOPLE_MAX]))),
            }
        }
        Desk::List => {
            let all = store.read(people::list).await.map_err(Failure::failed)?;
            if all.is_empty() { out.line(texts().desk_nobody) } else { out.text(&table(&all, config, usual)) }
        }
        Desk::Role(Allowed { name, may: May { role, limit_per_day } }) => {
            let limit = move |person: &Person| limit_per_day.or(person.limit_per_day).unwrap_or(usual);
            let change = move |tx: &mut dyn Tx, person: &Person, now| {
                people::change(tx, person.number, role, limit_per_day)?;
                let detail = detail(&person.name, role, limit(person));
                log::write(tx, By::Terminal(&user()), What::Entry(Entry::Role), Some(&detail), now)
            };
            let person = of(&store, &name, change).await?;
            let told = match role {
                Role::Owner | Role::Settler => texts().desk_limit,
                Role::Viewer => texts().desk_limit_as_owner,
            };
            out.line(&fill(texts().desk_changed, &[&person.name, &sees(role), &fill(told, &[&total(limit(&person))])]))
        }
        Desk::Link(Named { name }) => out.text(&link(&store, desk, Door::Public, &name).await?),
        Desk::Home(Named { name }) => out.text(&link(&store, desk, Door::Home, &name).await?),
        Desk::Remove(Named { name }) => {
            let remove = |tx: &mut dyn Tx, person: &Person, now| {
                people::remove(tx, person.number, now)?;
                log::write(tx, By::Terminal(&user()), What::Entry(Entry::Remove), Some(&person.name), now)
            };
            let person = of(&store, &name, remove).await?;
            out.line(&fill(texts().desk_removed, &[&person.name]))
        }
    }
}

/// Makes a new link for a person; what is said of it.
async fn link(store: &Store, desk: &Settings, door: Door, name: &Name) -> Result<String, Failure> {
    let code = draw();
    // Where there is no such desk nothing is written.
    invitation(desk, door, &name.to_string(), &code)?;
    let (secret, made) = (
        code.clone(),
        match door {
            Door::Public => Entry::Link,
            Door::Home => Entry::HomeLink,
        },
    );
    let invite = move |tx: &mut dyn Tx, person: &Person, now| {
        people::invite(tx, person.number, door, &secret, now)?;
        log::write(tx, By::Terminal(&user()), What::Entry(made), Some(&person.name), now)
    };
    let person = of(store, name, invite).await?;
    invitation(desk, door, &person.name, &code)
}

/// With these `restore` invites the owners anew.
pub(super) fn links(by: &str) -> Links<'_> {
    Links { draw: &draw, by }
}

async fn write<T: Send + 'static>(
    store: &Store,
    job: impl FnOnce(&mut dyn Tx, Wall) -> Result<T, BooksError> + Send + 'static,
) -> Result<T, Failure> {
    let done = store.run_at(
        |ahead| Told::unknown(clock::now().wall + ahead),
        move |tx, now| {
            let now = latest_beside(tx, Now { wall: now.wall, ..clock::now() }, clock::boot_id().ok())?;
            job(tx, now)
        },
    );
    done.await.map_err(Failure::failed)
}

/// Does something with the person of this name.
async fn of(
    store: &Store,
    name: &Name,
    job: impl FnOnce(&mut dyn Tx, &Person, Wall) -> Result<(), BooksError> + Send + 'static,
) -> Result<Person, Failure> {
    let wanted = name.clone();
    let done = write(store, move |tx, now| {
        let person = people::find(tx, &wanted)?;
        person.map(|person| job(tx, &person, now).map(|()| person)).transpose()
    });
    done.await?.ok_or_else(|| Failure::failed(fill(texts().desk_unknown, &[name])))
}

/// 256 random bits.
fn draw() -> String {
    let mut bits = [0; 32];
    random::fill(&mut bits);
    BASE64URL.encode(bits)
}

/// Who works at this terminal, for the log. Root may say anything.
pub(super) fn user() -> String {
    let named = ["SUDO_USER", "USER"].into_iter().find_map(|name| env::var(name).ok());
    let named = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    plain(&named.chars().take(NAME_MAX).collect::<String>(), '?')
}

fn invitation(desk: &Settings, door: Door, name: &str, code: &str) -> Result<String, Failure> {
    let (links, hint) = match (door, &desk.url, desk.home) {
        (Door::Public, Some(url), _) => (vec![format!("{url}/join/{code}")], None),
        (Door::Home, _, Some(listen)) => {
            let links = at_home(listen).iter().map(|host| format!("http://{host}:{}/enter/{code}", listen.port())).collect();
            (links, Some(texts().desk_home_hint.to_owned()))
        }
        (Door::Public, None, _) => return Err(Failure::usage(texts().desk_no_url)),
        (Door::Home, _, None) => return Err(Failure::usage(texts().desk_no_home)),
    };
    let lines = [fill(texts().desk_link, &[&name, &(people::link_lasts(door).as_secs_up() / 60)])].into_iter().chain(links).chain(hint);
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

/// How browsers in the local network name this computer: by its address, and by the name that it tells there itself (RFC 6762).
fn at_home(listen: SocketAddr) -> Vec<String> {
    let own = if listen.ip().is_unspecified() { local_network::own_address() } else { Some(listen.ip()) };
    let address = own.filter(|own| local_network::is_neighbour(*own, listen)).map(|own| match own {
        IpAddr::V4(own) => own.to_string(),
        IpAddr::V6(own) => format!("[{own}]"),
    });
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let label = name.trim().split('.').next().filter(|label| !label.is_empty()).map(|label| format!("{}.local", label.to_lowercase()));
    address.into_iter().chain(label).collect()
}

/// What the log says of a person. It has the sum also where that is the usual one: the configuration may say another one later.
fn detail(name: &str, role: Role, limit: u64) -> String {
    format!("{name}: {}, {}", people::word(role), total(limit))
}

fn sees(role: Role) -> &'static str {
    match role {
        Role::Owner => texts().desk_owner,
        Role::Settler => texts().desk_settler,
        Role::Viewer => texts().desk_viewer,
    }
}

fn table(all: &[Person], config: &Config, usual: u64) -> String {
    let texts = texts();
    let columns: [Column; 4] =
        [left(texts.name_column, 24), left(texts.may_column, 32), right(texts.limit_column, 16), left(texts.since_column, 0)];
    let mut text = format!("{}\n", heading(&columns));
    for person in all {
        let limit = match person.role {
            Role::Owner | Role::Settler => total(person.limit_per_day.unwrap_or(usual)),
            Role::Viewer => "-".into(),
        };
        let since = if person.has_joined { person.since.to_local(config.zone)[..10].to_owned() } else { texts.desk_not_joined.into() };
        text += &format!("{}\n", row(&columns, &[person.name.to_string(), sees(person.role).into(), limit, since]));
    }
    text
}

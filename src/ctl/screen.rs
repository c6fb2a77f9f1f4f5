//! `screen`: the picture that a panel shows, would show, or should show.

use super::broker::{Broker, Connection, News, random_hex};
use super::found::texts;
use super::machine::{Bus, Service};
use super::print;
use crate::complete;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Subcommand;
use qris_core::order::ids::DeviceId;
use qris_core::order::money::Rupiah;
use qris_core::wire::command::{self, Code, Problem, Response, SCREENSHOT, Screenshot, Stage};
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use qris_device::config::items::{WrittenItem, check_items};
use qris_device::config::screen::{WrittenScreen, check_languages};
use qris_device::screen::picture::{Picture, Scene};
use qris_device::screen::render::{Scale, render, scale};
use qris_device::screen::samples::{self, Sample};
use qris_device::screen::{Language, Languages, PixelFormat, Rotation, Screen as Panel, ScreenState, Settings, SurfaceSettings};
use qris_host::config::Source;
use qris_host::mqtt::{Outbound, Retained};
use qris_host::{Failure, clock};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

const ANSWER_WAIT: Duration = Duration::from_secs(15);
const QRISD_TOML: &str = "/etc/qrisd/qrisd.toml";

/// Looks at a machine's screen, tries a panel, or draws any state without a machine.
#[derive(clap::Args, Debug)]
pub(super) struct Screen {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Save a picture of what a machine's screen shows now
    Shot(Shot),
    /// Draw a state of the screen into a PNG file, without a machine
    Render(Box<Render>),
    /// List the states that can be drawn
    States,
    /// On the machine: put a test card on the panel
    Test(Test),
}

#[derive(clap::Args, Debug)]
struct Shot {
    /// A machine at the broker; the default is this machine
    #[arg(long, value_name = "ID", value_parser = DeviceId::new, add = complete::machines())]
    device: Option<DeviceId>,
    #[command(flatten)]
    bus: Bus,
    /// The PNG file to write
    #[arg(long, value_name = "FILE", default_value = "screen.png")]
    out: PathBuf,
}

#[derive(clap::Args, Debug)]
struct Render {
    /// What is shown
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(samples::states()))]
    state: String,
    /// The panel's own pixels, before it is turned
    #[arg(long, value_name = "WxH", default_value = "480x800", value_parser = parse_size)]
    size: (u32, u32),
    /// id or en
    #[arg(long, value_name = "LANGUAGE", value_parser = parse_language)]
    lang: Option<Language>,
    /// With the TEST banner
    #[arg(long)]
    sandbox: bool,
    /// A qrisd.toml whose names, items, colours and logo are used
    #[arg(long, value_name = "FILE")]
    like: Option<PathBuf>,
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(clap::Args, Debug)]
struct Test {
    /// The panel; the default is what qrisd.toml names
    #[arg(long, value_name = "DEVICE")]
    panel: Option<PathBuf>,
    /// How it is mounted: 0, 90, 180 or 270; the default is what qrisd.toml says
    #[arg(long, value_name = "N", value_parser = parse_rotation)]
    rotate: Option<Rotation>,
    /// The qrisd.toml whose [screen] is used
    #[arg(long, value_name = "FILE", default_value = QRISD_TOML)]
    like: PathBuf,
    /// How long the card stays
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    #[command(flatten)]
    bus: Bus,
    /// Do it also while qrisd runs; qrisd draws over the card when it has something to show
    #[arg(long)]
    force: bool,
}

#[derive(Debug, thiserror::Error)]
enum ScreenError {
    /// Nobody subscribes to the machine's commands.
    #[error("{0} is not at this broker, or its release cannot send pictures")]
    NotThere(DeviceId),
    #[error("{0} did not answer in {s} s: may we read its topics?", s = ANSWER_WAIT.as_secs())]
    NoAnswer(DeviceId),
    #[error("{device}: {message} ({code})")]
    Refused { device: DeviceId, code: Box<str>, message: Box<str> },
    #[error("{0} did not answer with a picture")]
    NoPicture(DeviceId),
    #[error("--out: {} cannot be written: {error}; name a file in a directory that is there", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{0}")]
    Panel(Box<str>),
    #[error("qrisd runs and has the panel: `systemctl stop qrisd` first, or give --force")]
    Taken,
}

impl Screen {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        match self.command {
            Command::Shot(Shot { device: None, bus, out }) => {
                let service = Service::connect(&bus, DEVICE_NAME, DEVICE_PATH).await?;
                save(&out, &service.picture().await.map_err(Failure::failed)?, json)
            }
            Command::Shot(Shot { device: Some(device), out, .. }) => save(&out, &over_mqtt(&device, connection).await?, json),
            Command::Render(render) => render.run(json),
            Command::States if json => {
                samples::states().try_for_each(|state| print::line(&serde_json::json!({ "state": state }).to_string()))
            }
            Command::States => samples::states().try_for_each(print::line),
            Command::Test(test) => test.run().await,
        }
    }
}

fn write(path: &Path, png: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, png).map_err(|error| Failure::failed(ScreenError::File { path: path.into(), error }))
}

fn save(path: &Path, png: &[u8], json: bool) -> Result<(), Failure> {
    write(path, png)?;
    let path = path.display().to_string();
    if json {
        return print::line(&told(&path, png).to_string());
    }
    if let Some(Scale { size: (width, height), panel: Some((of_width, of_height)) }) = scale(png) {
        print::remark(&format!("{width}×{height} pixels of the panel's {of_width}×{of_height}: the whole picture is too large to send"));
    }
    print::line(&print::plain(&path))
}

/// `panel` is there when the panel has more pixels than the picture.
fn told(path: &str, png: &[u8]) -> serde_json::Value {
    let mut told = serde_json::json!({ "file": path, "bytes": png.len() });
    if let Some(Scale { size: (width, height), panel }) = scale(png) {
        told["width"] = width.into();
        told["height"] = height.into();
        if let Some((width, height)) = panel {
            told["panel"] = serde_json::json!({ "width": width, "height": height });
        }
    }
    told
}

async fn over_mqtt(device: &DeviceId, connection: Connection) -> Result<Vec<u8>, Failure> {
    let own = random_hex()?;
    let topic = command::response_topic(device);
    let mut broker = Broker::connect(connection, vec![topic.clone()], Retained::Never).await?;
    let request = Outbound {
        topic: command::request_topic(device, SCREENSHOT),
        payload: b"{}".to_vec(),
        response_topic: Some(topic),
        correlation_data: Some(own.clone().into_bytes()),
        expiry_s: Some(ANSWER_WAIT.as_secs() as u32),
        ..Outbound::default()
    };
    let heard = broker.publish(request).await.map_err(Failure::failed)?;
    let answer = match heard {
        true => timeout(ANSWER_WAIT, answer_to(&own, &mut broker)).await.map_err(|_| ScreenError::NoAnswer(device.clone())),
        false => Err(ScreenError::NotThere(device.clone())),
    };
    broker.leave().await;
    picture_in(&answer.map_err(Failure::failed)?, device).map_err(Failure::failed)
}

/// The answer to the question with this mark. Others ask the machine, too.
async fn answer_to(own: &str, broker: &mut Broker) -> Vec<u8> {
    loop {
        match broker.next().await {
            News::Message(message) if message.correlation_data.as_deref() == Some(own.as_bytes()) => return message.payload,
            News::Message(_) => {}
            News::Lost(reason) => print::remark(&format!("connection lost: {reason}")),
            News::Back => {}
        }
    }
}

fn picture_in(answer: &[u8], device: &DeviceId) -> Result<Vec<u8>, ScreenError> {
    let no_picture = || ScreenError::NoPicture(device.clone());
    let response: Response = serde_json::from_slice(answer).map_err(|_| no_picture())?;
    match &response.error {
        Some(error) => Err(ScreenError::Refused {
            device: device.clone(),
            code: print::plain(error.code.as_str()).into(),
            message: print::plain(&error.message).into(),
        }),
        None => picture_of(&response).ok_or_else(no_picture),
    }
}

fn picture_of(response: &Response) -> Option<Vec<u8>> {
    let result = response.result.clone().filter(|_| response.ok == Some(true))?;
    let shot: Screenshot = serde_json::from_value(result).ok()?;
    BASE64.decode(shot.png.as_bytes()).ok()
}

/// Writes the picture of one of several machines into a directory, as `ID.png`. The facts about the file take its place in the answer.
pub(super) fn keep(directory: &Path, device: &DeviceId, end: Response) -> Result<Response, Failure> {
    if end.error.is_some() {
        return Ok(end);
    }
    let Some(png) = picture_of(&end) else {
        return Ok(Response::ended(end.id, Stage::Failed, Problem::new(Code::Screen, "it did not answer with a picture")));
    };
    let path = directory.join(format!("{device}.png"));
    std::fs::create_dir_all(directory).map_err(|error| Failure::failed(ScreenError::File { path: directory.into(), error }))?;
    write(&path, &png)?;
    Ok(Response { result: Some(told(&path.display().to_string(), &png)), ..end })
}

impl Render {
    fn run(self, json: bool) -> Result<(), Failure> {
        let Self { state, size, lang, sandbox, like, out } = self;
        let mut settings = match like {
            Some(path) => settings_like(&path, Needed::Items)?,
            None => samples::settings(SurfaceSettings::Device(PathBuf::new()), Languages::Only(Language::Id)),
        };
        settings.languages = lang.map_or(settings.languages, Languages::Only);
        let item = settings.items.first().map(|item| item.id.clone()).ok_or_else(|| Failure::usage("there is no item"))?;
        let sample = Sample { sandbox, ..Sample::new(item, Rupiah::new(5_000).map_err(Failure::failed)?) };
        let picture = samples::picture(&state, &sample).ok_or_else(|| Failure::usage(format!("there is no state {state}")))?;
        save(&out, &render(&picture, &settings, size, PixelFormat::Rgb565).map_err(Failure::failed)?, json)
    }
}

impl Test {
    async fn run(self) -> Result<(), Failure> {
        let Self { panel, rotate, like, seconds, bus, force } = self;
        // Without a bus there is nobody to ask, and nobody answers to the name.
        if let (false, Ok(service)) = (force, Service::connect(&bus, DEVICE_NAME, DEVICE_PATH).await)
            && service.is_there().await
        {
            return Err(Failure::failed(ScreenError::Taken));
        }
        let mut settings = match (&panel, like.exists()) {
            (_, true) => settings_like(&like, Needed::Panel)?,
            (_, false) => samples::settings(SurfaceSettings::Any, Languages::Only(Language::En)),
        };
        settings.surface = panel.map_or(settings.surface, SurfaceSettings::Device);
        settings.rotate = rotate.unwrap_or(settings.rotate);
        let card = Card::show(settings).await?;
        // This comes before anybody is told to press Ctrl-C.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
        print::line(&format!("The card stays for {seconds} s, or until Ctrl-C."))?;
        let _ = timeout(Duration::from_secs(seconds), interrupt.recv()).await;
        drop(card);
        Ok(())
    }
}

/// It stays on a panel until this is dropped.
pub(super) struct Card {
    _screen: Panel,
}

impl Card {
    /// Puts it on the panel, and says what to look for.
    pub(super) async fn show(settings: Settings) -> Result<Self, Failure> {
        let (sender, mut states) = tokio::sync::mpsc::unbounded_channel();
        let card = Picture { scene: Scene::TestCard, sandbox: false };
        let screen = Panel::start(settings, card, || clock::now().boot, move |state| drop(sender.send(state)));
        match states.recv().await {
            Some(ScreenState::Working) => {}
            Some(ScreenState::Gone(why)) => return Err(Failure::failed(ScreenError::Panel(why))),
            None => return Err(Failure::failed(ScreenError::Panel("the screen's thread ended".into()))),
        }
        for line in texts().test_card.split('|') {
            print::line(line)?;
        }
        Ok(Self { _screen: screen })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    Panel,
    /// The looks, and the items too.
    Items,
}

fn settings_like(path: &Path, needed: Needed) -> Result<Settings, Failure> {
    let source = Source::read(path)?;
    let written: WrittenConfig = source.parse()?;
    let mut checker = source.checker();
    let languages = check_languages(written.device.language.as_deref(), &mut checker);
    // A panel is tried before anybody knows what will be sold.
    let items = match needed {
        Needed::Items => check_items(written.item, languages.first(), &mut checker).shown,
        Needed::Panel => Vec::new(),
    };
    let panel = written.screen.check(&mut checker);
    checker.finish()?;
    let name = written.device.name.or(written.device.id).unwrap_or_default();
    panel.settings(languages, name, items).ok_or_else(|| Failure::usage(format!("{}: no panel", path.display())))
}

/// The parts of a `qrisd.toml` that concern the screen. `qrisd --check` looks at the rest.
#[derive(Deserialize)]
struct WrittenConfig {
    #[serde(default)]
    device: WrittenDevice,
    #[serde(default)]
    screen: WrittenScreen,
    #[serde(default)]
    item: Vec<WrittenItem>,
}

#[derive(Deserialize, Default)]
struct WrittenDevice {
    id: Option<String>,
    name: Option<String>,
    language: Option<String>,
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once(['x', '×']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    sides.filter(|(w, h)| [w, h].iter().all(|side| (96..=4096).contains(*side))).ok_or_else(|| "must be WxH, each side 96 to 4096".into())
}

fn parse_rotation(text: &str) -> Result<Rotation, &'static str> {
    text.parse().ok().and_then(Rotation::from_degrees).ok_or("must be 0, 90, 180 or 270")
}

fn parse_language(text: &str) -> Result<Language, &'static str> {
    match text {
        "id" => Ok(Language::Id),
        "en" => Ok(Language::En),
        _ => Err("must be id or en"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_picture_or_says_why_not() {
        let device = DeviceId::new("vm-001").expect("an id");
        let read = |json: &str| picture_in(json.as_bytes(), &device).map_err(|why| why.to_string());
        assert_eq!(read(r#"{"state":"done","ok":true,"result":{"png":"AQID"}}"#), Ok(vec![1, 2, 3]));
        let refused = r#"{"state":"rejected","ok":false,"error":{"code":"rate_limited","message":"one command in 5 s"}}"#;
        assert_eq!(read(refused), Err("vm-001: one command in 5 s (rate_limited)".into()));
        for odd in
            ["", "{}", r#"{"state":"done","ok":true,"result":{"png":"?"}}"#, r#"{"state":"done","ok":false,"result":{"png":"AQID"}}"#]
        {
            assert_eq!(read(odd), Err("vm-001 did not answer with a picture".into()), "{odd}");
        }
    }

    #[test]
    fn sizes_are_those_of_panels() {
        assert_eq!(parse_size("480x800"), Ok((480, 800)));
        for bad in ["480", "480x", "x800", "95x100", "480x4097", "-1x5"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}

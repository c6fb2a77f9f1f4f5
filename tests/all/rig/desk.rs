//! The desk of an operator, whose key the machine believes.

use super::shop::{DEVICE, Options, Shop};
use super::tap::Message;
use super::{command, succeed};

/// A shop, and the desk of its operator, whose key the machine believes.
pub struct Desk {
    /// The shop.
    pub shop: Shop,
}

impl Desk {
    /// Opens the shop; the key `desk.jwk` has this level.
    pub fn open(level: &str) -> Self {
        Self::open_with(level, Options::default())
    }

    /// The same in another shop.
    pub fn open_with(level: &str, options: Options) -> Self {
        let desk = Self { shop: Shop::open(options) };
        let public = desk.new_key("desk.jwk", level);
        let keys_file = desk.file("keys.json");
        succeed(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", "add", public.trim(), "--keys-file", &keys_file]));
        desk.reload();
        desk
    }

    /// The machine takes up its keys.
    pub fn reload(&self) {
        // The relay service is back before qrisd asks for it.
        let relayd = self.shop.relayd.as_ref().expect("it runs");
        let lines = relayd.lines.count();
        relayd.signal("HUP");
        relayd.wait_line_from(lines, "is ready");
        self.reload_qrisd();
    }

    /// The same without the relay service. What `qrisd` has told before of its links does not count any more.
    pub fn reload_qrisd(&self) {
        let qrisd = self.shop.qrisd.as_ref().expect("it runs");
        let (lines, messages) = (qrisd.lines.count(), self.shop.tap.count());
        qrisd.signal("HUP");
        for told in ["is ready", "connected to the broker", "the relay service answers"] {
            qrisd.wait_line_from(lines, told);
        }
        let topic = format!("qrisd/v1/{DEVICE}/status");
        let is_online = |message: &Message| message.topic == topic && message.json()["state"] == "online";
        self.shop.tap.wait_from(messages, "the machine to be online again", |message| is_online(message).then_some(()));
    }

    /// The path of a file of the shop.
    pub fn file(&self, name: &str) -> String {
        self.shop.path().join(name).display().to_string()
    }

    /// Makes a key, and answers with its public half.
    pub fn new_key(&self, name: &str, level: &str) -> String {
        let file = self.file(name);
        succeed(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", "new", "--level", level, "--name", "Sari", "--operator-key", &file]))
    }

    /// `qrisd` is killed and started again.
    pub fn restart(&mut self) {
        self.shop.kill_qrisd();
        self.shop.start_qrisd();
        self.shop.wait_online();
    }
}

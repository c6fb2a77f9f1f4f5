//! Another boot, a small disk, a directory of its own: mount and time namespaces in which programs are started. What is
//! mounted in one is seen by nobody else and gone with it. Needs root.

use super::process::Process;
use super::{command, succeed, tool};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// A namespace, held by a process that only sleeps.
pub struct Namespace {
    holder: Process,
    /// What nsenter enters, beside the time.
    entered: Vec<String>,
}

impl Namespace {
    /// Makes one and runs a shell script in it, which mounts what is to be seen there.
    pub fn new(script: &str) -> Self {
        Self::with_boot_clock(&["--mount"], script, 0)
    }

    /// The same with a network of its own, in which nothing is up.
    pub fn of_its_own_network(script: &str) -> Self {
        Self::with_boot_clock(&["--mount", "--net"], script, 0)
    }

    /// A cable from this network to that one, with an address at each end.
    pub fn cable_to(&self, other: &Self, here: &str, there: &str) {
        self.run(&format!("ip link add cable type veth peer name cable netns {}", other.holder.id()));
        for (network, address) in [(self, here), (other, there)] {
            network.run(&format!("ip addr add {address}/24 dev cable; ip link set cable up"));
        }
    }

    /// Does something in the network of this one, with all that it starts. A thread has a network of its own.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let network = std::fs::File::open(format!("/proc/{}/ns/net", self.holder.id())).expect("its network");
        let done = std::thread::scope(|scope| {
            let moved = scope.spawn(|| {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may");
                work()
            });
            moved.join()
        });
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A boot of the same computer after its power was gone: another boot_id, and a boot clock that began ten seconds
    /// ago. The boot_id is kept in `directory`.
    pub fn boot(directory: &Path) -> (Self, String) {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let id = format!("00000000-0000-4000-8000-{:012}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let file = directory.join(format!("boot-{id}"));
        std::fs::write(&file, format!("{id}\n")).expect("written");
        let uptime = std::fs::read_to_string("/proc/uptime").expect("proc");
        let uptime: i64 = uptime.split('.').next().and_then(|seconds| seconds.parse().ok()).expect("seconds");
        let script = format!("mount --bind {} /proc/sys/kernel/random/boot_id", file.display());
        let boot = Self::with_boot_clock(&["--mount"], &script, 10 - uptime.max(10));
        (boot, id)
    }

    fn with_boot_clock(own: &[&str], script: &str, seconds: i64) -> Self {
        let mut start = command(tool("unshare"));
        start.args(own).args(["--time", "--boottime", &seconds.to_string(), "sh", "-c"]);
        start.arg(format!("set -e\n{script}\necho made\nexec sleep infinity"));
        let holder = Process::start("namespace", &mut start);
        holder.wait_line("made");
        Self { holder, entered: own.iter().map(|own| (*own).to_owned()).collect() }
    }

    /// The same program, arguments and environment, in here. The process is the program itself, not a shell around it.
    pub fn command(&self, of: &Command) -> Command {
        let mut start = command(tool("nsenter"));
        start
            .args(&self.entered)
            .args(["--time", "--target", &self.holder.id().to_string(), "--"])
            .arg(of.get_program())
            .args(of.get_args());
        for (name, value) in of.get_envs() {
            match value {
                Some(value) => start.env(name, value),
                None => start.env_remove(name),
            };
        }
        start
    }

    /// Runs a shell script in here, which must succeed.
    pub fn run(&self, script: &str) -> String {
        succeed(&mut self.command(command("/bin/sh").args(["-c", script])))
    }
}

/// A disk of one megabyte that is mounted at a directory, in a namespace of its own.
pub struct SmallDisk {
    pub namespace: Namespace,
    directory: PathBuf,
}

impl SmallDisk {
    pub fn at(directory: PathBuf) -> Self {
        std::fs::create_dir(&directory).expect("a new directory");
        let namespace = Namespace::new(&format!("mount -t tmpfs -o size=1m tmpfs {}", directory.display()));
        Self { namespace, directory }
    }

    /// Not a byte is left.
    pub fn fill(&self) {
        let path = self.directory.join("fill");
        self.namespace.run(&format!("cat /dev/zero > {} 2>/dev/null || true", path.display()));
    }

    /// So many bytes are left, of those that [`SmallDisk::fill`] took: where nothing else fits, something small does.
    pub fn leave(&self, bytes: u32) {
        self.namespace.run(&format!("truncate --size=-{bytes} {}", self.directory.join("fill").display()));
    }

    /// There is room again.
    pub fn free(&self) {
        self.namespace.run(&format!("rm -f {}", self.directory.join("fill").display()));
    }

    /// Mounts it again as `ro` or `rw`. Nobody may have a file open for writing.
    pub fn remount(&self, how: &str) {
        self.namespace.run(&format!("mount -o remount,{how} {}", self.directory.display()));
    }
}

//! The Yocto layer names what the sources name: it cannot be built here, so what it repeats is compared.

use crate::rig::{command, source, source_text, succeed};
use std::collections::BTreeMap;
use std::path::Path;

const RECIPE: &str = "yocto/meta-qrisd/recipes-qrisd/qrisd/qrisd_0.1.0.bb";

#[test]
fn the_recipe_fetches_what_cargo_lock_names() {
    let (crates, sums) = fetched(&source_text("yocto/meta-qrisd/recipes-qrisd/qrisd/qrisd-crates.inc"));
    let locked = locked(&source_text("Cargo.lock"));
    assert!(locked.len() > 100, "Cargo.lock is read: {}", locked.len());
    assert!(crates == locked.keys().cloned().collect::<Vec<_>>() && sums == locked, "run: yocto/crates");
}

#[test]
fn the_recipe_is_of_this_release() {
    // The name of the recipe is its version, so this test cannot find another one.
    let version = env!("CARGO_PKG_VERSION");
    assert!(RECIPE.ends_with(&format!("qrisd_{version}.bb")), "rename the recipe: this is {version}");
    // What wrynose has is 1.94.
    let rust = env!("CARGO_PKG_RUST_VERSION").split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    assert!(rust.is_some_and(|minor| minor <= 94), "the layer's Rust is 1.94");
}

#[test]
fn the_recipe_installs_what_lands_on_a_machine() {
    let recipe = source_text(RECIPE);
    let readme = source_text("systemd/README.md");
    let machine = readme.split("```").nth(1).expect("the first block is the machine's");
    let files: Vec<_> = machine.split_whitespace().filter(|word| word.starts_with("systemd/")).collect();
    assert!(files.len() >= 10, "{files:?}");
    let missing: Vec<_> = files.iter().filter(|file| !recipe.contains(&format!("${{S}}/{file} "))).collect();
    assert!(missing.is_empty(), "not in {RECIPE}: {missing:?}");
}

#[test]
fn the_recipe_has_the_manual_pages_of_these_commands() {
    let directory = tempfile::tempdir().expect("a directory");
    succeed(command(env!("CARGO_BIN_EXE_qris-tools")).arg("manuals").arg(directory.path()));
    let pages = |directory: &Path| -> BTreeMap<String, String> {
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.expect("an entry");
            (entry.file_name().into_string().expect("text"), std::fs::read_to_string(entry.path()).expect("text"))
        };
        std::fs::read_dir(directory).expect("there").map(read).collect()
    };
    let mut made = pages(&directory.path().join("man"));
    made.retain(|name, _| !["qris-backend", "qris-desk"].iter().any(|program| name.starts_with(program)) && name != "backend.toml.5");
    assert!(made.len() > 10, "{:?}", made.keys());
    assert!(pages(&source("yocto/meta-qrisd/recipes-qrisd/qrisd/files/manuals")) == made, "run: yocto/manuals");
}

#[test]
fn the_recipe_makes_the_users_that_the_services_have() {
    let recipe = source_text(RECIPE);
    for line in source_text("systemd/qrisd.sysusers.conf").lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let there = match words[..] {
            ["g", group, ..] => recipe.contains(&format!(" {group}; ")) || recipe.contains(&format!(" {group} \\\n")),
            ["u", user, ..] => {
                recipe.contains(&format!("--gid {user} ")) && recipe.contains(line.split('"').nth(1).expect("a name for people"))
            }
            ["m", user, group] => recipe.lines().any(|line| line.contains(&format!("--gid {user} --groups {group} "))),
            _ => line.starts_with('#'),
        };
        assert!(there, "{RECIPE} and systemd/qrisd.sysusers.conf differ: {line}");
    }
}

/// What docs/using/hardware.md, docs/using/install.md and the layer's README say of the image, by the lines that make it so. It is not
/// built here, and nobody would miss one of them before a machine is in trouble.
#[test]
fn the_image_has_what_is_promised_of_it() {
    const LAYER: &str = "yocto/meta-qrisd";
    const BASE: &str = "recipes-core/qris-image-base/qris-image-base";
    let recipe = "recipes-core/qris-image-base/qris-image-base_1.0.bb".to_owned();
    let image = "recipes-core/images/qris-image.bb".to_owned();
    let (journal, systemd, panic) = (format!("{BASE}/journald.conf"), format!("{BASE}/system.conf"), format!("{BASE}/sysctl.conf"));
    let unit = |name: &str| format!("{BASE}/{name}");
    let promises: [(String, &[&str]); 14] = [
        // A pin that nobody holds is an input: whoever drove it was killed in mid-pulse.
        ("conf/qris.inc".into(), &[r#"RPI_EXTRA_CONFIG:append:rpi = "\ndtparam=strict_gpiod\n""#, "INIT_MANAGER = \"systemd\""]),
        // A kernel that hangs in mid-pulse is reset.
        (systemd, &["[Manager]", "RuntimeWatchdogSec=15", "RebootWatchdogSec=2min"]),
        (panic, &["kernel.panic = 5", "kernel.panic_on_oops = 1"]),
        // What was before a power cut can be read, and does not fill the card.
        (journal, &["[Journal]", "Storage=persistent", "SystemMaxUse=64M", "RuntimeMaxUse=16M"]),
        (
            recipe,
            &[
                "install -Dm644 ${S}/system.conf ${D}${nonarch_libdir}/systemd/system.conf.d/20-qris.conf",
                "install -Dm644 ${S}/journald.conf ${D}${nonarch_libdir}/systemd/journald.conf.d/20-qris.conf",
                "install -Dm644 ${S}/sysctl.conf ${D}${nonarch_libdir}/sysctl.d/20-qris.conf",
            ],
        ),
        // A root that is never written, and a /data that is not it.
        (
            image,
            &[
                "IMAGE_FEATURES += \"overlayfs-etc read-only-rootfs\"",
                "OVERLAYFS_ETC_MOUNT_POINT = \"/data\"",
                "WKS_FILE = \"qris-image.wks.in\"",
                "packagegroup-qrisd \\",
                "qris-image-base \\",
            ],
        ),
        (
            "files/wic/qris-image.wks.in".into(),
            &["part /data --ondisk ${QRIS_DISK} --fstype=ext4 --label data --align 4096 --fixed-size ${QRIS_DATA_MB}M \
                 --fsoptions noatime,nofail"],
        ),
        // A ledger in memory would forget what it drove.
        (unit("qris-data.service"), &["AssertPathIsMountPoint=/data"]),
        (unit("var-lib-qris-relay.mount"), &["What=/data/lib/qris-relay", "Where=/var/lib/qris-relay", "Requires=qris-data.service"]),
        (unit("var-lib-qrisd.mount"), &["What=/data/lib/qrisd", "Where=/var/lib/qrisd", "Requires=qris-data.service"]),
        (unit("var-lib-systemd.mount"), &["What=/data/lib/systemd", "Where=/var/lib/systemd", "Requires=qris-data.service"]),
        (unit("var-log.mount"), &["What=/data/log", "Where=/var/log", "Requires=qris-data.service"]),
        ("recipes-core/packagegroups/packagegroup-qrisd.bb".into(), &["RDEPENDS:${PN} = \"qrisctl qrisd\""]),
        (
            RECIPE.strip_prefix("yocto/meta-qrisd/").expect("in the layer").into(),
            &["gzip -9n < ${B}/libraries > ${D}${datadir}/${BPN}/libraries.gz"],
        ),
    ];
    for (file, lines) in promises {
        let text = source_text(&format!("{LAYER}/{file}"));
        let missing: Vec<_> = lines.iter().filter(|wanted| !text.lines().any(|line| line.trim() == **wanted)).collect();
        assert!(missing.is_empty(), "{file} has no line {missing:?}");
    }
}

/// As the recipe calls it, but with the crates where cargo has put them here.
#[test]
fn the_texts_of_the_crates_licences_can_be_put_together_without_a_network() {
    let features = "qrisd device,relay,ctl";
    assert!(source_text(RECIPE).contains(&format!("CARGO_NET_OFFLINE=true ${{S}}/packaging/libraries {features} ")));
    let words: Vec<_> = features.split(' ').collect();
    let home = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").expect("a home")));
    let registries =
        std::fs::read_dir(format!("{home}/registry/src")).expect("cargo's sources").map(|entry| entry.expect("an entry").path());
    let mut list = command(source("packaging/libraries"));
    list.args(words).arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH)).args(registries);
    // Where cargo is, and which.
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        list.envs(std::env::var(name).map(|value| (name, value)));
    }
    let told = succeed(list.env("CARGO_NET_OFFLINE", "true"));
    let (named, texts) = told.split_once("\n---- ").expect("texts");
    for library in ["tokio ", "gpiocdev ", "rustls ", "SQLite: public domain"] {
        assert!(named.lines().any(|line| line.starts_with(library)), "{library} is not in:\n{named}");
    }
    assert!(!named.contains("axum "), "that is the merchant's side");
    assert!(texts.contains("Permission is hereby granted") && texts.matches("\n---- ").count() > 20, "{}", texts.len());
}

/// Names with version, and their checksums by that, of a list of crates for BitBake.
fn fetched(list: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let crates = list.lines().filter_map(|line| {
        let (name, version) = line.trim().strip_prefix("crate://crates.io/")?.strip_suffix(" \\")?.split_once('/')?;
        Some(format!("{name}-{version}"))
    });
    let sums = list.lines().filter_map(|line| {
        let (name, sum) = line.strip_prefix("SRC_URI[")?.split_once(".sha256sum] = \"")?;
        Some((name.to_owned(), sum.strip_suffix('"')?.to_owned()))
    });
    let mut crates: Vec<_> = crates.collect();
    crates.sort();
    (crates, sums.collect())
}

/// The crates of a Cargo.lock that come from somewhere, with their checksums.
fn locked(lock: &str) -> BTreeMap<String, String> {
    let lock: toml::Table = lock.parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("a list").iter().filter(|package| package.get("source").is_some());
    let text = |package: &toml::Value, key: &str| package[key].as_str().expect("a text").to_owned();
    packages.map(|package| (format!("{}-{}", text(package, "name"), text(package, "version")), text(package, "checksum"))).collect()
}

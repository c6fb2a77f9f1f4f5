SUMMARY = "Takes GoPay and every QRIS app on a machine that nobody attends"
DESCRIPTION = "qrisd shows the QR and keeps the orders of a vending machine, a laundry or a barrier; qris-relayd drives the \
relay, once for each receipt that proves a payment; qrisctl looks after both. The merchant's side, qris-backend, does not \
run on the machine and is not built here."
# A name that nobody can have (RFC 2606), until there is a place that publishes this: a recipe must name one.
HOMEPAGE = "https://qrisd.invalid"
SECTION = "net"
LICENSE = "(MIT | Apache-2.0) & Bitstream-Vera"
LIC_FILES_CHKSUM = "\
    file://LICENSE-MIT;md5=e1640c0003bf048f174378a272a710ea \
    file://LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://src/screen/FONT-LICENSE;md5=c1445022bb2599d375c0c5900d2665c8 \
"

# The sources: those of the tree that this layer is part of, with whatever was changed there; or, with QRISD_GIT, those of
# a repository at the revision QRISD_SRCREV, such as
#   QRISD_GIT = "git://git.example.com/qrisd.git;protocol=https;branch=main"
# Its Cargo.lock must be that of this layer.
QRISD_TREE ??= "${@os.path.realpath('${THISDIR}/../../../..')}"
QRISD_GIT ??= ""
QRISD_SRCREV ??= ""
SRC_URI = "${@'${QRISD_GIT}' if d.getVar('QRISD_GIT') else '${QRISD_TREE_URI}'} file://manuals"
QRISD_TREE_URI = "\
    file://Cargo.toml;subdir=${BP} \
    file://Cargo.lock;subdir=${BP} \
    file://build.rs;subdir=${BP} \
    file://src;subdir=${BP} \
    file://systemd;subdir=${BP} \
    file://config;subdir=${BP} \
    file://packaging;subdir=${BP} \
    file://docs;subdir=${BP} \
    file://LICENSE-MIT;subdir=${BP} \
    file://LICENSE-APACHE;subdir=${BP} \
"
require ${BPN}-crates.inc
SRCREV = "${QRISD_SRCREV}"
FILESEXTRAPATHS:prepend := "${QRISD_TREE}:"

# The default of the build system, spelt out: it is the same for both.
S = "${UNPACKDIR}/${BP}"

inherit cargo cargo-update-recipe-crates features_check systemd useradd

REQUIRED_DISTRO_FEATURES = "systemd"

CVE_PRODUCT = "qrisd"

# Numbers that stay: what these users own on /data outlives the image. 101 to 999, and nobody else's.
QRISD_UID ?= "911"
QRISD_RELAY_UID ?= "912"
QRISD_CONTROL_GID ?= "913"

SYSTEMD_SERVICE:${PN} = "qrisd.service qris-relayd.service"

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "\
    --system --gid ${QRISD_UID} qrisd; \
    --system --gid ${QRISD_RELAY_UID} qris-relay; \
    --system --gid ${QRISD_CONTROL_GID} qrisd-control; \
    --system gpio \
"
# As systemd/qrisd.sysusers.conf says, which a read-only root cannot follow.
USERADD_PARAM:${PN} = "\
    --system --uid ${QRISD_UID} --gid qrisd --groups video --home-dir ${localstatedir}/lib/qrisd --no-create-home \
        --shell ${base_sbindir}/nologin --comment 'QRIS payments, order and screen' qrisd; \
    --system --uid ${QRISD_RELAY_UID} --gid qris-relay --groups gpio --home-dir ${localstatedir}/lib/qris-relay --no-create-home \
        --shell ${base_sbindir}/nologin --comment 'QRIS payments, relay' qris-relay \
"

python () {
    import re
    tree = d.getVar("QRISD_TREE")
    if d.getVar("QRISD_GIT"):
        if not re.fullmatch("[0-9a-f]{40}", d.getVar("QRISD_SRCREV")):
            raise bb.parse.SkipRecipe("QRISD_GIT is set, and QRISD_SRCREV must be the 40 digits of a commit of it")
    elif not os.path.exists(os.path.join(tree, "Cargo.lock")):
        raise bb.parse.SkipRecipe("%s is not the source tree of qrisd: set QRISD_TREE, or QRISD_GIT and QRISD_SRCREV" % tree)
}

# The profiles are the project's own (Cargo.toml says why), instead of --release.
BUILD_MODE = ""
# What is to be stripped, and into which package the symbols go, is decided by the build system.
export CARGO_PROFILE_DIST_STRIP = "none"
export CARGO_PROFILE_DIST_ABORT_STRIP = "none"

do_compile() {
	oe_cargo_build --profile dist-abort --no-default-features --features device,ctl --bin qrisd --bin qrisctl
	oe_cargo_build --profile dist --no-default-features --features relay --bin qris-relayd
	# The crates are in the programs, and their licences want their texts beside them. It reads what was fetched, no network.
	CARGO_NET_OFFLINE=true ${S}/packaging/libraries qrisd device,relay,ctl ${RUST_HOST_SYS} ${CARGO_VENDORING_DIRECTORY} > ${B}/libraries
}

# A line a file, as in systemd/README.md.
do_install() {
	install -Dm755 ${B}/target/${RUST_HOST_SYS}/dist-abort/qrisd  ${D}${bindir}/qrisd
	install -Dm755 ${B}/target/${RUST_HOST_SYS}/dist/qris-relayd  ${D}${bindir}/qris-relayd
	install -Dm755 ${B}/target/${RUST_HOST_SYS}/dist-abort/qrisctl ${D}${bindir}/qrisctl
	install -Dm644 ${S}/systemd/qrisd.service           ${D}${systemd_system_unitdir}/qrisd.service
	install -Dm644 ${S}/systemd/qris-relayd.service     ${D}${systemd_system_unitdir}/qris-relayd.service
	install -Dm644 ${S}/systemd/qris-again@.service     ${D}${systemd_system_unitdir}/qris-again@.service
	install -Dm644 ${S}/systemd/qris-again@.target      ${D}${systemd_system_unitdir}/qris-again@.target
	install -Dm644 ${S}/systemd/qrisd.sysusers.conf     ${D}${nonarch_libdir}/sysusers.d/qrisd.conf
	install -Dm644 ${S}/systemd/qrisd.tmpfiles.conf     ${D}${nonarch_libdir}/tmpfiles.d/qrisd.conf
	install -Dm644 ${S}/systemd/70-qrisd-gpio.rules     ${D}${nonarch_base_libdir}/udev/rules.d/70-qrisd-gpio.rules
	install -Dm644 ${S}/systemd/qrisd.catalog           ${D}${nonarch_libdir}/systemd/catalog/qrisd.catalog
	install -Dm644 ${S}/systemd/io.qrisd.Relay1.conf    ${D}${datadir}/dbus-1/system.d/io.qrisd.Relay1.conf
	install -Dm644 ${S}/systemd/io.qrisd.Device1.conf   ${D}${datadir}/dbus-1/system.d/io.qrisd.Device1.conf
	install -Dm644 ${S}/systemd/qrisd-logind.conf       ${D}${nonarch_libdir}/systemd/logind.conf.d/50-qrisd.conf
	install -Dm755 ${S}/systemd/rauc-pre-install        ${D}${nonarch_libdir}/qrisd/rauc-pre-install
	install -Dm644 ${S}/systemd/50-qrisd.rules          ${D}${datadir}/polkit-1/rules.d/50-qrisd.rules
	for name in qrisd relay qrisctl; do
		install -Dm644 ${S}/config/$name.toml ${D}${docdir}/${BPN}/examples/$name.toml
	done
	# Not in docdir, which an image leaves out.
	install -d ${D}${datadir}/${BPN}
	gzip -9n < ${B}/libraries > ${D}${datadir}/${BPN}/libraries.gz
	# For qrisd-doc, which an image has with IMAGE_FEATURES += "doc-pkgs": the pages as text, and the manual pages.
	(cd ${S}/docs && find using id -name '*.md' -exec install -Dm644 {} ${D}${docdir}/${BPN}/{} \;)
	for page in ${UNPACKDIR}/manuals/*.[158]; do
		install -Dm644 $page ${D}${mandir}/man${page##*.}/$(basename $page)
	done
	# What the services find at a start, also where the root is read-only and something is mounted here.
	install -dm700 -o qrisd -g qrisd ${D}${localstatedir}/lib/qrisd
	install -dm700 -o qris-relay -g qris-relay ${D}${localstatedir}/lib/qris-relay
	install -dm755 ${D}${sysconfdir}/qrisd
}

PACKAGES =+ "qrisctl"

SUMMARY:qrisctl = "Looks after machines with qrisd, on the machine and over MQTT"
FILES:qrisctl = "${bindir}/qrisctl"
FILES:${PN} += "\
    ${systemd_system_unitdir}/qris-again@.service \
    ${systemd_system_unitdir}/qris-again@.target \
    ${nonarch_libdir}/sysusers.d \
    ${nonarch_libdir}/tmpfiles.d \
    ${nonarch_libdir}/systemd/catalog \
    ${nonarch_libdir}/systemd/logind.conf.d \
    ${datadir}/polkit-1/rules.d \
    ${nonarch_libdir}/qrisd \
    ${datadir}/dbus-1 \
"
# Whoever adds a configuration in a .bbappend: an upgrade by a package manager keeps what was changed on the machine.
CONFFILES:${PN} = "${sysconfdir}/qrisd/qrisd.toml ${sysconfdir}/qrisd/relay.toml ${sysconfdir}/qrisd/keys.json"

RDEPENDS:${PN} = "ca-certificates ${VIRTUAL-RUNTIME_dbus}"

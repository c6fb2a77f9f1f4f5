SUMMARY = "What makes qris-image outlive power cuts"
DESCRIPTION = "State on /data under a read-only root, /data that grows to the end of the card, the hardware watchdog, limits of \
the journal, time servers."
# A name that nobody can have (RFC 2606), until there is a place that publishes this: a recipe must name one.
HOMEPAGE = "https://qrisd.invalid"
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "\
    file://qris-data \
    file://qris-data-grow \
    file://qris-data-grow.service \
    file://qris-data.service \
    file://catalog.conf \
    file://journald.conf \
    file://sysctl.conf \
    file://system.conf \
    file://timesyncd.conf \
    file://var-lib-qris-relay.mount \
    file://var-lib-qrisd.mount \
    file://var-lib-systemd.mount \
    file://var-log.mount \
"

S = "${UNPACKDIR}"

inherit allarch features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd usrmerge"

# The mounts are drawn in by the services whose directories they are (RequiresMountsFor=), so they need not be enabled.
SYSTEMD_SERVICE:${PN} = "qris-data-grow.service"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
	install -Dm755 ${S}/qris-data ${D}${libexecdir}/qris-data
	install -Dm755 ${S}/qris-data-grow ${D}${libexecdir}/qris-data-grow
	for unit in qris-data.service qris-data-grow.service var-lib-qrisd.mount var-lib-systemd.mount var-log.mount; do
		install -Dm644 ${S}/$unit ${D}${systemd_system_unitdir}/$unit
	done
	# A dash in a path is written so in the name of its unit.
	install -m644 ${S}/var-lib-qris-relay.mount "${D}${systemd_system_unitdir}/var-lib-qris\x2drelay.mount"
	install -Dm644 ${S}/catalog.conf ${D}${systemd_system_unitdir}/systemd-journal-catalog-update.service.d/20-qris.conf
	install -Dm644 ${S}/journald.conf ${D}${nonarch_libdir}/systemd/journald.conf.d/20-qris.conf
	install -Dm644 ${S}/system.conf ${D}${nonarch_libdir}/systemd/system.conf.d/20-qris.conf
	install -Dm644 ${S}/timesyncd.conf ${D}${nonarch_libdir}/systemd/timesyncd.conf.d/20-qris.conf
	install -Dm644 ${S}/sysctl.conf ${D}${nonarch_libdir}/sysctl.d/20-qris.conf
	# Where partitions are mounted on a root that is never written.
	install -d ${D}/boot ${D}/data
}

FILES:${PN} += "/boot /data ${systemd_system_unitdir} ${nonarch_libdir}/systemd ${nonarch_libdir}/sysctl.d"

RDEPENDS:${PN} = "e2fsprogs-resize2fs util-linux-partx util-linux-sfdisk"
# Where the kernel has it as a module.
RRECOMMENDS:${PN} = "kernel-module-overlay"

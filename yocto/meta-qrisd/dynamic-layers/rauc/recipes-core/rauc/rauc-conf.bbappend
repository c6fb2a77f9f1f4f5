FILESEXTRAPATHS:prepend:qris-rauc := "${THISDIR}/files:"

QRIS_ROOT:qris-rauc = "/dev/${QRIS_DISK}${@'p' if d.getVar('QRIS_DISK')[-1].isdigit() else ''}"

do_install:prepend:qris-rauc() {
	sed -i -e 's|@COMPATIBLE@|${QRIS_RAUC_COMPATIBLE}|' -e 's|@KEYRING@|${@os.path.basename(d.getVar('RAUC_KEYRING_FILE'))}|' \
		-e 's|@ROOT@|${QRIS_ROOT}|' ${UNPACKDIR}/system.conf
}

PACKAGE_ARCH:qris-rauc = "${MACHINE_ARCH}"

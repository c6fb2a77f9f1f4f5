FILESEXTRAPATHS:prepend:qris-rauc := "${THISDIR}/files:"

SRC_URI:append:qris-rauc = " file://rauc.cfg"

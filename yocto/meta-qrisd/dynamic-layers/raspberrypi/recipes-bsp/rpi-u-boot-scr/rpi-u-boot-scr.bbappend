FILESEXTRAPATHS:prepend:qris-rauc := "${THISDIR}/rauc:"

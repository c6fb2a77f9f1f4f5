SUMMARY = "All that a machine needs to take QRIS payments"
DESCRIPTION = "The services qrisd and qris-relayd, and qrisctl, which sets them up and lists panels and GPIO lines, to add to any \
image with systemd."
LICENSE = "MIT"

inherit packagegroup features_check

REQUIRED_DISTRO_FEATURES = "systemd"

RDEPENDS:${PN} = "qrisctl qrisd"

SUMMARY = "An update of qris-image, signed"
DESCRIPTION = "What `qrisctl fleet run update` takes: the root of qris-image, for RAUC. RAUC_KEY_FILE and RAUC_CERT_FILE sign it."
# A name that nobody can have (RFC 2606), until there is a place that publishes this: a recipe must name one.
HOMEPAGE = "https://qrisd.invalid"
LICENSE = "MIT"
SRC_URI = ""

inherit bundle features_check

REQUIRED_DISTRO_FEATURES = "rauc"

RAUC_BUNDLE_FORMAT = "verity"
RAUC_BUNDLE_COMPATIBLE = "${QRIS_RAUC_COMPATIBLE}"
RAUC_BUNDLE_VERSION ?= "${DISTRO_VERSION}"
RAUC_BUNDLE_SLOTS = "rootfs"
RAUC_SLOT_rootfs = "qris-image"
RAUC_SLOT_rootfs[fstype] = "ext4"

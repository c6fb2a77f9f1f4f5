SUMMARY = "A machine that takes QRIS payments, from power-on"
DESCRIPTION = "systemd, a root that is never written, two of them for updates, and /data for what must survive: the \
configuration, the orders, the ledger of the relay, the journal. conf/qris.inc belongs to it."
LICENSE = "MIT"

inherit core-image features_check

REQUIRED_DISTRO_FEATURES = "systemd usrmerge"

IMAGE_FEATURES += "overlayfs-etc read-only-rootfs"
IMAGE_INSTALL = "\
    packagegroup-core-boot \
    packagegroup-machine-base \
    packagegroup-qrisd \
    qris-image-base \
    ${@bb.utils.contains('COMBINED_FEATURES', 'wifi', 'wireless-regdb-static wpa-supplicant', '', d)} \
    ${CORE_IMAGE_EXTRA_INSTALL} \
"
IMAGE_LINGUAS = ""

# The card: boot, root A, root B, data. An update writes the root that does not run; the ext4 is what it takes.
IMAGE_FSTYPES = "ext4 wic.bmap wic.zst"
WKS_FILE = "qris-image.wks.in"
QRIS_DISK ?= "mmcblk0"
QRIS_DISK:qemuall ?= "vda"
QRIS_BOOT_SOURCE ?= "--source bootimg-partition"
# Its kernel comes from outside; the partition is there all the same, so that the numbers are those of a board.
QRIS_BOOT_SOURCE:qemuall ?= ""
QRIS_ROOT_MB ?= "1024"
QRIS_DATA_MB ?= "256"
# runqemu starts the whole card.
IMAGE_FSTYPES:append:qemuall = " wic"
QB_DEFAULT_FSTYPE:qemuall = "wic"
QB_KERNEL_ROOT:qemuall = "/dev/vda2"
IMAGE_ROOTFS_MAXSIZE = "${@int(d.getVar('QRIS_ROOT_MB')) * 1024}"

# /etc is what the image has, with what was changed on the machine over it, from /data. It is mounted before systemd starts,
# and the root is not written for it: qris-image-base brings the directory.
OVERLAYFS_ETC_MOUNT_POINT = "/data"
OVERLAYFS_ETC_DEVICE ?= "/dev/${QRIS_DISK}${@'p' if d.getVar('QRIS_DISK')[-1].isdigit() else ''}4"
OVERLAYFS_ETC_FSTYPE = "ext4"
OVERLAYFS_ETC_MOUNT_OPTIONS = "noatime"
OVERLAYFS_ETC_CREATE_MOUNT_DIRS = "0"

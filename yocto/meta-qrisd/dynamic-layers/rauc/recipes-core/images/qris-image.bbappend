REQUIRED_DISTRO_FEATURES:append:qris-rauc = " polkit"

# Each root has its own kernel: an update brings both, and U-Boot starts both.
IMAGE_INSTALL:append:qris-rauc = " kernel-image libubootenv-bin polkit rauc u-boot-env"
RPI_EXTRA_IMAGE_BOOT_FILES:remove:qris-rauc = "${KERNEL_IMAGETYPE}"

# qrisd says that a new system is good, once it has proven itself (qrisctl fleet run update). So nothing else may.
BAD_RECOMMENDATIONS:append:qris-rauc = " rauc-mark-good"

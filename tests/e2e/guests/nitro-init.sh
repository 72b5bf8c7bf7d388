#!/bin/busybox sh
# The first process of the image for QEMU's nitro-enclave machine. Debian's kernel has the drivers of an enclave as modules;
# that of the NSM is the kernel's own.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in virtio_mmio vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport nsm cuse; do
    /bin/insmod /modules/$module.ko || echo "e2e: cannot load $module"
done
exec /bin/enclave-sample init --no-heartbeat /app/run

#!/hardware/busybox sh
# What stands for the Nitro hypervisor in an enclave guest of the tests, and is not part of the measured image: drivers that
# the kernel of a real enclave has built in, and a /dev/nsm whose registers are computed from the image file that was
# booted. Then the image's own first process takes over.
b=/hardware/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in virtio_mmio vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport cuse; do
    $b insmod /hardware/modules/$module.ko || echo "e2e: cannot load $module"
done
/hardware/lib/ld-linux-x86-64.so.2 --library-path /hardware/lib /hardware/nsm-simulator \
    --development-root /hardware/development-root --eif /hardware/image.eif &
waited=0
until [ -c /dev/nsm ] || [ $waited -ge 600 ]; do
    $b usleep 100000
    waited=$((waited + 1))
done
echo "e2e: enclave hardware up"
exec /init "$@"

#!/bin/busybox sh
# The parent instance: the broker on its vsock, and a forwarder to the same broker on its loopback. Commands come over the
# console, one a line.
mount() { /bin/busybox mount "$@"; }
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in virtio_mmio vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport; do
    insmod /modules/$module.ko || echo "e2e: cannot load $module"
done
ip link set lo up
echo "e2e| clock: $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource), $(date)"

nitro-key-broker --data-dir /data serve --listen vsock+tls://any:8443 --listen https://127.0.0.1:8445 --listen vsock://any:8446 \
    --trust-anchor /development-root.pem >/tmp/serve 2>/tmp/serve.log &
broker=$!
until [ "$(wc -l </tmp/serve)" = 3 ]; do usleep 100000; kill -0 $broker || break; done
nitro-key-broker forward --route vsock://any:8444=localhost:8445 --metrics 127.0.0.1:9464 \
    >/tmp/forward 2>/tmp/forward.log &
forwarder=$!
until [ "$(wc -l </tmp/forward)" = 2 ]; do usleep 100000; kill -0 $forwarder || break; done
sed 's/^/e2e| /' /tmp/serve /tmp/serve.log /tmp/forward /tmp/forward.log
echo "e2e: parent up"

while read -r command; do
    echo "e2e: begin $command"
    case $command in
    audit) cat /data/audit.jsonl ;;
    metrics) wget -q -O - http://127.0.0.1:9464/metrics ;;
    logs) cat /tmp/serve.log /tmp/forward.log ;;
    stop)
        kill -TERM $broker $forwarder
        wait $broker
        echo "e2e: broker ended $?"
        wait $forwarder
        echo "e2e: forwarder ended $?"
        ;;
    esac
    echo "e2e: end $command"
    [ "$command" = stop ] && break
done
reboot -f

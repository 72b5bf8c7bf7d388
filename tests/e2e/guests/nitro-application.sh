#!/bin/busybox sh
# The machine's NSM measures and does not sign. Its documents are shown to the broker as they are; then documents over the
# same registers, signed under the development root.
export PATH=/bin ENCLAVE_SAMPLE_ENDPOINT=vsock://3:8443 ENCLAVE_SAMPLE_CA=/app/ca.pem
echo "e2e| clock: $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource), $(date)"

try() {
    name=$1
    shift
    "$@" >/tmp/out 2>/tmp/err
    status=$?
    sed "s/^/e2e| $name| /" /tmp/err
    echo "e2e: $name $status"
    return $status
}

try unsigned enclave-sample --max-attempts 1 generate-random --number-of-bytes 32

nsm-simulator --development-root /app/development-root --measured-by /dev/nsm --device nsm_signed >/tmp/simulator 2>&1 &
waited=0
until [ -c /dev/nsm_signed ] || [ $waited -ge 600 ]; do
    usleep 100000
    waited=$((waited + 1))
done
sed 's/^/e2e| measured| /' /tmp/simulator
try signed enclave-sample --nsm /dev/nsm_signed generate-data-key --key-id alias/app --key-spec AES_256
echo "e2e: application done"

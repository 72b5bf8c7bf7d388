#!/bin/busybox sh
# The application of the enclave image. It says of each thing it does how it ended, in a line of its own:
# `e2e: NAME STATUS`, behind what was written to standard error.
# Variant 0 of the image.
export PATH=/bin

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

member() {
    sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$2"
}

decrypt() {
    member CiphertextBlob /tmp/generated | base64 -d >/tmp/blob
    enclave-sample decrypt --ciphertext-blob fileb:///tmp/blob --encryption-context app=e2e >/tmp/decrypted &&
        [ "$(member Plaintext /tmp/decrypted)" = "$(member Plaintext /tmp/generated)" ]
}

seal_and_open() {
    head -c 300000 /bin/busybox >/tmp/file &&
        enclave-sample seal --key-id alias/app /tmp/file &&
        enclave-sample open /tmp/file.sealed --output /tmp/opened &&
        cmp /tmp/file /tmp/opened
}

# What an SDK does: it knows of no enclave, and has an endpoint on the loopback.
through_proxy() {
    wget -q -O /tmp/answer --header 'Content-Type: application/x-amz-json-1.1' \
        --header 'X-Amz-Target: TrentService.GenerateDataKey' \
        --post-data '{"KeyId": "alias/app", "KeySpec": "AES_256"}' "$AWS_ENDPOINT_URL_KMS/" &&
        [ "$(member Plaintext /tmp/answer | base64 -d | wc -c)" = 32 ] &&
        ! grep CiphertextForRecipient /tmp/answer
}

derive() {
    member PublicKey /tmp/key-pair | base64 -d >/tmp/public-key
    enclave-sample derive-shared-secret --key-id alias/agreement --key-agreement-algorithm ECDH \
        --public-key fileb:///tmp/public-key >/tmp/derived &&
        [ "$(member SharedSecret /tmp/derived | base64 -d | wc -c)" = 32 ]
}

boto3() {
    PYTHONHOME=/usr PYTHONPATH=/usr/lib/python-site python3 /app/boto3_calls.py >&2
}

through_forwarder() {
    ENCLAVE_SAMPLE_ENDPOINT=vsock://3:8444 enclave-sample generate-random --number-of-bytes 32
}

# The broker's certificate is of the CA in this image and of no other.
wrong_ca() {
    ENCLAVE_SAMPLE_CA=/app/other-ca.pem enclave-sample --max-attempts 1 generate-random --number-of-bytes 32
}

try GenerateRandom enclave-sample generate-random --number-of-bytes 32
if try GenerateDataKey \
    enclave-sample generate-data-key --key-id alias/app --key-spec AES_256 --encryption-context app=e2e; then
    cp /tmp/out /tmp/generated
    try Decrypt decrypt
    try GenerateDataKeyPair \
        enclave-sample generate-data-key-pair --key-id alias/app --key-pair-spec ECC_NIST_P256
    cp /tmp/out /tmp/key-pair
    try DeriveSharedSecret derive
    try seal-and-open seal_and_open
    try proxy through_proxy
    try boto3 boto3
    try forwarder through_forwarder
    try wrong-ca wrong_ca
fi
echo "e2e: application done"

#!/bin/busybox sh
# The first process of the enclave image: where the broker is and how it is known is part of the image, and so measured.
export ENCLAVE_SAMPLE_ENDPOINT=vsock://3:8443 ENCLAVE_SAMPLE_CA=/app/ca.pem
exec /bin/enclave-sample init --proxy 127.0.0.1:8000 /app/run

# syntax=docker/dockerfile:1
# One static-as-possible binary: librdkafka, OpenSSL, zlib and zstd are built in.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends make perl g++ pkg-config python3 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/build/target,sharing=locked \
    cargo build --release --locked --bin tickhouse \
    && mkdir -p /out/lake \
    && python3 infra/third_party_notices.py -o /out/THIRD_PARTY_NOTICES \
    && strip -o /out/tickhouse target/release/tickhouse

# glibc, libgcc and the certificates of public authorities; no shell, no package manager; user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="tickhouse" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/tickhouse /usr/local/bin/tickhouse
COPY --from=build /build/LICENSE /out/THIRD_PARTY_NOTICES /usr/share/doc/tickhouse/
# A volume that is mounted here belongs to the user of the process.
COPY --from=build --chown=65532:65532 /out/lake /lake
USER 65532:65532
WORKDIR /lake
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/tickhouse"]
CMD ["--help"]

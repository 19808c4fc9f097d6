# syntax=docker/dockerfile:1
#   docker build -t portcullis:0.1.0 .

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches keep what was downloaded and compiled between builds; the binary has to leave them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin portcullis \
    && install -D target/release/portcullis /out/portcullis

FROM debian:bookworm-slim
# To verify an identity provider's certificate when its keys are fetched.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/portcullis /usr/local/bin/portcullis
# By number, so that Kubernetes can tell it is not root; the same as Envoy's distroless image, so
# that the two can share a Unix socket.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/portcullis"]
CMD ["serve", "--policies", "/etc/portcullis/policies"]

# The server in an image with one file: `docker build -t tinytcp-server .`
FROM rust:1.95-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
# Rust links statically with musl.
RUN cargo build --release --locked --no-default-features --features server,tls --bin tinytcp-server

FROM scratch
COPY --from=build /src/target/release/tinytcp-server /tinytcp-server
# No user of the host, and none with a name.
USER 65534:65534
# The administrative listener stays on the loopback of the container, where --health asks it.
ENV TINYTCP_ADMIN=http://127.0.0.1:9464
EXPOSE 40000 65432 8888 9999
HEALTHCHECK --interval=10s --timeout=3s CMD ["/tinytcp-server", "--health"]
# The server is process 1: it catches SIGTERM itself, and has no children.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/tinytcp-server"]
# Clients are outside of the container, and so is their loopback.
CMD ["--host", "0.0.0.0"]

# An image with one file, the server: `docker build -t tinytcp-server .`
FROM rust:1.95-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
# For musl, Rust links statically: the program needs no other file.
RUN cargo build --release --locked --no-default-features --features server,tls --bin tinytcp-server

FROM scratch
COPY --from=build /src/target/release/tinytcp-server /tinytcp-server
# The server needs no privileges. This number belongs to no user of the image or the host.
USER 65534:65534
# The administrative listener stays on the loopback of the container, where --health asks it.
ENV TINYTCP_ADMIN=http://127.0.0.1:9464
EXPOSE 40000 65432 8888 9999
HEALTHCHECK --interval=10s --timeout=3s CMD ["/tinytcp-server", "--health"]
# The server is process 1: it catches SIGTERM itself, and has no children.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/tinytcp-server"]
# Clients connect from outside of the container, so its loopback would not do.
CMD ["--host", "0.0.0.0"]

# syntax=docker/dockerfile:1
# The binary needs glibc and nothing else; the image has no shell and runs as nobody.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# Dependencies first: a layer that changes only with the lock file.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --release --locked --features aws,kafka-tls && rm -r src
COPY src src
COPY templates templates
COPY config config
COPY migrations migrations
# New times, so that cargo does not take the empty crate of the layer above for this one.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked --features aws,kafka-tls && mkdir /empty

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/gatepost /usr/local/bin/gatepost
COPY --from=build --chown=65532:65532 /empty /data
USER 65532:65532
VOLUME /data
WORKDIR /data
# The public side for everyone, the admin side for this container alone. To reach it from outside, give it a token
# (`admin.tokens`) and set GATEPOST__ADMIN__LISTEN=0.0.0.0:8081.
ENV GATEPOST__SERVER__LISTEN=0.0.0.0:8080 \
    GATEPOST__STORE__URL=sqlite:/data/gatepost.db
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/gatepost", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/gatepost"]
CMD ["serve"]

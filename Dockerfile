# The image from source, for `docker build .` where the public Rust image can be had. `make image`
# makes the same image from a binary built here, and a test compares the last stage with it.
#
#   docker build --build-arg REVISION=$(git rev-parse HEAD) -t sidegate .
#   docker build --build-arg CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt ...   with public CA roots

FROM rust:1.95.0-bookworm AS build
ARG REVISION=unknown
ARG SOURCE_DATE_EPOCH=0
# A PEM file in this stage: empty for an image that believes no public CA.
ARG CA_BUNDLE=
# The paths at which deploy/image/binary builds everywhere.
ENV CARGO_HOME=/srv/cargo
WORKDIR /srv/sidegate
COPY . .
RUN deploy/image/binary /out/sidegate && deploy/image/root /out/sidegate /image ${CA_BUNDLE}

FROM scratch
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="sidegate" \
    org.opencontainers.image.description="mTLS and a verified JWT in front of a plain HTTP service" \
    org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}"
COPY --from=build /image/ /
ENV PATH=/
USER 65532:65532
EXPOSE 8443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/sidegate", "probe"]
ENTRYPOINT ["/sidegate"]
CMD ["run", "--config", "/etc/sidegate/sidegate.toml"]

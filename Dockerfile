# syntax=docker/dockerfile:1
# One image with the `plamatio` binary and the shipped SQL. Built with thin LTO (profile dist),
# which takes much longer than the development build: count on half an hour on two cores.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The caches outlive the layer, so that a changed source file does not rebuild every dependency.
# What they hold is not in the image: the binary is copied out in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    CARGO_TARGET_DIR=/src/target cargo build --locked --profile dist -p plamatio \
    && install -D -m 0755 target/dist/plamatio /out/plamatio

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/plamatio plamatio \
    && install -d -o plamatio -g plamatio /var/lib/plamatio /var/lib/plamatio/lake
COPY --from=build /out/plamatio /usr/local/bin/plamatio
COPY queries/metrics /usr/share/plamatio/metrics
COPY queries/reports /usr/share/plamatio/reports
COPY LICENSE /usr/share/doc/plamatio/LICENSE
USER plamatio
WORKDIR /var/lib/plamatio
# a container is reached from outside of itself
ENV PLAMATIO_LISTEN=0.0.0.0:8080 \
    PLAMATIO_LAKE=/var/lib/plamatio/lake
EXPOSE 8080
# a signal drains, flushes the sinks and commits the offsets
STOPSIGNAL SIGTERM
ENTRYPOINT ["plamatio"]
CMD ["serve"]

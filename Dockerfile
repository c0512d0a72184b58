# syntax=docker/dockerfile:1
FROM python:3.12-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --constraint constraints.txt --wheel-dir /wheels .

# unrote on one machine: docker run --rm -v "$PWD:/data" unrote clean /data/in -o /data/out
FROM python:3.12-slim-bookworm AS unrote
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels unrote && rm -rf /wheels \
  && useradd --create-home --uid 1000 unrote
ENV NUMBA_CACHE_DIR=/home/unrote/.cache/numba PYTHONUNBUFFERED=1
USER unrote
WORKDIR /data
ENTRYPOINT ["unrote"]
CMD ["--help"]

# The same with the Java that Spark needs: docker build --target spark .
FROM unrote AS spark
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
  && rm -rf /var/lib/apt/lists/*
ENV JAVA_HOME=/usr/lib/jvm/java-17-openjdk-amd64
USER unrote

# What `docker build .` gives.
FROM unrote

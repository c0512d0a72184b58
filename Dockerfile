# syntax=docker/dockerfile:1
FROM python:3.12-slim-bookworm AS wheel
WORKDIR /source
COPY . .
# torch first, in its build for processors: PyPI's brings gigabytes of CUDA. With a GPU, leave it out.
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels \
  --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' constraints.txt)"
RUN pip wheel --no-cache-dir --constraint constraints.txt --find-links /wheels --wheel-dir /wheels '.[pii,score]'

# unrote on one machine: docker run --rm -v "$PWD:/data" unrote clean /data/in -o /data/out
FROM python:3.12-slim-bookworm AS unrote
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels 'unrote[pii,score]' && rm -rf /wheels \
  && useradd --create-home --uid 1000 unrote
ENV PYTHONUNBUFFERED=1
USER unrote
WORKDIR /data
ENTRYPOINT ["unrote"]
CMD ["--help"]

# With Spark, and the Java that it needs: docker build --target spark .
# procps: Spark looks at its processes with ps.
FROM unrote AS spark
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends \
  openjdk-17-jre-headless procps && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /constraints.txt
RUN --mount=from=wheel,source=/wheels,target=/wheels \
  pip install --no-cache-dir --constraint /constraints.txt --find-links /wheels 'unrote[pii,score,spark]'
ENV PYSPARK_PYTHON=/usr/local/bin/python
USER unrote

# With Beam: docker build --target beam .
FROM unrote AS beam
USER root
COPY constraints.txt /constraints.txt
RUN --mount=from=wheel,source=/wheels,target=/wheels \
  pip install --no-cache-dir --constraint /constraints.txt --find-links /wheels 'unrote[pii,score,beam]'
USER unrote

# What `docker build .` gives.
FROM unrote

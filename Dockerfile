# docker build -t textsieve .
# docker run --rm --network none -v "$PWD:/data" --user "$(id -u):$(id -g)" textsieve run pages/ -o OUT
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
# Some dependencies have no wheel for every platform; what compiles them stays out of the image.
# Not pinned: Debian drops old versions, and a pinned one soon cannot be installed.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/textsieve
WORKDIR /src
COPY pyproject.toml README.md LICENSE hatch_build.py ./
COPY filter filter
COPY models models
ARG EXTRAS=parquet
RUN /opt/textsieve/bin/pip install --no-cache-dir ".[${EXTRAS}]"

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="textsieve" \
      org.opencontainers.image.description="Cleans, classifies and splits scraped articles" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/textsieve /opt/textsieve
# One thread for each worker process: --jobs says how many there are.
ENV PATH=/opt/textsieve/bin:$PATH PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
RUN useradd --no-create-home --uid 10001 textsieve
# By number, so that Kubernetes can see that it is not root.
USER 10001
WORKDIR /data
ENTRYPOINT ["textsieve"]
CMD ["--help"]

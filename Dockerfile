# One image for API, worker, console, codec server and migrations; the command decides which.
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/warmpath/.venv
WORKDIR /opt/warmpath
COPY deploy/requirements.lock ./
RUN .venv/bin/pip install --require-hashes -r requirements.lock
COPY . .
RUN .venv/bin/pip install --no-deps -e .

FROM python:3.11.13-slim-bookworm
ENV PATH=/opt/warmpath/.venv/bin:$PATH PYTHONUNBUFFERED=1 WARMPATH_VAR_DIR=/var/lib/warmpath
RUN useradd --system --uid 10001 --create-home warmpath \
    && install -d -o warmpath -g warmpath /var/lib/warmpath
COPY --from=build /opt/warmpath /opt/warmpath
WORKDIR /opt/warmpath
USER warmpath
VOLUME /var/lib/warmpath
EXPOSE 8000 8081 8501 10040 10041 10042 10044
CMD ["uvicorn", "api.app:create", "--factory", "--host", "0.0.0.0", "--port", "8000"]

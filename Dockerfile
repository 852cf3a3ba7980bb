# One image, one process a container: `api` (default), `worker`, `migrate`, `audit`, …
FROM python:3.11-slim AS packages
COPY requirements.lock .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin rushcart
COPY --from=packages /venv /venv
WORKDIR /srv/rushcart
COPY app app
COPY lua lua
COPY sql sql
RUN /venv/bin/python -m compileall -q app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RUSHCART_ENV=production \
    RUSHCART_HOST=0.0.0.0 \
    RUSHCART_PORT=8000
USER rushcart
EXPOSE 8000
# Signals reach Python itself, which drains: give it 30 s (docker stop --timeout 30).
ENTRYPOINT ["python", "-m", "app"]
CMD ["api"]

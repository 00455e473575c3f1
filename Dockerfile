# Two stages: the first installs the locked versions into /opt/tiketi, the second has only those, Python and a user.

FROM python:3.11-slim AS built

WORKDIR /src
RUN python -m venv /opt/tiketi
# The dependencies by themselves first: they change less often than the product does.
COPY pyproject.toml constraints.txt README.md ./
RUN mkdir app workers loadtest config && touch app/__init__.py \
    && /opt/tiketi/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[beacon]' \
    && /opt/tiketi/bin/pip uninstall --yes --quiet tiketi
COPY app app
COPY workers workers
COPY loadtest loadtest
COPY config config
RUN /opt/tiketi/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/tiketi/bin/pip check \
    && /opt/tiketi/bin/pip uninstall --yes --quiet pip setuptools

FROM python:3.11-slim

# Nobody installs anything in here any more.
RUN pip uninstall --yes --quiet --root-user-action=ignore pip setuptools wheel 2>/dev/null || true; \
    useradd --uid 10001 --create-home --shell /usr/sbin/nologin tiketi \
    && install -d -o tiketi -g tiketi -m 700 /data
COPY --from=built /opt/tiketi /opt/tiketi

USER tiketi
WORKDIR /home/tiketi
ENV PATH=/opt/tiketi/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TIKETI_DATA_DIR=/data HOST=0.0.0.0 TIKETI_DEMO=0
VOLUME /data
EXPOSE 8000

# The first admin: docker exec -it CONTAINER tiketi admin create EMAIL.
# Alone it runs everything, Redis and the database included; compose.yaml runs each process in a container of its own.
CMD ["tiketi", "up"]

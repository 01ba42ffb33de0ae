# The wake-word service alone, without torch: `docker build -t kws .`
# docker run -p 127.0.0.1:10400:10400 -v "$PWD/models:/models:ro" kws

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY kws kws
COPY data_prep data_prep
COPY export export
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
COPY constraints.txt /wheels/
COPY --from=build /wheels/ /wheels/
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt "$(ls /wheels/kws-*.whl)[serve]"
USER 65534:65534
EXPOSE 10400
VOLUME /models
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["kws", "serve", "--check", "tcp://127.0.0.1:10400"]
ENTRYPOINT ["kws", "serve"]
CMD ["/models", "--uri", "tcp://0.0.0.0:10400", "--log-format", "json"]

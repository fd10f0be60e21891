# The gateway with its embedded store. One volume holds all it keeps.
#   docker build -t farebox . && docker run -p 8080:8080 -e OPENAI_API_KEY -v farebox:/data farebox
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/farebox
COPY pyproject.toml README.md LICENSE config.example.yaml ./
COPY gateway gateway
COPY pricing pricing
RUN /opt/farebox/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data farebox \
    && install -d -o farebox -g farebox -m 0700 /data
COPY --from=build /opt/farebox /opt/farebox
ENV PATH=/opt/farebox/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER farebox
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["farebox"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]

# zoo serve, on a CPU
FROM python:3.12-slim
COPY . /source
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
    && pip install --no-cache-dir "/source[serve]" \
    && apt-get purge -y --auto-remove gcc libc6-dev && rm -rf /source /var/lib/apt/lists/*
RUN useradd --create-home zoo
USER zoo
EXPOSE 8000
ENTRYPOINT ["zoo", "serve", "--host", "0.0.0.0"]

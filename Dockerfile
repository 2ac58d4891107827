# docker build --target cpu -t llm-dit .         the classical pipeline, about 0.5 GB
# docker build --target cuda -t llm-dit:cuda .   the same with torch and diffusers, for an NVIDIA GPU
# docker run -p 127.0.0.1:8000:8000 -e LLM_DIT_SERVER__TOKEN -v llm-dit-data:/data llm-dit
#
# deploy/compose.yaml has both with a read-only root. scripts/try_image.sh builds and tries them without Docker.
#
# A container sees every client as another machine, so it needs a token: export LLM_DIT_SERVER__TOKEN before the line
# above, or, as long as the port is published on 127.0.0.1 alone, -e LLM_DIT_SERVER__INSECURE=true in its place.
# For the LAN publish -p 8000:8000, and name what browsers will type, for instance the host's own address:
# -e LLM_DIT_SERVER__ALLOWED_HOSTS=192.168.1.20,studio.lan
FROM python:3.11-slim AS cpu
RUN useradd --uid 1000 studio && install -d -o studio -g studio /data
WORKDIR /app
COPY deploy/as-owner.sh /usr/local/bin/as-owner
COPY requirements requirements
COPY pyproject.toml LICENSE config.toml ./
COPY src src
COPY cli cli
COPY server server
COPY web web
COPY static static
COPY templates templates
RUN pip install --no-cache-dir --constraint requirements/base.txt . && llm-dit models fetch
# Inside a container only the published port is reachable, and only by way of this address. Libraries ask for a user's
# name and home, which PUID need not have.
ENV LLM_DIT_SERVER__HOST=0.0.0.0 LLM_DIT_SERVER__PORT=8000 LLM_DIT_SERVER__DATA_DIR=/data PUID=1000 PGID=1000 \
    USER=studio HOME=/tmp
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["llm-dit", "health"]
# Starts as root, gives the data folder to PUID:PGID and continues as that user.
ENTRYPOINT ["as-owner"]
CMD ["llm-dit", "serve"]

# torch's wheels bring their own CUDA libraries; the host needs the driver and the NVIDIA container toolkit.
FROM cpu AS cuda
RUN pip install --no-cache-dir --constraint requirements/base.txt --constraint requirements/qwen.txt '.[qwen]'
ENV HF_HOME=/data/huggingface TRITON_CACHE_DIR=/data/triton

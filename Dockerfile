# docker build --target cpu -t llm-dit .         the classical pipeline, about 0.5 GB
# docker build --target cuda -t llm-dit:cuda .   the same with torch and diffusers, for an NVIDIA GPU
# docker run -p 127.0.0.1:8000:8000 -v llm-dit-data:/data llm-dit
FROM python:3.11-slim AS cpu
RUN useradd --create-home --uid 1000 studio && install -d -o studio /data
WORKDIR /app
COPY requirements requirements
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY server server
COPY web web
COPY static static
COPY templates templates
RUN pip install --no-cache-dir --constraint requirements/base.txt .
# Inside a container only the published port is reachable: publish it on 127.0.0.1 unless the LAN shall see it.
ENV LLM_DIT_SERVER__HOST=0.0.0.0 LLM_DIT_SERVER__DATA_DIR=/data
USER studio
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
CMD ["llm-dit", "serve"]

# torch's wheels bring their own CUDA libraries; the host needs the driver and the NVIDIA container toolkit.
FROM cpu AS cuda
USER root
RUN pip install --no-cache-dir --constraint requirements/base.txt --constraint requirements/qwen.txt '.[qwen]'
ENV HF_HOME=/data/huggingface
USER studio

# The app with the model that ships: docs/deploying.md says how to run it.
FROM python:3.11-slim AS build
# where torch comes from; this one has builds without CUDA, a tenth of the size
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
RUN python -m venv /opt/clipcond
COPY constraints.txt ./
RUN /opt/clipcond/bin/pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY clipcond clipcond
COPY demos demos
COPY weights/emoji weights/emoji
COPY weights/judge weights/judge
RUN /opt/clipcond/bin/pip install --no-cache-dir -c constraints.txt ".[demo]"

FROM python:3.11-slim
COPY --from=build /opt/clipcond /opt/clipcond
# all that is written, uploads above all, is written below /tmp; models of the hub, where others are wanted, lie in /models
ENV PATH=/opt/clipcond/bin:$PATH \
    HOME=/tmp \
    HF_HOME=/models \
    HF_HUB_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=8)"]
ENTRYPOINT ["clipcond"]
CMD ["app", "--host", "0.0.0.0", "--port", "7860"]

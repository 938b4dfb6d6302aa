# As Dockerfile, for batch deployments: these start through packages of Azure ML's own, which ask for
# other versions than textgauge does. So textgauge has an environment of its own here, and is called
# as a command.
FROM python:3.11-slim

COPY *.whl constraints.txt /opt/textgauge/
RUN python -m venv /opt/textgauge/venv \
    && /opt/textgauge/venv/bin/pip install --no-cache-dir --constraint /opt/textgauge/constraints.txt \
    "$(ls /opt/textgauge/*.whl)" \
    && ln -s /opt/textgauge/venv/bin/textgauge /usr/local/bin/textgauge
RUN pip install --no-cache-dir azureml-core "azureml-dataset-runtime[fuse]"

RUN mkdir --mode 1777 /var/lib/textgauge
ENV TEXTGAUGE_STORE=/var/lib/textgauge/mlflow.db
ENV GIT_PYTHON_REFRESH=quiet

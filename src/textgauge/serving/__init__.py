"""A saved model behind HTTP: predictions, explanations, a table scored, and a page for people.

    limits.py     how much a client may ask for, and how long it may take
    faults.py     what a client is told where something is refused, in one shape
    model.py      a loaded model, and what it answers
    batching.py   requests that come at the same time are computed together, in one thread
    watching.py   the model is replaced where its alias moves
    messages.py   what is asked and answered, as JSON and in the OpenAPI document
    tables.py     a CSV file in, the same with predictions out
    metrics.py    what is counted, for Prometheus
    guard.py      around every request: token, size, time, counting
    protocol.py   around every connection: slow clients, too many of them
    app.py        the addresses
    server.py     start and end of the process
    page/         what a browser shows at /

An edge, as tracking and engines are: it prints nothing and knows no torch.
"""

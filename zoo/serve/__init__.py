"""Models over HTTP by the Open Inference Protocol v2, with the numbers of `zoo predict`.

app.py is the service as an ASGI application; server.py runs it. Starlette, uvicorn and prometheus-client come with the
extra `serve`.
"""

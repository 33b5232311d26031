"""Models over HTTP by the Open Inference Protocol v2: the numbers of `zoo predict`, for whoever speaks it.

options.py says what can be chosen; app.py is the service as an ASGI application, which server.py runs. Starlette,
uvicorn and prometheus-client come with the extra `serve`.
"""

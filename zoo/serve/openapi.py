"""The OpenAPI description of the service, at /openapi.json, for programs that generate or test clients."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import zoo
from zoo.dna.read_options import ReadOptions
from zoo.options import StrandOptions
from zoo.serve.options import ServeOptions
from zoo.serve.protocol import BINARY_OUTPUT, INPUTS, LONGEST_ID, OUTPUT, PARAMETERS, VERSION

ERRORS = {
    "400": "The request does not follow the protocol, or the model cannot read a sequence",
    "401": "The token is missing or wrong",
    "404": "No such model or version",
    "408": "The body did not arrive in time",
    "413": "Too many sequences or bytes",
    "415": "The body is compressed",
    "421": "The header Host names another machine",
    "503": "Too busy; retry after the seconds in Retry-After",
}


def description(models: list[str], options: ServeOptions) -> dict[str, Any]:
    """An OpenAPI 3.1 document of the service that serves these models."""
    paths: dict[str, Any] = {
        "/v2": _get("Name, version and extensions of the server"),
        "/v2/health/live": _get("Whether the server runs"),
        "/v2/health/ready": _get("Whether the server is ready"),
        "/v2/models": _get("Names of the models"),
        "/metrics": _get("Counters and histograms for Prometheus", "text/plain"),
    }
    model = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "enum": models}}
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "string", "enum": [VERSION]}}
    for base, parameters in (("", [model]), ("/versions/{version}", [model, version])):
        at = f"/v2/models/{{model}}{base}"
        paths[at] = _get("Inputs, outputs and weights of a model", parameters=parameters)
        paths[f"{at}/ready"] = _get("Whether the model is ready", parameters=parameters)
        paths[f"{at}/infer"] = {"post": _infer(parameters, options)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "deepstarr-zoo", "version": zoo.__version__},
        "paths": paths,
        "components": {
            "schemas": {"Request": _request(options), "Error": _object({"error": {"type": "string"}}, ["error"])}
        },
    }


def _object(properties: dict[str, Any], required: list[str], closed: bool = True) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": not closed}


def _get(summary: str, media: str = "application/json", parameters: list[Any] | None = None) -> dict[str, Any]:
    good = {"200": {"description": summary, "content": {media: {}}}}
    return {"get": {"summary": summary, "parameters": parameters or [], "responses": good | _errors()}}


def _errors() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": text, "content": content} for status, text in ERRORS.items()}


def _infer(parameters: list[Any], options: ServeOptions) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}}
    return {
        "summary": f"Predict the activities of up to {options.max_sequences:,} sequences",
        "parameters": parameters,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": f"The output {OUTPUT}", "content": {"application/json": {}}}} | _errors(),
    }


def _request(options: ServeOptions) -> dict[str, Any]:
    tensors = [
        _object(
            {
                "name": {"const": name},
                "datatype": {"const": kind.datatype},
                "shape": _shape(1 + len(kind.shape(1)), options.max_sequences),
                "data": {
                    "type": "array",
                    "items": _value(kind.datatype),
                    "description": "the values, flat or nested",
                },
                "parameters": {"type": "object"},
            },
            ["name", "datatype", "shape", "data"],
        )
        for name, kind in INPUTS.items()
    ]
    output = _object({"name": {"const": OUTPUT}, "parameters": {"type": "object"}}, ["name"])
    return _object(
        {
            "id": {"type": "string", "maxLength": LONGEST_ID},
            "parameters": _object({name: _parameter(name) for name in PARAMETERS}, []),
            "inputs": {"type": "array", "items": {"oneOf": tensors}, "minItems": 1, "maxItems": 1},
            "outputs": {"type": "array", "items": output, "maxItems": 1},
        },
        ["inputs"],
    )


def _shape(axes: int, most: int) -> dict[str, Any]:
    size = {"type": "integer", "minimum": 0}
    bounds = {"minItems": axes, "maxItems": axes}
    return {"type": "array", "prefixItems": [{**size, "maximum": most}], "items": size, **bounds}


def _value(datatype: str) -> dict[str, Any]:
    """A value of `data`; numbers may be nested."""
    return {"type": "string", "pattern": "^[ACGTNacgtn]*$"} if datatype == "BYTES" else {"type": ["number", "array"]}


def _parameter(name: str) -> dict[str, Any]:
    if name == BINARY_OUTPUT:
        return {"type": "boolean"}
    hint = (get_type_hints(ReadOptions) | get_type_hints(StrandOptions))[name]
    return {"enum": list(get_args(get_args(hint)[0]))}

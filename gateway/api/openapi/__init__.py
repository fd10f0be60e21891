"""The API described for programs: OpenAPI 3.1, made of the tables that the handlers check by.

`operations` says what there is, `schemas` what it looks like, `document.py` puts both
together. A test holds every route, every parameter and every answer against it.
"""

from gateway.api.openapi.document import document

__all__ = ["document"]

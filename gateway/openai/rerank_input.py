"""How many tokens a reranker reads at most, where it is billed by them."""

from collections.abc import Mapping
from typing import Any

from gateway.openai.input_bound import REQUEST_OVERHEAD_TOKENS, InputBound


def rerank_bound(document: Mapping[str, Any], sent_bytes: int) -> InputBound:
    """Each document is read together with the query; what is no text has no bound.

    Source: https://docs.voyageai.com/docs/reranker, https://jina.ai/reranker.
    """
    query, documents = document.get("query"), document.get("documents")
    several = documents if isinstance(documents, list) else [documents]
    query_bytes = len(query.encode(errors="replace")) if isinstance(query, str) else 0
    opaque = sum(not _is_text(each) for each in several) + (not isinstance(query, str))
    return InputBound(sent_bytes + len(several) * query_bytes + REQUEST_OVERHEAD_TOKENS, opaque)


def _is_text(document: object) -> bool:
    if isinstance(document, dict):
        return not {"image", "image_url", "images", "audio", "video"} & document.keys()
    return isinstance(document, str)

"""Tools that the provider runs are found, however they are asked for."""

import pytest

from gateway.openai.hosted_tools import HOSTED_FIELDS, hosted_tools


@pytest.mark.parametrize(
    "document",
    [
        {},
        dict.fromkeys(["tools", *HOSTED_FIELDS]),
        {"enable_search": False, "plugins": [], "mcp_servers": []},
        {"tools": [{"type": "function"}, {"type": "custom"}, {"function": {}}, 7]},
        {"tools": "none"},
    ],
)
def test_what_the_caller_runs_costs_its_tokens(document) -> None:
    assert hosted_tools(document) is None


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"web_search_options": {}}, ("web_search_options", ("web_search",))),
        ({"tools": [{"type": "function"}, {"type": "web_search"}]}, ("tools", ("web_search",))),
        ({"tools": [{"type": "web_search_preview_2025_03_11"}]}, ("tools", ("web_search",))),
        ({"tools": [{"google_search": {}}]}, ("tools", ("web_search",))),
        (
            {"tools": [{"type": "web_search"}, {"type": "file_search"}, {"type": "web_search"}]},
            ("tools", ("file_search", "web_search")),
        ),
        ({"tools": [{"type": "web_search"}, {"type": "code_interpreter"}]}, ("tools", None)),
        ({"tools": [{"type": []}]}, ("tools", None)),
        ({"tools": [{}]}, ("tools", None)),
        ({"search_parameters": {"mode": "on"}}, ("search_parameters", None)),
        ({"enable_search": True}, ("enable_search", None)),
        ({"plugins": [{"id": "web"}]}, ("plugins", None)),
        ({"mcp_servers": [{"url": "u"}]}, ("mcp_servers", None)),
    ],
)
def test_what_the_provider_runs_is_found_with_its_fee(document, expected) -> None:
    """None where nobody knows what a use costs."""
    assert expected == hosted_tools(document)

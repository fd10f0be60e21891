"""Tools that the provider runs are found, however they are asked for."""

import pytest

from gateway.openai.hosted_tools import HOSTED_FIELDS, hosted_tools, tool_uses_max


@pytest.mark.parametrize(
    "document",
    [
        {},
        dict.fromkeys(["tools", *HOSTED_FIELDS]),
        {"enable_search": False, "plugins": [], "mcp_servers": []},
        {"tools": [{"type": "function"}, {"type": "custom"}, {"function": {}}, 7]},
        {"tools": "none"},
        {"tools": [{"type": "local_shell"}, {"type": "apply_patch"}]},
        {"tools": [{"type": "shell", "environment": {"type": "local"}}]},
        {"tools": [{"name": "f", "input_schema": {}}, {"type": "custom", "name": "g"}]},
        {"tools": [{"type": "bash_20250124"}, {"type": "text_editor_20250728"}]},
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"context_management": [{"type": 7}, "x"]},
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
        ({"tools": [{"google_search": {}}]}, ("tools", None)),  # as many queries as it likes
        (
            {"tools": [{"type": "web_search"}, {"type": "file_search"}, {"type": "web_search"}]},
            ("tools", ("file_search", "web_search")),
        ),
        ({"tools": [{"type": "web_search"}, {"type": "code_interpreter"}]}, ("tools", None)),
        (
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
            ("tools", ("container:1g",)),
        ),
        (
            {
                "tools": [
                    {"type": "shell", "environment": {"type": "container_auto"}},
                    {
                        "type": "code_interpreter",
                        "container": {"type": "auto", "memory_limit": "64g"},
                    },
                ]
            },
            ("tools", ("container:1g", "container:64g")),
        ),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, ("tools", None)),
        ({"tools": [{"type": []}]}, ("tools", None)),
        ({"tools": [{}]}, ("tools", None)),
        ({"search_parameters": {"mode": "on"}}, ("search_parameters", None)),
        ({"enable_search": True}, ("enable_search", None)),
        ({"plugins": [{"id": "web"}]}, ("plugins", None)),
        ({"mcp_servers": [{"url": "u"}]}, ("mcp_servers", None)),
        ({"tools": [{"type": "web_search_20250305"}]}, ("tools", ("web_search",))),
        ({"tools": [{"type": "web_fetch_20250910"}]}, ("tools", None)),
        ({"tools": [{"type": "shell"}]}, ("tools", None)),
        ({"tools": [{"type": "shell", "environment": {"type": "auto"}}]}, ("tools", None)),
        (
            {"context_management": {"edits": [{"type": "compact_20260112"}]}},
            ("context_management", None),
        ),
        ({"context_management": [{"type": "compaction"}]}, ("context_management", None)),
    ],
)
def test_what_the_provider_runs_is_found_with_its_fee(document, expected) -> None:
    """None where nobody knows what a use costs."""
    assert expected == hosted_tools(document)


@pytest.mark.parametrize(
    ("document", "uses"),
    [
        ({"tools": [{"type": "web_search"}], "max_tool_calls": 3}, 3),
        ({"tools": [{"type": "web_search"}]}, None),
        ({"tools": [{"type": "web_search_1", "max_uses": 2}, {"type": "web_fetch_1"}]}, None),
        ({"tools": [{"type": "a_1", "max_uses": 2}, {"type": "b_1", "max_uses": 3}]}, 5),
        ({"tools": [{"type": "function"}, {"type": "a_1", "max_uses": 2}]}, 2),
        ({"tools": [{"type": "a_1", "max_uses": 2}], "mcp_servers": [{}]}, None),
        ({"web_search_options": {}}, None),
    ],
)
def test_how_often_tools_may_run(document, uses) -> None:
    """``max_tool_calls`` of all, or Anthropic's ``max_uses`` of each; else nothing bounds it."""
    assert uses == tool_uses_max(document)

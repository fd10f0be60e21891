"""A gateway without a config file: every provider whose key is in the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from gateway.config.faults import ConfigError, Fault
from gateway.config.kept import APP_TOKEN_FILE, kept_secret
from gateway.config.load import parsed
from gateway.config.model import Config

DATA_DIR = Path("farebox-data")


class Known(NamedTuple):
    variable: str
    name: str
    base_url: str
    models: tuple[str, ...]
    small: str
    """A cheap model it has: what a first call asks for."""


KNOWN: Final = (
    Known(
        "OPENAI_API_KEY",
        "openai",
        "https://api.openai.com/v1",
        ("gpt-*", "chatgpt-*", "o[0-9]*", "codex-*", "text-embedding-*", "ft:*"),
        "gpt-4o-mini",
    ),
    Known(
        "ANTHROPIC_API_KEY",
        "anthropic",
        "https://api.anthropic.com/v1",
        ("claude-*",),
        "claude-haiku-4-5",
    ),
    Known(
        "GEMINI_API_KEY",
        "google",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("gemini-*", "gemma-*"),
        "gemini-2.5-flash-lite",
    ),
    Known(
        "MISTRAL_API_KEY",
        "mistral",
        "https://api.mistral.ai/v1",
        ("*stral-*", "pixtral-*", "open-mixtral-*"),
        "mistral-small-latest",
    ),
    Known(
        "GROQ_API_KEY",
        "groq",
        "https://api.groq.com/openai/v1",
        ("llama-*", "meta-llama/*", "qwen/*", "moonshotai/*", "openai/gpt-oss-*"),
        "llama-3.1-8b-instant",
    ),
    Known(
        "DEEPSEEK_API_KEY",
        "deepseek",
        "https://api.deepseek.com/v1",
        ("deepseek-*",),
        "deepseek-flash",
    ),
    Known("XAI_API_KEY", "xai", "https://api.x.ai/v1", ("grok-*",), "grok-4.3"),
    # Last: its names are those of others behind a slash.
    Known(
        "OPENROUTER_API_KEY",
        "openrouter",
        "https://openrouter.ai/api/v1",
        ("*/*",),
        "openai/gpt-4o-mini",
    ),
)


def from_environment(env: Mapping[str, str]) -> Config:
    """A config of the providers that have a key, and one app, ``default``.

    Its token is FAREBOX_APP_TOKEN, else one made up and kept in `DATA_DIR` below the
    working directory; the admin key is FAREBOX_ADMIN_KEY or made up at start.

    Raises:
        ConfigError: no key is set, or a variable holds something unusable.
    """
    known = [entry for entry in KNOWN if env.get(entry.variable)]
    if not known:
        names = ", ".join(entry.variable for entry in KNOWN)
        message = f"no config and no provider key: set one of {names}, or see `farebox init`"
        raise ConfigError([Fault((), message)], origin="environment")
    data_dir = DATA_DIR.resolve()
    token = env.get("FAREBOX_APP_TOKEN") or kept_secret(
        data_dir / APP_TOKEN_FILE, prefix="farebox-app-"
    )
    return parsed(
        {
            "data_dir": data_dir,
            "admin_key": env.get("FAREBOX_ADMIN_KEY", ""),
            "upstreams": tuple(_upstream(entry, env[entry.variable]) for entry in known),
            "apps": ({"id": "default", "token": token, "model": known[0].small},),
        },
        origin="environment",
    )


def _upstream(entry: Known, key: str) -> dict[str, object]:
    return {
        "name": entry.name,
        "provider": entry.name,
        "base_url": entry.base_url,
        "api_key": key,
        "models": entry.models,
    }

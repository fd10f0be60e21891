"""`farebox prices lint`: what looks wrong in a price book, before it bills anybody."""

import json

import click

from gateway.cli.prices.books import named
from pricing.lint import lint as findings_in


def lint(name: str, *, as_json: bool) -> int:
    """Print the findings; returns how many there are.

    Raises:
        Fatal, ConfigError: there is no such book, or it cannot be read.
    """
    book = named(name)
    cards = list(book.cards())
    findings = findings_in(cards)
    if as_json:
        document = {
            "book_version": book.version,
            "cards": len(cards),
            "findings": [finding._asdict() for finding in findings],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        for finding in findings:
            click.echo(str(finding))
        click.echo(f"{len(cards)} cards, {len(findings)} findings.")
    return len(findings)

"""Authentication: from what a call shows to what it may do."""

from gateway.customers.apps import Apps
from gateway.customers.credentials import Credential
from gateway.customers.temporary_keys import TemporaryKeys
from gateway.customers.tokens import Tokens


class Authentication:
    """Knows app tokens, customer tokens and temporary keys."""

    def __init__(self, apps: Apps, tokens: Tokens, keys: TemporaryKeys) -> None:
        self._apps = apps
        self._tokens = tokens
        self._keys = keys
        self._of_apps = {app.id: Credential(app=app) for app in apps.all}

    async def authenticate(self, token: str | None) -> Credential:
        """What `token` entitles to.

        Raises:
            InvalidToken: it is missing, nobody's, or has ended. The message never repeats it.
            LedgerUnavailable: it is a temporary key, and the store that has it is away.
        """
        if token and self._keys.recognises(token):
            return await self._keys.authenticate(token)
        if token and self._tokens.recognises(token):
            return self._tokens.authenticate(token)
        return self._of_apps[self._apps.authenticate(token).id]

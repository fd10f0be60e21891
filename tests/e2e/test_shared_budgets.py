"""A budget that many customers share, through HTTP and over whole processes."""

import asyncio
from contextlib import contextmanager
from decimal import Decimal

import openai
import pytest

from gateway.demo.upstream import AT_ONCE, build_upstream
from gateway.event import Kind
from tests.support.gateways import a_customer
from tests.support.processes import farebox
from tests.support.servers import serve

CALLS = 40

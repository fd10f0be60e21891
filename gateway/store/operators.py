"""How a field of a list is compared with the values that a filter names.

Of several values any may hold; with NOT none. ISNULL takes one, true or false.
"""

from enum import StrEnum
from typing import Final


class Operator(StrEnum):
    EQUAL = ""
    IEXACT = "iexact"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    CONTAINS = "contains"
    ICONTAINS = "icontains"
    STARTSWITH = "startswith"
    ENDSWITH = "endswith"
    IN = "in"
    ISNULL = "isnull"
    NOT = "not"


OF_TEXT: Final = frozenset(Operator)
OF_NUMBERS: Final = frozenset(
    {
        *(Operator.EQUAL, Operator.LT, Operator.LTE, Operator.GT, Operator.GTE),
        *(Operator.IN, Operator.ISNULL, Operator.NOT),
    }
)
OF_FLAGS: Final = frozenset({Operator.EQUAL, Operator.NOT})

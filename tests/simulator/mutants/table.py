"""The table: each of these errors has to be caught."""

from tests.simulator.mutants.counting import COUNTING
from tests.simulator.mutants.ledger import LEDGER
from tests.simulator.mutants.losses import LOSSES
from tests.simulator.mutants.shared import SHARED

MUTATIONS = (*LEDGER, *COUNTING, *SHARED, *LOSSES)

"""Whether witnesses of a system agree: backends that train, and the reference.

crosscheck   witnesses side by side, in lockstep and in runs of their own: `crosscheck_system`
given        what all witnesses are given; `random_feed`
witnesses    what a witness is; names says what its numbers are called
rounding     what one rounding changes; bounds makes allowances of it
judge        compares, and names the first divergence; cases and guesses look for its cause
report       what was found, as data
evidence     what is needed to see a divergence again; bundle keeps it as a folder
"""

from ganspec.tools.agreement.crosscheck import crosscheck_system, replay
from ganspec.tools.agreement.given import WITNESSES, Altered, random_feed
from ganspec.tools.agreement.report import Comparison, Difference, Divergence, Place, Quantity, Report, Row

__all__ = [
    "WITNESSES",
    "Altered",
    "Comparison",
    "Difference",
    "Divergence",
    "Place",
    "Quantity",
    "Report",
    "Row",
    "crosscheck_system",
    "random_feed",
    "replay",
]

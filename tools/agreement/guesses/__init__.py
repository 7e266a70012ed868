"""The probable cause of a divergence.

Each guess is a small function that computes what a suspected mistake would make of the very numbers from which the divergent
quantity was computed. It is told only where that is what was found, within the tolerance. The mistakes are those that published
GAN code has.

    case          what is known of a divergent quantity
    search        which guesses are tried, and what is said
    orders        the right numbers in another order
    amounts       the right numbers times, plus or rounded to something
    weighted      layers with weights
    normalising   layers that look at a batch or at all channels
    statistics    running statistics
    shaping       activations, pooling, joining
    formulas      operations of formulas
    labels        classification, and draws
    gradients     gradients by parameters, and parameters that move between updates
    updates       optimisers, weight clipping, moving averages
"""

from ganspec.tools.agreement.guesses.case import Case
from ganspec.tools.agreement.guesses.search import guess

__all__ = ["Case", "guess"]

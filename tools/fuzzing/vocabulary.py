"""The numbers and functions of which formulas are drawn, and how a drawn formula is written."""

from ganspec.spec.text.formula import parse, render

NUMBERS = ("1", "2", "0.5", "-1", "0.1", "3", "0", "10", "1e-6", "1e4")
EXPONENTS = ("2", "3", "1", "0.5", "-1", "1.5")
STARTS = (0, 0.3, 1, -2)
# Functions that are finite everywhere, and templates that are; then those that need not be.
SMOOTH = ("tanh(A)", "sigmoid(A)", "softplus(A)", "relu(A)", "abs(A)", "A ^ 2", "clip(A, -0.5, 1)", "clip(A, 0, 3)")
SAFE = ("sqrt(A ^ 2 + 0.1)", "log(A ^ 2 + 1)", "exp(-abs(A))", "exp(tanh(A))", "-A", "A ^ 3", "-log(sigmoid(A))")
WILD = ("sqrt(A)", "sqrt(abs(A))", "exp(A)", "log(A)", "log(sigmoid(A) + 1e-8)", "1 / A", "softplus(100 * A)")


def tidy(text: str) -> str:
    """Returns: the same formula without needless parentheses."""
    return render(parse(text))

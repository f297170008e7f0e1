"""The methods of the paper, each a recipe in a file of its own."""

METHODS = {
    "bar": "budget-aware regularization",
    "scratch": "uniform widths, drawn at random, trained from scratch",
}

"""The methods of the paper, each a recipe in a file of its own."""

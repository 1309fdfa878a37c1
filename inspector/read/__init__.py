"""What is read: runs, their activations, tokens, graphs, journals, as data. Through `View` alone, nothing is rendered.

What belongs together is read in one transaction (`database.reading`), so it is of one moment.
"""

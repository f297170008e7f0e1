"""`tinybar bench`: tinybar beside its peers, on the same network, batch and number of threads.

case.py       what is timed, and by which engine
networks/     the network in each engine, from the same initial weights
worker.py     the process of one engine: it prepares, waits for a go, and times its steps
runner.py     the processes, and the turns that they take
timing.py     medians, quartiles, ratios
layers.py     convolution by convolution
results.py    what is written down
table.py      what is shown
"""

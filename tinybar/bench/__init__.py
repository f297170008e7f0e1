"""`tinybar bench`: times of tinybar and its peers, with the same network, batch and threads.

case.py       what is timed: a training step or the inference of a network, or a convolution
engines.py    who is timed; tinybar_steps.py, onnxruntime_steps.py: the steps of each engine
runner.py     how: a process for each engine (worker.py), all in turns
results.py    what is written down; layers.py: the same for single convolutions
launches.py   what a step asks of a GPU, counted
table.py      what is shown
command.py    the options
"""

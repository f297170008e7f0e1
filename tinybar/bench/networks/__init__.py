"""The networks of a case in each engine: one module per engine, imported in its process alone.

Each offers `versions()`, of its libraries, and `prepare(case)`, which gives the step to time: a
function of nothing that returns the loss or the logits. Those that run the wide residual networks
also offer `prepare_convolution(...)`, the step of one convolution.

All start from the weights of tinybar's network (`Case.build`) and see the same batch (`inputs`).
"""

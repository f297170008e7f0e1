"""Ways to plant an error in what the audit checks. Each returns a function of a MonkeyPatch."""

import tinybar.nn.optim
from tinybar.autograd import PRIMITIVES


def change_gradients(name, change):
    """Let change(i, gx) take the place of every gradient gx of the primitive's input i."""

    def plant(patch):
        right = PRIMITIVES[name].pullback

        def wrong(closures, arrays, needs):
            pullback = right(closures, arrays, needs)
            return lambda gy: [
                None if gx is None else change(i, gx) for i, gx in enumerate(pullback(gy))
            ]

        patch.setattr(PRIMITIVES[name], "pullback", wrong)

    return plant


def output(*names, by=1.01):
    """Multiply what these primitives give."""

    def plant(patch):
        for name in names:
            function = PRIMITIVES[name].function

            def mutated(*args, function=function, **options):
                y, closures = function(*args, **options)
                return y * by, closures

            patch.setattr(PRIMITIVES[name], "function", mutated)

    return plant


def pullback(name, by=1.01):
    """Multiply the gradients of this primitive."""
    return change_gradients(name, lambda i, gx: gx * by)


def result(module, name, change=lambda y: y * 1.01):
    """Change what module.name gives."""

    def plant(patch):
        function = getattr(module, name)
        patch.setattr(module, name, lambda *args, **options: change(function(*args, **options)))

    return plant


def replace(module, name, value):
    """Replace module.name."""
    return lambda patch: patch.setattr(module, name, value)


def after(owner, name, change):
    """Let `change(self)` follow the method."""

    def plant(patch):
        method = getattr(owner, name)

        def mutated(self, *args, **options):
            method(self, *args, **options)
            change(self)

        patch.setattr(owner, name, mutated)

    return plant


def argument(module, name, change):
    """Let change(list of arguments) follow every call of module.name."""

    def plant(patch):
        function = getattr(module, name)
        patch.setattr(module, name, lambda *args, **options: function(*change([*args]), **options))

    return plant


def running_statistics(change):
    """Let `change(running_mean, running_var, x)` follow every batch norm."""

    def plant(patch):
        function = PRIMITIVES["batch_norm"].function

        def mutated(x, gamma, beta, running_mean, running_var, *args, **options):
            made = function(x, gamma, beta, running_mean, running_var, *args, **options)
            change(running_mean, running_var, x)
            return made

        patch.setattr(PRIMITIVES["batch_norm"], "function", mutated)

    return plant


def adam(change):
    """Change the options of every update of Adam: change(w, options) -> options."""

    def plant(patch):
        update = tinybar.nn.optim.adam_update

        def mutated(w, grad, m, v, t, lr, weight_decay, *others):
            options = change(w, {"lr": lr, "weight_decay": weight_decay})
            update(w, grad, m, v, t, *options.values(), *others)

        patch.setattr(tinybar.nn.optim, "adam_update", mutated)

    return plant

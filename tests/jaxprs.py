"""What programs are made of, read from their jaxprs."""

import jax


def all_shapes(jaxpr):
    """Shapes of all arrays that a program makes, in its loops too."""
    for equation in jaxpr.eqns:
        yield from (v.aval.shape for v in equation.outvars)
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from all_shapes(inner)


def count_equations(jaxpr):
    """The equations of a program, each once however often its loop runs."""
    inner = [
        count_equations(sub)
        for equation in jaxpr.eqns
        for sub in jax.extend.core.jaxprs_in_params(equation.params)
    ]
    return len(jaxpr.eqns) + sum(inner)

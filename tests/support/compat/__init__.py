"""What the tests of compat share: probes of the mends, upstream's source, kernels and their compiler."""

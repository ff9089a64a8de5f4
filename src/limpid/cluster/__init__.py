"""One film over many GPUs and many machines: workers of a Ray cluster compute, one head reads, plans and commits."""

"""DOVER (Wu et al., ICCV 2023): the quality of a video without a reference, by two networks."""

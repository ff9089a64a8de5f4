"""Networks in torch, without weights: U-Nets, autoencoders, layers over time, optical flow."""

"""Runtimes that networks run in besides PyTorch: ncnn, for processors and Vulkan devices, and readers of its files."""

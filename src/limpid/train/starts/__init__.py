"""Where training begins: networks from a folder of weights, or an image model with new layers that do nothing yet."""

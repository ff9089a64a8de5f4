"""U-Nets: that of the SD x4 upscaler family and that of MGLD-VSR."""

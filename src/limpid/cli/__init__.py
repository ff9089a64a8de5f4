"""The command line: ``limpid upscale | probe | methods | doctor``. A thin shell over `limpid.upscale`."""

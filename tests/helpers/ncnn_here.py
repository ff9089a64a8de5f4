"""Whether ncnn and a Vulkan driver are here, as marks of pytest with a reason; Mesa's software driver will do."""

from __future__ import annotations

import pytest

from limpid.runtimes.package import has_ncnn, vulkan_devices

needs_ncnn = pytest.mark.skipif(not has_ncnn(), reason="the package ncnn is not installed")
needs_vulkan = pytest.mark.skipif(
    not has_ncnn() or not vulkan_devices(), reason="no Vulkan driver answers (Debian: mesa-vulkan-drivers)"
)

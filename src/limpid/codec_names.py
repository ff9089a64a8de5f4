"""What else codecs and encoders are called, for the sentence that says what to write."""

from __future__ import annotations

CODEC_NAMES = {
    **dict.fromkeys(("h.264", "avc", "x264", "libx264", "mp4"), "h264"),
    **dict.fromkeys(("h.265", "hevc", "x265", "libx265"), "h265"),
    **dict.fromkeys(("av01", "svtav1", "libsvtav1", "svt-av1"), "av1"),
    **dict.fromkeys(("png", "jpg", "image", "frames"), "images"),
    "prores_ks": "prores",
}
"""What else codecs are called."""
ENCODER_NAMES = {
    **dict.fromkeys(("cpu", "none", "x264", "libx264"), "software"),
    **dict.fromkeys(("gpu", "hardware"), "auto"),
    **dict.fromkeys(("nvidia", "cuda", "h264_nvenc", "hevc_nvenc", "av1_nvenc"), "nvenc"),
    **dict.fromkeys(("intel", "quicksync", "h264_qsv", "hevc_qsv", "av1_qsv"), "qsv"),
    **dict.fromkeys(("apple", "h264_videotoolbox", "hevc_videotoolbox"), "videotoolbox"),
    **dict.fromkeys(("h264_vaapi", "hevc_vaapi", "av1_vaapi"), "vaapi"),
    **dict.fromkeys(("amd", "vce", "h264_amf", "hevc_amf", "av1_amf"), "amf"),
}
"""What else hardware encoders are called."""

"""Names of RAFT's tensors in the two kinds of files, large and small -> names in `limpid.networks.flow.raft`."""

from __future__ import annotations

from limpid.checkpoints.renames import Rules

_GATES: Rules = (
    (r"^(gru\d)\.z\.", r"\1.update."),
    (r"^(gru\d)\.r\.", r"\1.reset."),
    (r"^(gru\d)\.q\.", r"\1.candidate."),
)

RAFT_PRINCETON_KEYS: Rules = (
    (r"^module\.", ""),  # saved from a DataParallel
    (r"^fnet\.", "features."),
    (r"^cnet\.", "context."),
    # the norm of the shortcut is saved twice, as norm3 and as downsample.1
    (r"^.*\.norm3\..*$", ""),
    (r"^(features|context)\.conv1\.", r"\1.stem."),
    (r"^(features|context)\.norm1\.", r"\1.stem_norm."),
    (r"^(features|context)\.conv2\.", r"\1.head."),
    (r"\.layer(\d)\.", r".stage\1."),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut_norm."),
    (r"^update_block\.encoder\.convc(\d)\.", r"motion.correlation\1."),
    (r"^update_block\.encoder\.convf(\d)\.", r"motion.flow\1."),
    (r"^update_block\.encoder\.conv\.", "motion.joint."),
    (r"^update_block\.gru\.conv([zrq])(\d)\.", r"gru\2.\1."),
    (r"^update_block\.gru\.conv([zrq])\.", r"gru1.\1."),  # the small network has one
    *_GATES,
    (r"^update_block\.flow_head\.", "flow_head."),
    (r"^update_block\.mask\.0\.", "mask_head.conv1."),
    (r"^update_block\.mask\.2\.", "mask_head.conv2."),
)
"""``raft-things.pth`` and the other files of the authors."""

RAFT_TORCHVISION_KEYS: Rules = (
    (r"^feature_encoder\.", "features."),
    (r"^context_encoder\.", "context."),
    (r"^(features|context)\.convnormrelu\.0\.", r"\1.stem."),
    (r"^(features|context)\.convnormrelu\.1\.", r"\1.stem_norm."),
    (r"^(features|context)\.conv\.", r"\1.head."),
    (r"\.layer(\d)\.", r".stage\1."),
    (r"\.convnormrelu(\d)\.0\.", r".conv\1."),
    (r"\.convnormrelu(\d)\.1\.", r".norm\1."),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut_norm."),
    (r"^update_block\.motion_encoder\.convcorr(\d)\.0\.", r"motion.correlation\1."),
    (r"^update_block\.motion_encoder\.convflow(\d)\.0\.", r"motion.flow\1."),
    (r"^update_block\.motion_encoder\.conv\.0\.", "motion.joint."),
    (r"^update_block\.recurrent_block\.convgru(\d)\.conv([zrq])\.", r"gru\1.\2."),
    *_GATES,
    (r"^update_block\.flow_head\.", "flow_head."),
    (r"^mask_predictor\.convrelu\.0\.", "mask_head.conv1."),
    (r"^mask_predictor\.conv\.", "mask_head.conv2."),
)
"""``raft_large_*.pth`` and ``raft_small_*.pth`` of torchvision."""


def raft_rules(names: set[str]) -> Rules:
    """The rules for a file with these tensors; a file that is neither gets the authors', and will not fit."""
    return RAFT_TORCHVISION_KEYS if any(name.startswith("feature_encoder.") for name in names) else RAFT_PRINCETON_KEYS

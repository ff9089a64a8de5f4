"""How options are declared: as fields of a dataclass, with everything that is known of each in the field's metadata.

`limpid.settings.Settings` is the one table of options. From its rows follow what is checked, what the command line
offers and prints, the JSON Schema, and which options are refused because they would have no effect. To add an option
is to add a field. Nothing here knows a certain option; nothing imports torch.
"""

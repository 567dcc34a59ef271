"""Pure rules: values and functions that are given `now`. No I/O, no clock, no random."""

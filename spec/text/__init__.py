"""The text of a spec: files, tables, formulas, arithmetic, distributions, and the messages about a wrong spec."""

"""What a spec is written in: files, tables, formulas, arithmetic, distributions, and what is said when one is wrong."""

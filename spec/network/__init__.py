"""Networks: read from architecture files, with every size settled, in each stage of growth."""

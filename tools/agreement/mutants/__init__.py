"""Mutants: named wrong variants of the implementations, each of which a comparison must notice.

patches      changes code for a while
computing    wrong operations, layers, draws
training     wrong optimisers, averages, gates; wrong files
catalogue    all of them, by name
rejecting    puts one into a backend, and sees where `crosscheck_system` first notices it
"""

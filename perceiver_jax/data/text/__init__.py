"""Texts: corpora, labelled texts, tokens, masks."""

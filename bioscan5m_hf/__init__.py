"""BIOSCAN-5M for ``datasets`` and the Hugging Face Hub: what a user of the data imports."""

"""What musicians and sentences share: names, theory, instruments and genres, and what a sentence claims."""

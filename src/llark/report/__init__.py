"""What a person sees: text for a terminal, pictures, pages."""

"""The pages of `tinybar report`: one HTML file each, with figures, tables and nothing to load."""

"""Readers of files: idx, image files in folders and archives; downloads."""

"""Readers of files: idx, CIFAR's binaries, folders, archives, images; downloads."""

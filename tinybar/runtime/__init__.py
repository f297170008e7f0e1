"""What a computation stands on: arrays, devices, random streams, threads, memory, files."""

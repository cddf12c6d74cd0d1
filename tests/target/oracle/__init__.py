"""What `$names` are, by our code and by gdb, at every instruction of some programs: see `tests/target/test_oracle.py`."""

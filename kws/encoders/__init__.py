"""Speech encoders behind one contract."""

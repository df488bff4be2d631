"""Encoders of architectures for predictors: GATES, GCN, LSTM and MLP. Read `encoder.py` first."""

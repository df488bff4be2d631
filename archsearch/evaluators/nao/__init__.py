"""The encoder, predictor and decoder of sequences of neural architecture optimization (NAO)."""

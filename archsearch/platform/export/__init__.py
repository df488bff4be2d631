"""Export of a network to a folder: source, weights, torch.export, ONNX and model card. Read `folder.py` first."""
